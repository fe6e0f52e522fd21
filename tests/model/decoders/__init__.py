"""Tests of `textvae.model.decoders`."""
