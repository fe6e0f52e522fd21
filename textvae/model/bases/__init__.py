"""Bases: the published models that pretrained encoders and decoders start from."""
