"""The objective: the ELBO, and the techniques that shape it in training."""
