"""Importance weights of draws from q: log p(x, z) - log q(z | x) (Burda et al. 2016, arXiv:1509.00519)."""

from torch import Tensor

from textvae.data.batching import Batch, select_decoder_inputs
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution


def log_importance_weights(
    model: TextVAEModel, posterior: Distribution, batch: Batch, latent: Tensor
) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x) in nats, (draws, batch), for z of (draws, batch, latent); no gradient."""
    draws = len(latent)
    read = {
        name: part.repeat(draws, *[1] * (part.ndim - 1))
        for name, part in select_decoder_inputs(batch).items()
    }
    nll = model.sentence_nll(**read, latent=latent.flatten(0, 1)).view(draws, -1)
    ratio: Tensor = model.prior.conditional_on(batch.get("label_ids")).log_prob(
        latent
    ) - posterior.log_prob(latent)
    return ratio - nll
