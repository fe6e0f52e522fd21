"""Defaults of bulk jobs. The command line reads them, so nothing slow is imported here."""

DEFAULT_ENGINE = "accelerate"

# Rows per shard for each verb, so that a shard takes between a few seconds and a few minutes.
DEFAULT_SHARD_ROWS = {"encode": 32_768, "score": 1024, "generate": 8192}
