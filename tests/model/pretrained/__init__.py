"""Tests of pretrained parts."""
