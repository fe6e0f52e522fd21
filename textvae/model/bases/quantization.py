"""A frozen language model in 8 or 4 bits, through the package bitsandbytes.

The matrices of its layers are rounded as they are loaded: to 8 bits (Dettmers et al. 2022,
arXiv:2208.07339) or to the 4-bit type NF4 (Dettmers et al. 2023, arXiv:2305.14314).
Embeddings, norms and the projection to the vocabulary stay as they are. Rounded matrices
cannot be trained, but gradients pass through them to z and to adapters.

A rounded layer is another class of module with tensors of other shapes. So these layers are
not copied from the base, as weights are: the model takes them over as they are.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D

from textvae.errors import ConfigError
from textvae.model.bases.lora import Trained
from textvae.runtime.extras import check_installed

Bits = Literal[8, 4]

_PACKAGE = "bitsandbytes"


def check_bits(bits: int | None, trains: Trained, setting: str) -> None:
    """Check that rounded weights need not be trained.

    Args:
        setting: dotted name of the part, for the message.

    Raises:
        ConfigError: all weights are to be trained.
    """
    if bits is not None and trains == "all":
        raise ConfigError(
            f"{setting}.bits = {bits} does not work with {setting}.train = 'all': rounded weights "
            f"cannot be trained. Set {setting}.train to lora or none, or leave bits out."
        )


def check_quantization(bits: Bits, setting: str, device: str = "cpu") -> None:
    """Check that weights can be rounded on this machine.

    They are rounded on the CPU, and moved to the device of the model afterwards.

    Args:
        setting: dotted name of the part, for the message.
        device: the type of the device on which the model will be used.

    Raises:
        ConfigError: bitsandbytes is missing, or does not support the CPU or the device.
    """
    check_installed("quantized", f"weights in {bits} bits ({setting}.bits = {bits})", _PACKAGE)
    try:
        library: Any = import_module(_PACKAGE)
    except Exception as error:  # its native libraries may not fit the machine
        raise ConfigError(
            f"{setting}.bits = {bits} needs {_PACKAGE}, which cannot be imported here ({error}): "
            f"install another version of it, or leave {setting}.bits out."
        ) from error
    supported = set(getattr(library, "supported_torch_devices", ()))
    for kind in ("cpu", device):
        if kind not in supported:
            version = getattr(library, "__version__", "of unknown version")
            known = ", ".join(sorted(supported)) or "none that it names"
            raise ConfigError(
                f"{setting}.bits = {bits}: {_PACKAGE} {version} does not support the device "
                f"{kind!r} on this machine, only {known}. Upgrade it (pip install --upgrade "
                f"{_PACKAGE}), or leave {setting}.bits out."
            )


def build_loading_options(bits: Bits) -> dict[str, Any]:
    """Return the options of `from_pretrained` that round the weights of a model."""
    if bits == 8:
        config = BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    # By default transformers would put such a model on the GPU, apart from all other parts.
    return {"quantization_config": config, "device_map": {"": "cpu"}}


def find_rounded_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with rounded weights, by name."""
    return {name: layer for name, layer in module.named_modules() if _is_rounded(layer)}


def _is_rounded(layer: nn.Module) -> bool:
    """Return whether a layer is one of bitsandbytes, or has weights that are no real numbers."""
    if not isinstance(layer, nn.Linear):
        return False
    if type(layer).__module__.partition(".")[0] == _PACKAGE:
        return True
    return not layer.weight.is_floating_point()


def list_rounded_tensors(module: nn.Module) -> set[str]:
    """Return the names of all tensors of rounded layers, which are never saved with a run."""
    prefixes = tuple(f"{name}." for name in find_rounded_layers(module))
    if not prefixes:
        return set()
    return {name for name in module.state_dict() if name.startswith(prefixes)}


def keep_in_training_mode(module: nn.Module) -> None:
    """Keep rounded layers in training mode, also in a model that is evaluated.

    They have no dropout. In evaluation mode on a CPU, bitsandbytes reorders the weights of 4 bits in
    place; then gradients need them back, and `to` would move them to a GPU in the wrong order. And
    layers of 8 bits would compute other numbers than in training.
    """
    for layer in find_rounded_layers(module).values():
        layer.training = True


def take_over_layers(source: nn.Module, target: nn.Module, names: Mapping[str, str]) -> list[str]:
    """Put the rounded layers of a base in place of a model's own, without copying them.

    Args:
        names: the names of the model's weights, each with its name in the base.

    Returns:
        The names of the model's weights that need not be copied any more.
    """
    rounded = find_rounded_layers(source)
    done = []
    for name, base_name in names.items():
        path, _, _ = name.rpartition(".")
        layer = rounded.get(base_name.rpartition(".")[0])
        if layer is not None:
            target.set_submodule(path, layer)
            done.append(name)
    return done


def skip_initialization(body: nn.Module) -> None:
    """Let transformers leave the matrices alone that will be taken over.

    Otherwise a model that is loaded from a run would need memory for all of them in single
    precision: memory that is never written is never taken.
    """
    for layer in body.modules():
        if isinstance(layer, nn.Linear | Conv1D):
            marked: Any = layer
            marked._is_hf_initialized = True
