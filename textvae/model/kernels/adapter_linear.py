"""Linear layers with a LoRA adapter: the addition is part of a matrix product.

peft converts the input of each adapter to single precision, scales what the adapter adds, and then
adds it: with a small language model on a CPU, that takes as long as the products themselves.
"""

from typing import Any

from torch import nn


def fuse_adapters(module: nn.Module) -> None:
    """Replace peft's plain LoRA layers inside a module by `AdapterLinear`, in place."""
    from peft.tuners.lora.layer import Linear

    from textvae.model.kernels.adapter_layer import AdapterLinear

    layer: Any
    for layer in module.modules():
        if type(layer) is Linear:
            # A new object would have to take over names, hooks and adapters.
            layer.__class__ = AdapterLinear
