"""Projection to the vocabulary fused with the cross-entropy, a few hundred rows at a time.

Plain code holds the scores of every token over the whole vocabulary, and passes
over them half a dozen times. Here a chunk of rows is projected, turned into
probabilities, and at once into the gradients of the states and of the weights,
while it is still in the cache; nothing of size (tokens, vocab) outlives its
chunk. Padding is never projected.
"""

from typing import Any

import torch
from torch import Tensor, nn

from textvae.runtime.device import compute_dtype

_MIN_PROBABILITY = 1e-30  # a chance below is too near to what the number type can hold


TRAINING_CHUNK_SCORES = 2**24  # rows times vocabulary, at once


_EVALUATION_CHUNK_SCORES = (
    2**22
)  # the same, where nothing is learned: few enough to stay near the processor


_GPU_CHUNK_SCORES = (
    2**27
)  # the same on a GPU, which has few large chunks done sooner than many small ones


class _FusedNLL(torch.autograd.Function):
    """Sum of negative log-likelihoods times a weight, its gradients formed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, scale: float
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sum and each row's own NLL (which carries no gradient).

        Shapes:
            states: (rows, size); targets: (rows,); weight: (vocab, size); bias: (vocab,)
        """
        dtype = compute_dtype(states)
        narrow, narrow_bias = weight.to(dtype), bias.to(dtype)
        nll = torch.empty(len(states), device=states.device)
        d_states = torch.empty_like(states)
        d_weight, d_bias = (
            torch.zeros_like(weight) if len(states) == 0 else None,
            torch.zeros_like(bias),
        )
        size = rows_per_chunk(weight, TRAINING_CHUNK_SCORES)
        room = torch.empty(
            2, min(size, len(states)), len(weight), dtype=dtype, device=states.device
        )
        for chunk in split_rows(len(states), size):
            inputs = states[chunk].to(dtype)
            hit = torch.arange(len(inputs), device=states.device), targets[chunk]
            scores = torch.addmm(narrow_bias, inputs, narrow.t(), out=room[0, : len(inputs)])
            share = torch.softmax(scores, -1, out=room[1, : len(inputs)])
            chance = share[hit]
            nll[chunk] = _nll_from_probability(scores, chance, targets[chunk])
            share[hit] = chance - 1
            d_states[chunk] = torch.mm(share, narrow) * scale
            part = torch.mm(share.t(), inputs * scale)
            d_weight = part.to(weight.dtype) if d_weight is None else d_weight.add_(part)
            d_bias += share.sum(0) * scale
        ctx.save_for_backward(d_states, d_weight, d_bias)
        ctx.mark_non_differentiable(nll)
        return nll.sum() * scale, nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Scale what the forward pass formed."""
        d_states, d_weight, d_bias = ctx.saved_tensors
        upstream = grads[0]
        if (
            upstream.device.type == "cpu" and float(upstream) == 1.0
        ):  # the usual case: spare a pass over the weights
            return d_states, d_weight, d_bias, None, None
        return (
            d_states * upstream.to(d_states.dtype),
            d_weight * upstream,
            d_bias * upstream,
            None,
            None,
        )


def token_nll(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Return the sum of NLL times `scale`, differentiable, and each row's NLL in nats.

    Shapes:
        states: (rows, size); targets: (rows,); weight: (vocab, size); bias: (vocab,)
        returns: scalar and (rows,)
    """
    if torch.is_grad_enabled():
        total, nll = _FusedNLL.apply(states, weight, bias, targets, scale)  # type: ignore[no-untyped-call]
        return total, nll
    nll = nll_without_grad(states, weight, bias, targets, compute_dtype(states))
    return nll.sum() * scale, nll


def nll_without_grad(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, dtype: torch.dtype
) -> Tensor:
    """Return each row's NLL, (rows,), where nothing is learned from it; `dtype` is that of the scores.

    Scores of reduced precision only make the normaliser: the target's own is
    worked out in single precision, with `gap` to the other, and takes the
    other's place in the sum: -log p - gap + log(1 + p (exp(gap) - 1)).
    """
    narrow, narrow_bias = weight.to(dtype), bias.to(dtype)
    nll = torch.empty(len(states), device=states.device)
    size = min(rows_per_chunk(weight, _EVALUATION_CHUNK_SCORES), max(1, len(states)))
    room = torch.empty(2, size, len(weight), dtype=dtype, device=nll.device)
    with torch.autocast(states.device.type, enabled=False):
        exact = (states.float() * weight[targets]).sum(1) + bias[targets]
    for chunk in split_rows(len(states), size):
        inputs = states[chunk].to(dtype)
        hit = torch.arange(len(inputs), device=nll.device), targets[chunk]
        scores = torch.addmm(narrow_bias, inputs, narrow.t(), out=room[0, : len(inputs)])
        gap = exact[chunk] - scores[hit].float()
        rough, chance = approximate_nll(scores, targets[chunk], room[1, : len(inputs)])
        nll[chunk] = rough - gap + torch.log1p(chance * torch.expm1(gap))
    return nll


def approximate_nll(scores: Tensor, targets: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row's NLL and its target's chance, (rows,), as good as the scores are; `max_text_tokens` is of their shape."""
    if scores.is_cuda:
        nll = nll_on_gpu(scores, targets)
        return nll, torch.exp(-nll)
    hit = torch.arange(len(scores), device=scores.device), targets
    chance = torch.softmax(scores, -1, out=room)[hit]
    return _nll_from_probability(scores, chance, targets), chance.float()


def _nll_from_probability(scores: Tensor, chance: Tensor, targets: Tensor) -> Tensor:
    """Return each row's NLL, (rows,), from its scores and the chance of its target.

    A chance that underflows is worked out anew: on a CPU only where there is
    one; a GPU would have to wait for the answer, and works out all.
    """
    if scores.is_cuda:
        return nll_on_gpu(scores, targets)
    nll = -chance.float().clamp(min=_MIN_PROBABILITY).log()
    faint = (chance < _MIN_PROBABILITY).nonzero().squeeze(1)
    if len(faint):
        nll[faint] = nn.functional.cross_entropy(
            scores[faint].float(), targets[faint], reduction="none"
        )
    return nll


def nll_on_gpu(scores: Tensor, targets: Tensor) -> Tensor:
    """Return each row's NLL, (rows,), in single precision."""
    log_shares = torch.log_softmax(scores, -1, dtype=torch.float32)
    return -log_shares.gather(1, targets.unsqueeze(1)).squeeze(1)


def rows_per_chunk(weight: Tensor, scores: int) -> int:
    """Return how many rows to hold the scores of: on a CPU few enough that these stay near it."""
    return max(1, (_GPU_CHUNK_SCORES if weight.is_cuda else scores) // len(weight))


def split_rows(rows: int, size: int) -> list[slice]:
    """Return slices of `size` rows; the last may be shorter."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
