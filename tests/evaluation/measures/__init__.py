"""Tests of `textvae.evaluation.measures`."""
