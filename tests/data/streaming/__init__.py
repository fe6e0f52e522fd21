"""Tests of `textvae.data.streaming`."""
