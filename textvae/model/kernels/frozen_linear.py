"""Linear layers whose weights do not change: cast to bf16 once, not in every pass.

Autocast casts the weights of a linear layer each time that it runs. For a pretrained
transformer that is not trained, this takes longer than its matrix products do on a CPU.
The results are the same, bit for bit.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


class _CastOnce:
    """The weights of a layer in the type of autocast, cast again if they have changed."""

    def __init__(self) -> None:
        self.source: tuple[Any, ...] = ()
        self.weight = torch.empty(0)
        self.bias: Tensor | None = None

    def cast(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias in the type of autocast, without gradient."""
        dtype = torch.get_autocast_dtype(weight.device.type)
        source = (dtype, weight.device, weight.data_ptr(), weight._version)
        if source != self.source:
            self.weight = weight.detach().to(dtype)
            self.bias = None if bias is None else bias.detach().to(dtype)
            self.source = source
        return self.weight, self.bias


class FrozenLinear(nn.Linear):
    """An `nn.Linear` with frozen weights."""

    cast_once: _CastOnce

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Return the product, (..., out_features), of (..., in_features)."""
        if self.weight.requires_grad or not torch.is_autocast_enabled(input.device.type):
            return super().forward(input)
        weight, bias = self.cast_once.cast(self.weight, self.bias)
        return nn.functional.linear(input, weight, bias)


class FrozenConv1D(Conv1D):  # type: ignore[misc]
    """The linear layer of GPT-2, whose weights are transposed, with frozen weights."""

    cast_once: _CastOnce

    def forward(self, x: Tensor) -> Tensor:
        """Return the product, (..., nf), of (..., nx)."""
        if self.weight.requires_grad or not torch.is_autocast_enabled(x.device.type):
            result: Tensor = super().forward(x)
            return result
        weight, bias = self.cast_once.cast(self.weight, self.bias)
        return nn.functional.linear(x, weight.t(), bias)


_FROZEN = {nn.Linear: FrozenLinear, Conv1D: FrozenConv1D}


def cast_frozen_layers_once(module: nn.Module) -> None:
    """Let the linear layers inside a module cast their weights once while these are frozen."""
    layer: Any
    for layer in module.modules():
        frozen_class = _FROZEN.get(type(layer))
        if frozen_class is not None:
            # A new object would have to take over names, hooks and adapters.
            layer.__class__ = frozen_class
            layer.cast_once = _CastOnce()
