"""Linear layers with a LoRA adapter: the addition is part of a matrix product.

peft converts the input of each adapter to single precision, scales what the adapter adds, and then
adds it: with a small language model on a CPU, that takes as long as the products themselves.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


def fuse_adapters(module: nn.Module) -> None:
    """Let the plain LoRA layers of peft inside a module add in one product, in place."""
    from peft.tuners.lora.layer import Linear

    layer: Any
    for layer in module.modules():
        if type(layer) is Linear:
            # A new object would have to take over names, hooks and adapters.
            layer.__class__ = _build_class()


@cache
def _build_class() -> type[nn.Module]:
    """Return the class of these layers; peft, which it extends, need not be installed."""
    from peft.tuners.lora.layer import Linear

    class AdapterLinear(Linear):  # type: ignore[misc]
        """peft's linear layer with an adapter."""

        def forward(self, x: Tensor, *arguments: Any, **options: Any) -> Tensor:
            """Return the product with the matrix and its addition, (..., out), of (..., in)."""
            if arguments or options or not self._is_plain():
                result: Tensor = super().forward(x, *arguments, **options)
                return result
            (name,) = self.active_adapters
            if torch.is_autocast_enabled(x.device.type):
                # Once, instead of in each of the two products.
                x = x.to(torch.get_autocast_dtype(x.device.type))
            reduced = self.lora_A[name](self.lora_dropout[name](x)) * self.scaling[name]
            whole = self.base_layer(x)
            weight = self.lora_B[name].weight.to(whole.dtype)
            # In place, since nothing else needs the product with the matrix.
            rows = whole.view(-1, whole.shape[-1])
            rows.addmm_(reduced.view(-1, reduced.shape[-1]).to(whole.dtype), weight.t())
            total: Tensor = rows.view(whole.shape)
            return total

        def _is_plain(self) -> bool:
            """Whether one adapter without a bias adds to the product."""
            names = self.active_adapters
            return (
                not self.disable_adapters
                and not self.merged
                and len(names) == 1
                and names[0] in self.lora_A
                and names[0] not in self.lora_variant
                and self.lora_B[names[0]].bias is None
            )

    return AdapterLinear
