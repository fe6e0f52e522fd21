"""Projection to the vocabulary fused with the cross-entropy, a few hundred rows at a time.

Plain code holds the scores of every token over the whole vocabulary, and passes
over them half a dozen times. Here a chunk of rows is projected, turned into
probabilities, and at once into the gradients of the states and of the weights,
while it is still in the cache; nothing of size (tokens, vocab) outlives its
chunk. Padding is never projected.
"""

from typing import Any

import torch
from torch import Tensor

from textvae.precision import compute_dtype

FAINT = 1e-30  # a chance below is too near to what the number type can hold
CHUNK_SCORES = 2**23  # rows times vocabulary, at once


class FusedNLL(torch.autograd.Function):
    """Sum of weighted negative log-likelihoods, its gradients formed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sum and each row's own NLL (which carries no gradient).

        Shapes:
            states: (rows, size); targets, scale: (rows,); weight: (vocab, size); bias: (vocab,)
        """
        dtype = compute_dtype(states)
        narrow, narrow_bias = weight.to(dtype), bias.to(dtype)
        nll = torch.empty(len(states), device=states.device)
        d_states = torch.empty_like(states)
        d_weight, d_bias = None, torch.zeros_like(bias)
        for chunk in chunks(len(states), len(weight)):
            inputs = states[chunk].to(dtype)
            scores = torch.addmm(narrow_bias, inputs, narrow.t())
            share = scores.softmax(-1)
            hit = targets[chunk].unsqueeze(1)
            nll[chunk] = nll_of(scores, share, hit)
            share.scatter_add_(1, hit, -torch.ones_like(hit, dtype=dtype)).mul_(scale[chunk].to(dtype).unsqueeze(1))
            d_states[chunk] = torch.mm(share, narrow).to(states.dtype)
            part = torch.mm(share.t(), inputs)
            d_weight = part.to(weight.dtype) if d_weight is None else d_weight.add_(part)
            d_bias += share.sum(0)
        ctx.save_for_backward(d_states, torch.zeros_like(weight) if d_weight is None else d_weight, d_bias)
        ctx.mark_non_differentiable(nll)
        return (nll * scale).sum(), nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Scale what the forward pass formed."""
        d_states, d_weight, d_bias = ctx.saved_tensors
        upstream = grads[0]
        if upstream.device.type == "cpu" and float(upstream) == 1.0:  # the usual case: spare a pass over the weights
            return d_states, d_weight, d_bias, None, None
        return d_states * upstream.to(d_states.dtype), d_weight * upstream, d_bias * upstream, None, None


def token_nll(states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of `scale` times NLL, differentiable, and each row's NLL in nats.

    Shapes:
        states: (rows, size); targets, scale: (rows,); weight: (vocab, size); bias: (vocab,)
        returns: scalar and (rows,)
    """
    if torch.is_grad_enabled():
        total, nll = FusedNLL.apply(states, weight, bias, targets, scale)  # type: ignore[no-untyped-call]
        return total, nll
    dtype = compute_dtype(states)
    narrow, narrow_bias = weight.to(dtype), bias.to(dtype)
    nll = torch.empty(len(states), device=states.device)
    for chunk in chunks(len(states), len(weight)):
        scores = torch.addmm(narrow_bias, states[chunk].to(dtype), narrow.t())
        nll[chunk] = torch.nn.functional.cross_entropy(scores.float(), targets[chunk], reduction="none")
    return (nll * scale).sum(), nll


def nll_of(scores: Tensor, share: Tensor, hit: Tensor) -> Tensor:
    """Return each row's NLL, (rows,), from scores and softmax; a chance that underflows is worked out anew."""
    chance = share.gather(1, hit).squeeze(1).float()
    nll = -chance.clamp(min=FAINT).log()
    faint = (chance < FAINT).nonzero().squeeze(1)
    if len(faint):
        nll[faint] = torch.nn.functional.cross_entropy(scores[faint].float(), hit[faint, 0], reduction="none")
    return nll


def chunks(rows: int, vocab: int) -> list[slice]:
    """Return slices of about equal size, small enough that a chunk's scores stay near the processor."""
    count = max(1, -(-rows * vocab // CHUNK_SCORES))
    size = max(1, -(-rows // count))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
