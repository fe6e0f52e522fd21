"""Tests of the search over settings."""
