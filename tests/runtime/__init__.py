"""Tests of `textvae.runtime`."""
