"""Benchmarks of speed: how fast this machine trains, decodes, scores and encodes."""
