"""Tests of `textvae.model`."""
