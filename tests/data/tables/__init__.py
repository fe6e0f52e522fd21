"""Tests of `textvae.data.tables`."""
