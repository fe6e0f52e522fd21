"""Importance weights of samples from q: w = p(x, z) / q(z | x).

Burda et al. 2016 (arXiv:1509.00519).
"""

from torch import Tensor

from textvae.data.batching import Batch, select_decoder_inputs
from textvae.data.frozen_states import DECODER_STATES
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution


def log_importance_weights(
    model: TextVAEModel, posterior: Distribution, batch: Batch, latent: Tensor
) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x) in nats, without gradient.

    Shapes:
        latent: (samples, batch, latent)
        returns (samples, batch)
    """
    decoder_inputs = repeat_decoder_inputs(model, batch, len(latent))
    # log w = log p(x | z) + log p(z) - log q(z | x), the first term being minus the NLL.
    nll = model.sentence_nll(**decoder_inputs, latent=latent.flatten(0, 1)).view(len(latent), -1)
    prior = model.prior.conditional_on(batch.get("label_ids"))
    ratio: Tensor = prior.log_prob(latent) - posterior.log_prob(latent)
    return ratio - nll


def repeat_decoder_inputs(model: TextVAEModel, batch: Batch, samples: int) -> Batch:
    """Return what the decoder reads besides z, once per sample, in the order of the samples.

    All samples of all sentences can then be decoded in one batch. If a batch is repeated several
    times, pass it through `add_decoder_states` before.
    """
    # `repeat` goes through the sentences once per sample, the order of `latent.flatten(0, 1)`.
    return {
        name: part.repeat(samples, *[1] * (part.ndim - 1))
        for name, part in select_decoder_inputs(add_decoder_states(model, batch)).items()
    }


def add_decoder_states(model: TextVAEModel, batch: Batch) -> Batch:
    """Return a batch with the states of the decoder's frozen layers, which do not depend on z.

    Each sample of z then continues from them, instead of running these layers again. A batch that
    has them already, or a decoder without such layers, changes nothing.
    """
    if not model.decoder.has_frozen_layers_below or DECODER_STATES in batch:
        return batch
    embedded = model.decoder.embed(batch["input_ids"])
    states = model.decoder.compute_lower_states(embedded, batch["attention_mask"])
    return {**batch, DECODER_STATES: states}
