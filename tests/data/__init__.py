"""Tests of `textvae.data`."""
