"""Projection to the vocabulary, fused with the cross-entropy, a few hundred rows at a time.

The usual code stores the scores of every token over the whole vocabulary, and
passes over them half a dozen times. Here a chunk of rows is projected, turned
into probabilities, and turned at once into the gradients of states and weights,
while it is still in the processor's cache. No tensor of size (tokens, vocab)
ever exists. On a CPU the caller leaves out padding, so it is never projected. On a GPU
the CPU would have to wait for the number of real tokens in every step, so there the
padding, of which batches of similar length have little, is projected and not counted.

Pretrained decoders add three cases: no bias, frozen weights, and a soft cap of
the scores, cap * tanh(scores / cap), as in Gemma 2 (arXiv:2408.00118).
`torch.nn.functional.linear_cross_entropy`, new in torch 2.13, also works in
chunks. It has no cap, and the NLL of each row costs it one more product with the
vocabulary, four instead of three; docs/benchmarks/loss.md compares the speeds.
"""

from typing import Any

import torch
from torch import Tensor, nn

from textvae.runtime.device import compute_dtype

_MIN_PROBABILITY = 1e-30  # safely above the smallest normal number of bf16, about 1e-38

# Rows times vocabulary in one chunk. On a CPU the chunk should stay in the
# cache; the smaller one is for evaluation, which has no gradients to form. A GPU
# does a few large chunks faster than many small ones.
TRAINING_CHUNK_SCORES = 2**23
_EVALUATION_CHUNK_SCORES = 2**22
_GPU_CHUNK_SCORES = 2**27
# Each chunk passes over the whole weight, and in training over its gradient. Over a vocabulary of
# 150,000, chunks of a hundred rows of training, or of thirty of evaluation, would spend up to half
# of the time on that.
_LEAST_TRAINING_ROWS = 256
_LEAST_EVALUATION_ROWS = 128


