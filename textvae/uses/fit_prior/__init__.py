"""Fit a prior to the latents of a trained model."""
