"""Attention that trains fast on a CPU: two plain matrix products and a softmax.

The backward pass of torch's fused attention takes several times as long on a CPU that multiplies
bf16 in hardware (docs/benchmarks/speed.md). Without gradients, and on a GPU, the fused one is used.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from textvae.model.kernels.dropout import Dropout

M = TypeVar("M", bound=PreTrainedModel)

_NAME = "textvae"  # in transformers' registries


def speed_up_attention(body: M) -> M:
    """Let a model with torch's fused attention train with `attend`, in place, and return it."""
    if body.config._attn_implementation == "sdpa":
        body.set_attn_implementation(_NAME)
    return body


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Return what each position reads, as transformers' `sdpa_attention_forward` does.

    Shapes:
        query: (batch, heads, length, size)
        key, value: (batch, heads or a divisor of them, keys, size)
        attention_mask: (batch or 1, heads or 1, length, keys), True or 0 where a key is read
        position_bias: (1, heads, length, keys), added to the scores
        returns: (batch, length, heads, size), and None
    """
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    is_plain = options.get("softcap") is None and options.get("cache") is None
    is_trained = torch.is_grad_enabled() and query.device.type == "cpu"
    if not is_plain or not is_trained:
        read, _ = sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            is_causal=is_causal,
            position_bias=position_bias,
            **options,
        )
        return read, None
    bias = _build_bias(query, key, attention_mask, is_causal=causal)
    if position_bias is not None:
        bias = position_bias if bias is None else position_bias + bias
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _attend_plainly(query * scale, key, value, bias, dropout), None


def _build_bias(
    query: Tensor, key: Tensor, mask: Tensor | None, *, is_causal: bool
) -> Tensor | None:
    """Return what is added to the scores so that hidden keys are not read; None if none is."""
    length, keys = query.shape[2], key.shape[2]
    if mask is None:
        if not is_causal or length == 1:
            return None
        # As in torch, position i sees the keys up to i, also if there are more keys.
        mask = torch.ones(length, keys, dtype=torch.bool, device=query.device).tril_()
    if mask.dtype == torch.bool:
        hidden = torch.finfo(query.dtype).min  # not -inf: a row may have no key to read
        return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, hidden)
    return mask.to(query.dtype)


def _attend_plainly(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """Return what each position reads, (batch, length, heads, size), from scaled queries.

    Several query heads may share a key head: their positions then stand one after another, as
    those of one longer sentence.
    """
    batch, heads, length, size = query.shape
    shared = query.reshape(batch, key.shape[1], -1, size)
    scores = shared @ key.transpose(2, 3)
    scores = scores.view(batch, heads, length, -1)
    if bias is not None:
        scores = scores + bias
    weights = scores.softmax(-1)
    if dropout > 0:
        weights = Dropout(dropout)(weights)
    weights = weights.view(batch, key.shape[1], -1, weights.shape[-1])
    read = (weights.to(value.dtype) @ value).view(batch, heads, length, -1)
    return read.transpose(1, 2).contiguous()


AttentionInterface.register(_NAME, attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
