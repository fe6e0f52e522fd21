"""Tests of `textvae.evaluation`."""
