"""Inference with a trained model: encode texts, decode latents, estimate log p(x)."""
