"""Speed benchmarks: how fast this machine trains, decodes, scores and encodes."""
