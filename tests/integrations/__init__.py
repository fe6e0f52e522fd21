"""Tests of `textvae.integrations`."""
