"""Tests of the skill for coding agents."""
