"""Tests of `textvae.model.kernels`."""
