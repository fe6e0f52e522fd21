"""Tests of `textvae.runs`."""
