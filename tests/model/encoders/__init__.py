"""Tests of `textvae.model.encoders`."""
