"""Importance weights of draws from q: log p(x, z) - log q(z | x) (Burda et al. 2016, arXiv:1509.00519)."""

from torch import Tensor

from textvae.batching import Batch
from textvae.modeling import TextVAEModel
from textvae.posteriors import DiagonalGaussian


def log_importance(model: TextVAEModel, posterior: DiagonalGaussian, batch: Batch, latent: Tensor) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x) in nats, (draws, batch), for z of (draws, batch, latent)."""
    repeats = len(latent)
    repeated = {name: batch[name].repeat(repeats, 1) for name in ("input_ids", "attention_mask", "labels")}
    # not model(...): within a training step that is wrapped in an autocast which cannot be entered twice
    output = TextVAEModel.forward(model, **repeated, latent=latent.flatten(0, 1))
    assert output.sentence_reconstruction is not None
    log_likelihood = -output.sentence_reconstruction.view(repeats, -1)
    ratio: Tensor = model.prior.log_prob(latent) - posterior.log_prob(latent)
    return log_likelihood + ratio
