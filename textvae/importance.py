"""Importance weights of draws from q: log p(x, z) - log q(z | x) (Burda et al. 2016, arXiv:1509.00519)."""

from torch import Tensor

from textvae.batching import Batch
from textvae.modeling import TextVAEModel
from textvae.posteriors import Distribution


def log_importance(model: TextVAEModel, posterior: Distribution, batch: Batch, latent: Tensor) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x) in nats, (draws, batch), for z of (draws, batch, latent); no gradient."""
    draws = len(latent)
    ids, mask, labels = (batch[name].repeat(draws, 1) for name in ("input_ids", "attention_mask", "labels"))
    nll = model.sentence_nll(ids, mask, labels, latent.flatten(0, 1)).view(draws, -1)
    ratio: Tensor = model.prior.log_prob(latent) - posterior.log_prob(latent)
    return ratio - nll
