"""Tests of `textvae.settings`."""
