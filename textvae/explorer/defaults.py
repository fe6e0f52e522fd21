"""Defaults of the explorer; the command line reads them, so nothing slow is imported here."""

DEFAULT_POINTS = 20_000  # sentences on the map
DEFAULT_LIMIT = 50  # texts that one action writes or compares
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7860  # the first that is tried, Gradio's own
