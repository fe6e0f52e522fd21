"""Attention that trains fast on a CPU: two plain matrix products and a softmax.

The formula is that of Vaswani et al. 2017 (arXiv:1706.03762). The backward pass of torch's
fused attention takes several times as long in bf16 on sentences (docs/benchmarks/speed.md).
Without gradients, in single precision, on a GPU and for long texts, whose scores would
take much memory, textvae uses torch's fused attention.
"""

import inspect
import re
import sys
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from textvae.model.kernels.dropout import Dropout
from textvae.runtime.device import compute_dtype

M = TypeVar("M", bound=PreTrainedModel)

_NAME = "textvae"  # in transformers' registries
_MOST_KEYS = 512  # of the plain formula, which stores a score for each pair of positions
# A model whose code asks for the name `sdpa` does something else under another name.
_ASKS_FOR_SDPA = re.compile(r'_attn_implementation\s*(==|!=|in|not in)[^\n]*"sdpa"')


def speed_up_attention(body: M) -> M:
    """Let a model with torch's fused attention train with `attend`, in place, and return it."""
    source = inspect.getsource(sys.modules[type(body).__module__])
    if body.config._attn_implementation == "sdpa" and not _ASKS_FOR_SDPA.search(source):
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
    """Return the attention output of each position, as `sdpa_attention_forward` does.

    Shapes:
        query: (batch, heads, length, size)
        key, value: (batch, heads or a divisor of them, keys, size)
        attention_mask: (batch or 1, heads or 1, length, keys), True or 0 where a key is visible
        position_bias: (1, heads, length, keys), added to the scores
        returns: (batch, length, heads, size), and None
    """
    is_plain = options.get("softcap") is None and options.get("cache") is None
    if not is_plain or not _is_faster(query, key, dropout):
        if position_bias is not None:
            options["position_bias"] = position_bias  # older releases do not know it
        output, _ = sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            is_causal=is_causal,
            **options,
        )
        return output, None
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    bias = _build_bias(query, key, attention_mask, is_causal=causal)
    if position_bias is not None:
        bias = position_bias if bias is None else position_bias + bias
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _attend_plainly(query * scale, key, value, bias, dropout), None


def _is_faster(query: Tensor, key: Tensor, dropout: float) -> bool:
    """Return whether the plain formula is faster than the fused attention."""
    if not torch.is_grad_enabled() or query.device.type != "cpu":
        return False
    if dropout > 0 and torch.compiler.is_compiling():
        return False  # our dropout cannot be compiled
    # With dropout, torch uses a plain formula too, which is slower than this one.
    is_short = key.shape[2] <= _MOST_KEYS
    return is_short and (compute_dtype(query) == torch.bfloat16 or dropout > 0)


def _build_bias(
    query: Tensor, key: Tensor, mask: Tensor | None, *, is_causal: bool
) -> Tensor | None:
    """Return what is added to the scores of hidden keys, or None if every key is visible."""
    length, keys = query.shape[2], key.shape[2]
    hidden = torch.finfo(query.dtype).min  # not -inf: all keys of a row may be hidden
    if mask is None:
        if not is_causal or length == 1:
            return None
        # As in torch, position i sees the keys up to i, also if there are more keys.
        mask = torch.ones(length, keys, dtype=torch.bool, device=query.device).tril_()
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(~mask, hidden)
    return mask.clamp(min=hidden).to(query.dtype)


def _attend_plainly(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float
) -> Tensor:
    """Return the attention output of each position, (batch, length, heads, size).

    Query heads that share a key head are concatenated along the length.

    Args:
        query: scaled, (batch, heads, length, size).
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
    output = (weights.to(value.dtype) @ value).view(batch, heads, length, -1)
    return output.transpose(1, 2).contiguous()


AttentionInterface.register(_NAME, attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
