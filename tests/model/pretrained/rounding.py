"""A stand-in for bitsandbytes, whose layers of 8 bits it imitates; the package is optional."""

from collections.abc import Collection
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from textvae.model.bases import quantization
from textvae.runtime import extras


class RoundedLinear(nn.Linear):
    """A linear layer with one byte per weight, and a scale for each output."""

    scale: Tensor

    def __init__(self, layer: nn.Module) -> None:
        nn.Module.__init__(self)
        is_transposed = isinstance(layer, Conv1D)
        weight = layer.get_parameter("weight").detach()
        weight = weight.t() if is_transposed else weight
        scale = weight.abs().amax(1, keepdim=True) / 127
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter((weight / scale).round().to(torch.int8), requires_grad=False)
        bias: Any = layer.bias
        self.register_parameter("bias", None if bias is None else nn.Parameter(bias.detach()))
        self.register_buffer("scale", scale)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        """Return the product with the rounded weights."""
        return nn.functional.linear(input, self.weight * self.scale, self.bias)


def install_stand_in(monkeypatch: Any, devices: Collection[str] = ("cpu",)) -> list[dict[str, Any]]:
    """Let the package seem to be installed, and transformers round with it.

    Returns:
        The options with which models are loaded from now on.
    """
    library = ModuleType("bitsandbytes")
    library.__dict__.update(supported_torch_devices=set(devices), __version__="0.99")
    # Not in sys.modules, where peft and transformers would find it and use more of it.
    monkeypatch.setattr(quantization, "import_module", lambda name: library)
    find = find_spec
    monkeypatch.setattr(
        extras, "find_spec", lambda name: True if name == "bitsandbytes" else find(name)
    )
    load = AutoModelForCausalLM.from_pretrained
    seen: list[dict[str, Any]] = []

    def load_rounded(folder: str, **options: Any) -> Any:
        seen.append(dict(options))
        config = options.pop("quantization_config", None)
        options.pop("device_map", None)
        model, report = load(folder, **options)
        if config is not None:
            model.config.quantization_config = config
            _round_layers(model)
        return model, report

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", load_rounded)
    return seen


def _round_layers(model: nn.Module) -> None:
    """Round all linear layers but the projection to the vocabulary."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear | Conv1D) and "lm_head" not in name:
            model.set_submodule(name, RoundedLinear(layer))
    assert quantization.find_rounded_layers(model)
