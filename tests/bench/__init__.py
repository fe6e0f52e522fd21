"""Tests of `textvae.bench`."""
