"""Uses: what a trained model can do, one verb per file."""
