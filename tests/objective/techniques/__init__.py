"""Tests of `textvae.objective.techniques`."""
