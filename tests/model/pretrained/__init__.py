"""Tests of pretrained encoders and decoders."""
