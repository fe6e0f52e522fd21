"""Tests of `textvae.comparison`."""
