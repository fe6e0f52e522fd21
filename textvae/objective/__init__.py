"""The training objective: the ELBO, and the techniques that shape it."""
