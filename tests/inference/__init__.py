"""Tests of `textvae.inference`."""
