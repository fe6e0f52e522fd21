"""Tests of textvae.model.bases."""
