"""Priors fitted to the latents of a trained model."""
