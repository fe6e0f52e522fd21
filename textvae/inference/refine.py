"""Refine latents: a few gradient steps on z for the words that the encoder has missed.

An encoder maps each sentence to its latent in one pass, and it does not find the best one:
this is the amortization gap (Cremer et al. 2018, arXiv:1801.03558). Each step of Adam here
lowers

    -log p(x | z) + PRIOR_SHARE * |z|^2 / 2

of one sentence, beginning at its posterior mean. The second term keeps z where the prior has
its mass, so that it can still be edited and interpolated. With the full weight of 1, which
would give the mode of p(z | x), a model that was trained at a lower KL weight would lose
words instead of finding them.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from textvae.data.batching import select_decoder_inputs
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length
from textvae.inference.encode import tokenize_and_truncate
from textvae.terminal import is_bar_hidden

PRIOR_SHARE = 0.1
_STEP_SIZE = 0.2  # of Adam; latents of the default recipe have a standard deviation near 1
_SENTENCES_PER_BATCH = 64


def refine_means(
    bundle: Bundle,
    texts: Sequence[str],
    means: Tensor,
    steps: int,
    label_ids: Tensor | None = None,
    progress: bool = False,
) -> Tensor:
    """Return the posterior means after gradient steps on each sentence's own words, (n, latent).

    A step costs a forward and a backward pass of the decoder. The result of a sentence does not
    depend on the others, except for the rounding.

    Args:
        means: (n, latent), where the steps begin; they are not changed.
        steps: the number of steps; 0 returns the means.
        label_ids: (n,), the labels for a conditional model.

    Raises:
        ConfigError: the latents of this model are on a sphere, which a step would leave.
    """
    if steps == 0:
        return means
    if bundle.model.posterior.distribution.is_spherical:
        raise ConfigError(
            f"refine = {steps} does not fit this model, whose latents are on a sphere: leave it out."
        )
    ids = tokenize_and_truncate(bundle, texts)
    refined = means.clone()
    groups = list(batch_by_length([len(row) for row in ids], _SENTENCES_PER_BATCH))
    for rows in tqdm(groups, desc="refining", unit="batch", disable=is_bar_hidden(progress)):
        batch = bundle.make_batch([ids[row] for row in rows])
        if label_ids is not None:
            batch["label_ids"] = label_ids[rows].to(bundle.device)
        start = means[rows].to(bundle.device)
        refined[rows] = _refine_batch(bundle, {**select_decoder_inputs(batch)}, start, steps).cpu()
    return refined


def _refine_batch(bundle: Bundle, inputs: dict[str, Any], start: Tensor, steps: int) -> Tensor:
    """Return z after the steps, (batch, latent)."""
    # The means come out of inference mode, whose tensors can have no gradient.
    z = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([z], lr=_STEP_SIZE)
    for _ in range(steps):
        # cuDNN computes no gradients of an LSTM in evaluation mode; torch's own kernels do.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            output = bundle.model(**inputs, latent=z)
            # A sum over the sentences, so that each has the gradient that it has alone.
            loss = output.reconstruction * len(z) + PRIOR_SHARE * 0.5 * z.square().sum()
            # Not `backward`, which would also compute the gradients of the model's weights.
            (z.grad,) = torch.autograd.grad(loss, z)
        optimizer.step()
    return z.detach()
