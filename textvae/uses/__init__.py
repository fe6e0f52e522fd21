"""Uses: what a trained model can do, one use per file or folder."""
