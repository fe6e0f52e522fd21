"""Tests of `textvae.cli`."""
