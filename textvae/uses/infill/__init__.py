"""Infill: fill the blanks of a text with the help of the latent."""
