"""Tests of `textvae.objective`."""
