"""Tests of `textvae.bulk`."""
