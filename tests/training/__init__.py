"""Tests of `textvae.training`."""
