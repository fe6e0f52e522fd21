"""Infill: fill the blanks of a sentence with the help of the latent."""
