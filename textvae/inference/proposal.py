"""A proposal for the likelihood that fits better than q: q with fitted standard deviations.

Importance sampling needs a proposal that covers p(z | x). A posterior from training
is often too narrow, above all if the KL had a weight below 1: then few draws have
nearly all of the weight. Each dimension's standard deviation gets one factor, the same
for all sentences. It is fitted by the cross-entropy method (Rubinstein & Kroese 2004;
Cappe et al. 2008, arXiv:0710.4242), which minimizes KL(p(z | x) || proposal): the
factor is the root mean square of (z - mean) / deviation under the normalized weights,
for draws from the proposal of the round before.

Any proposal gives an upper bound on -log p(x), if its draws are not those that it was
fitted on. So the factors change no property of the model, only how tight the bound is.
"""

import torch
from datasets import Dataset
from torch import Tensor

from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.likelihood import (
    LIKELIHOOD_BATCH_TOKENS,
    iterate_weighted_samples,
    scale_width,
)
from textvae.model.posteriors import DiagonalGaussian
from textvae.runtime.processes import SINGLE_PROCESS, Processes
from textvae.runtime.seeds import derive_seed
from textvae.runtime.spacing import take_evenly

# With few effective draws, a round goes only a part of the way from the old width to the best.
_ROUNDS = 5
_DRAWS = 50  # per sentence and round
_MAX_SENTENCES = 100


def fit_width(
    bundle: Bundle, dataset: Dataset, seed: int = 0, processes: Processes = SINGLE_PROCESS
) -> Tensor:
    """Return a factor for each dimension's standard deviation, (latent,).

    The posterior must be a diagonal Gaussian.

    Args:
        dataset: tokenized sentences; of more than 100, 100 are used, evenly spaced.
        processes: the processes that share the work; each gets the result.
    """
    sentences = dataset.select(take_evenly(range(len(dataset)), _MAX_SENTENCES))
    width = torch.ones(bundle.model.config.latent_dim, dtype=torch.float64)
    for number in range(_ROUNDS):
        squares = torch.zeros_like(width)
        for _, batch in iterate_batches(
            bundle, sentences, derive_seed(seed, number), processes, LIKELIHOOD_BATCH_TOKENS
        ):
            posterior = bundle.model.encode(
                batch["encoder_input_ids"], batch["encoder_attention_mask"]
            )
            assert isinstance(posterior, DiagonalGaussian), "EvaluationInput refuses others"
            proposal = scale_width(posterior, width)
            portions = list(iterate_weighted_samples(bundle.model, proposal, batch, _DRAWS))
            z = torch.cat([part for part, _ in portions])
            weights = torch.cat([part for _, part in portions]).softmax(0)
            residuals = (z - posterior.mean).double() * torch.exp(-0.5 * posterior.logvar).double()
            squares += torch.einsum("kb,kbd->d", weights, residuals.square()).cpu()
        width = (processes.sum(squares) / len(sentences)).sqrt()
    return width
