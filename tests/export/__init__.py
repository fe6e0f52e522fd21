"""Tests of `textvae.export`."""
