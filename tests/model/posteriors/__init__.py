"""Tests of `textvae.model.posteriors`."""
