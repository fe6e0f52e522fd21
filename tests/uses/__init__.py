"""Tests of `textvae.uses`."""