def token_nll(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    scale: float,
    *,
    cap: float | None = None,
    is_counted: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the sum of the NLL times `scale`, differentiable, and the NLL of each row, in nats.

    Gradients are computed only for those of `states`, `weight` and `bias` that require one.

    Args:
        cap: soft cap of the scores; None leaves them as they are.
        is_counted: which rows count; the NLL of the others, whose targets may be any token, is 0.
            By default all rows count.

    Shapes:
        states: (rows, size); targets, is_counted: (rows,); weight: (vocab, size); bias: (vocab,)
        returns: scalar and (rows,)
    """
    if torch.is_grad_enabled():
        total, nll = _FusedNLL.apply(  # type: ignore[no-untyped-call]
            states, weight, bias, targets, scale, cap, is_counted
        )
        return total, nll
    nll = nll_without_grad(states, weight, bias, targets, compute_dtype(states), cap=cap)
    if is_counted is not None:
        nll = nll * is_counted
    return nll.sum() * scale, nll


def nll_without_grad(
    states: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    dtype: torch.dtype,
    *,
    cap: float | None = None,
) -> Tensor:
    """Return the NLL of each row in nats, (rows,), without gradient, from scores of type `dtype`.

    Scores of reduced precision only enter the normalizer. The score of the target
    itself is computed in single precision and replaces the other one in the sum:
    if it is higher by `gap`, then the exact NLL is

        -log p - gap + log(1 + p (exp(gap) - 1))

    where p is the target's probability from the scores of reduced precision. With a
    soft cap, all these scores are capped ones.

    Shapes:
        as in `token_nll`
    """
    cast_weight = weight.to(dtype)
    cast_bias = None if bias is None else bias.to(dtype)
    nll = torch.empty(len(states), device=states.device)
    size = max(rows_per_chunk(weight, _EVALUATION_CHUNK_SCORES), _LEAST_EVALUATION_ROWS)
    size = min(size, max(1, len(states)))
    # All chunks write their scores and probabilities to the same memory, which
    # saves allocating it for each.
    buffers = torch.empty(2, size, len(weight), dtype=dtype, device=nll.device)
    # Single precision also if the caller has switched autocast on.
    with torch.autocast(states.device.type, enabled=False):
        exact = (states.float() * weight[targets]).sum(1)
        if bias is not None:
            exact = exact + bias[targets]
        exact = cap_logits(exact, cap)
    for chunk in split_rows(len(states), size):
        inputs = states[chunk].to(dtype)
        rows = torch.arange(len(inputs), device=nll.device)
        scores = _compute_scores(inputs, cast_weight, cast_bias, cap, buffers[0, : len(inputs)])
        gap = exact[chunk] - scores[rows, targets[chunk]].float()
        approximate, probability = approximate_nll(
            scores, targets[chunk], buffers[1, : len(inputs)]
        )
        nll[chunk] = approximate - gap + torch.log1p(probability * torch.expm1(gap))
    return nll


def cap_logits(logits: Tensor, cap: float | None) -> Tensor:
    """Return the logits, softly limited to the range from -cap to cap: cap * tanh(logits / cap)."""
    if cap is None:
        return logits
    return torch.tanh(logits / cap) * cap


def _compute_scores(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None, out: Tensor
) -> Tensor:
    """Write the scores of a chunk, (rows, vocab), capped if there is a cap, to `out`."""
    if bias is None:
        torch.mm(inputs, weight.t(), out=out)
    else:
        torch.addmm(bias, inputs, weight.t(), out=out)
    if cap is not None:
        out.div_(cap).tanh_().mul_(cap)
    return out


class _FusedNLL(torch.autograd.Function):
    """Sum of negative log-likelihoods times a scale; the forward pass also forms the gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scale: float,
        cap: float | None,
        is_counted: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the scaled sum, and each row's NLL without gradient; shapes as in `token_nll`."""
        dtype = compute_dtype(states)
        cast_weight = weight.to(dtype)
        cast_bias = None if bias is None else bias.to(dtype)
        nll = torch.empty(len(states), device=states.device)
        gradients = _Gradients(states, weight, bias, ctx.needs_input_grad)
        size = rows_per_chunk(weight, TRAINING_CHUNK_SCORES)
        if bias is None:
            # With a bias, chunks keep the size that earlier versions gave them, so that the
            # numbers of earlier runs can be repeated bit for bit.
            size = max(size, _LEAST_TRAINING_ROWS)
        # The probabilities replace the scores, unless a cap needs these for its derivative.
        count = 1 if cap is None else 2
        shape = (count, min(size, len(states)), len(weight))
        buffers = torch.empty(shape, dtype=dtype, device=states.device)
        for chunk in split_rows(len(states), size):
            inputs = states[chunk].to(dtype)
            rows = torch.arange(len(inputs), device=states.device)
            scores = _compute_scores(inputs, cast_weight, cast_bias, cap, buffers[0, : len(inputs)])
            if scores.device.type != "cpu":
                nll[chunk] = nll_on_gpu(scores, targets[chunk])
            probabilities = torch.softmax(scores, -1, out=buffers[-1, : len(inputs)])
            target_probability = probabilities[rows, targets[chunk]]
            if scores.device.type == "cpu":
                nll[chunk] = -target_probability.float().clamp(min=_MIN_PROBABILITY).log()
                tiny = (target_probability < _MIN_PROBABILITY).nonzero().squeeze(1)
                if len(tiny):
                    nll[chunk][tiny] = _nll_of_tiny_probabilities(
                        inputs[tiny], cast_weight, cast_bias, cap, targets[chunk][tiny]
                    )
            # The gradient of the NLL with respect to the scores: softmax - one-hot target,
            # written over the probabilities.
            probabilities[rows, targets[chunk]] = target_probability - 1
            d_scores = probabilities
            if cap is not None:
                # The derivative of the cap is 1 - tanh^2, and the capped scores are cap * tanh.
                d_scores.addcmul_(d_scores, scores.div_(cap).square_(), value=-1)
            counts = None
            if is_counted is not None:
                counts = is_counted[chunk].unsqueeze(1).to(dtype)
            gradients.add(chunk, inputs, d_scores, cast_weight, scale, counts)
        ctx.save_for_backward(gradients.states, gradients.weight, gradients.bias)
        if is_counted is not None:
            nll *= is_counted
        ctx.mark_non_differentiable(nll)
        return nll.sum() * scale, nll

    @staticmethod
    def backward(
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None, None]:
        """Multiply the gradients of the forward pass by the gradient of the sum."""
        d_states, d_weight, d_bias = ctx.saved_tensors
        upstream = grads[0]
        # In training it is nearly always 1, and skipping the product saves a pass over
        # the weights. On a GPU, the CPU would have to wait for the value.
        if upstream.device.type == "cpu" and float(upstream) == 1.0:
            return d_states, d_weight, d_bias, None, None, None, None
        if d_states is not None:
            d_states = d_states * upstream.to(d_states.dtype)
        if d_weight is not None:
            d_weight = d_weight * upstream
        if d_bias is not None:
            d_bias = d_bias * upstream
        return d_states, d_weight, d_bias, None, None, None, None


class _Gradients:
    """The gradients of states, weight and bias, summed over chunks; None where none is needed.

    A frozen weight saves one of the three products with the vocabulary.
    """

    def __init__(
        self, states: Tensor, weight: Tensor, bias: Tensor | None, is_needed: tuple[bool, ...]
    ) -> None:
        self.needs_weight = is_needed[1]
        self.weight_dtype = weight.dtype
        self.states = torch.empty_like(states) if is_needed[0] else None
        self.bias = torch.zeros_like(bias) if bias is not None and is_needed[2] else None
        # The first chunk's product becomes the gradient, which saves filling a tensor of
        # that size with zeros. Without rows there is no chunk, and the gradient is 0.
        self.weight: Tensor | None = None
        self.part: Tensor | None = None
        # Adding in place needs less memory, but rounds differently. Heads with a bias keep the
        # rounding of earlier versions, so that earlier runs can be repeated.
        self.adds_in_place = bias is None
        if self.needs_weight and len(states) == 0:
            self.weight = torch.zeros_like(weight)

    def add(
        self,
        chunk: slice,
        inputs: Tensor,
        d_scores: Tensor,
        weight: Tensor,
        scale: float,
        counts: Tensor | None,
    ) -> None:
        """Add a chunk of rows to the gradients, from the gradient of its scores, (rows, vocab).

        Args:
            counts: (rows, 1), 1 for the rows that count and 0 for the others; None if all count.
        """
        if self.states is not None:
            d_states = torch.mm(d_scores, weight) * scale
            self.states[chunk] = d_states if counts is None else d_states * counts
        if counts is not None:
            inputs = inputs * counts
        if self.needs_weight:
            # Scaling the inputs here is cheaper than scaling a (vocab, size) product.
            self._add_to_weight(d_scores.t(), inputs * scale)
        if self.bias is not None:
            total = d_scores.sum(0) if counts is None else torch.mv(d_scores.t(), counts[:, 0])
            self.bias += total * scale

    def _add_to_weight(self, d_scores: Tensor, inputs: Tensor) -> None:
        """Add the product of (vocab, rows) and (rows, size) to the gradient of the weight."""
        if self.weight is not None and self.adds_in_place and self.weight.dtype == inputs.dtype:
            self.weight.addmm_(d_scores, inputs)
            return
        # The product of every chunk but the first is written to the same memory.
        part = torch.mm(d_scores, inputs, out=self.part)
        if self.weight is None:
            self.weight = part.to(self.weight_dtype)
            self.part = None if self.weight is part else part
        else:
            self.part = part
            self.weight.add_(part)


def _nll_of_tiny_probabilities(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None, targets: Tensor
) -> Tensor:
    """Return the NLL of rows whose target's probability underflows, (rows,), from their scores."""
    scores = inputs.new_empty(len(inputs), len(weight))
    _compute_scores(inputs, weight, bias, cap, scores)
    return nn.functional.cross_entropy(scores.float(), targets, reduction="none")


def approximate_nll(scores: Tensor, targets: Tensor, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """Return the NLL and the target's probability of each row, (rows,), as precise as the scores.

    Shapes:
        scores: (rows, vocab); targets: (rows,)
        buffer: (rows, vocab), overwritten on a CPU
    """
    if scores.device.type != "cpu":
        nll = nll_on_gpu(scores, targets)
        return nll, torch.exp(-nll)
    rows = torch.arange(len(scores), device=scores.device)
    probability = torch.softmax(scores, -1, out=buffer)[rows, targets]
    return _nll_from_probability(scores, probability, targets), probability.float()


def _nll_from_probability(scores: Tensor, probability: Tensor, targets: Tensor) -> Tensor:
    """Return the NLL of each row, (rows,), from its scores and its target's probability."""
    if scores.device.type != "cpu":
        # The branch below needs to know whether there are tiny probabilities. A GPU
        # would have to wait for the answer, so here all rows are computed exactly.
        return nll_on_gpu(scores, targets)
    nll = -probability.float().clamp(min=_MIN_PROBABILITY).log()
    # A probability that underflows has lost its logarithm; the scores still have it.
    tiny = (probability < _MIN_PROBABILITY).nonzero().squeeze(1)
    if len(tiny):
        nll[tiny] = nn.functional.cross_entropy(
            scores[tiny].float(), targets[tiny], reduction="none"
        )
    return nll


def nll_on_gpu(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the NLL of each row, (rows,), in single precision."""
    log_probabilities = torch.log_softmax(scores, -1, dtype=torch.float32)
    return -log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1)


def rows_per_chunk(weight: Tensor, scores: int) -> int:
    """Return how many rows have `scores` scores in total; on a GPU, `_GPU_CHUNK_SCORES` instead."""
    if weight.is_cuda:
        scores = _GPU_CHUNK_SCORES
    return max(1, scores // len(weight))


def split_rows(rows: int, size: int) -> list[slice]:
    """Return slices of `size` rows that cover all rows; the last one may be shorter."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
