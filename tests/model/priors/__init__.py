"""Tests of `textvae.model.priors`."""
