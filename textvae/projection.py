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

CHUNK_ROWS = 512


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
        d_weight = torch.zeros_like(weight)
        d_bias = torch.zeros_like(bias)
        for rows in torch.arange(len(states), device=states.device).split(CHUNK_ROWS):
            chunk = slice(int(rows[0]), int(rows[-1]) + 1)
            inputs = states[chunk].to(dtype)
            share = torch.addmm(narrow_bias, inputs, narrow.t()).softmax(-1)
            hit = targets[chunk].unsqueeze(1)
            chance = share.gather(1, hit)
            nll[chunk] = -chance.float().squeeze(1).clamp(min=1e-30).log()
            share.scatter_(1, hit, chance - 1).mul_(scale[chunk].to(dtype).unsqueeze(1))
            d_states[chunk] = torch.mm(share, narrow).to(states.dtype)
            d_weight += torch.mm(share.t(), inputs)
            d_bias += share.sum(0, dtype=torch.float32)
        ctx.save_for_backward(d_states, d_weight, d_bias)
        ctx.mark_non_differentiable(nll)
        return (nll * scale).sum(), nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Scale what the forward pass formed."""
        d_states, d_weight, d_bias = ctx.saved_tensors
        upstream = grads[0]
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
    parts = [
        torch.nn.functional.cross_entropy(
            torch.addmm(narrow_bias, inputs.to(dtype), narrow.t()).float(), hits, reduction="none"
        )
        for inputs, hits in zip(states.split(CHUNK_ROWS), targets.split(CHUNK_ROWS), strict=True)
    ]
    nll = torch.cat(parts)
    return (nll * scale).sum(), nll


def compute_dtype(states: Tensor) -> torch.dtype:
    """Return the type the products run in: autocast's where it is on."""
    kind = states.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else states.dtype
