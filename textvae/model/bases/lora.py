"""LoRA: train a low-rank addition to each weight matrix, and leave the matrix itself as it is.

Hu et al. 2022 (arXiv:2106.09685). The package peft does the work; here it adds its
adapters to a part of the model in place, and adds them into the matrices again.
"""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import nn
from transformers.pytorch_utils import Conv1D

from textvae.errors import ConfigError
from textvae.model.kernels.adapter_linear import fuse_adapters
from textvae.runtime.extras import check_installed
from textvae.schema import Size, StrictSettings

# How much of a pretrained part is trained.
Trained = Literal["all", "lora", "none"]

_BASE_LAYER = ".base_layer"  # peft keeps the original layer under this name


class LoraSettings(StrictSettings):
    """The size of the adapters, and where they are."""

    rank: Size = Field(16, description="rank of each addition")
    alpha: float = Field(32.0, gt=0, description="the addition is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the input of each addition")
    targets: str | list[str] = Field(
        "all-linear", description="names of the layers that get an adapter, as peft takes them"
    )


def check_peft(setting: str) -> None:
    """Check that adapters can be added.

    Args:
        setting: dotted name of the part, for the message.

    Raises:
        ConfigError: the package peft is not installed.
    """
    check_installed("pretrained", f"adapters ({setting}.train = 'lora')", "peft")


def add_adapters(body: nn.Module, settings: LoraSettings, setting: str) -> None:
    """Add an adapter to each linear layer of a transformer, in place, and freeze all the rest.

    The adapters start at zero, so the transformer computes the same as before.

    Args:
        setting: dotted name of the part, for the message.

    Raises:
        ConfigError: the package peft is not installed, or no layer has one of the names.
    """
    check_peft(setting)
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets,
        # GPT-2 stores its matrices transposed; peft notices it, but with a warning.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in body.modules()),
    )
    try:
        inject_adapter_in_model(config, body)
    except ValueError as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{setting}.lora.targets = {settings.targets!r}: {reason}") from error
    fuse_adapters(body)
    # transformers initializes what does not have this mark, and adapters would not start at zero.
    for name, module in body.named_modules():
        if is_adapter(f"{name}."):
            module._is_hf_initialized = True


@torch.no_grad()
def reset_adapters(body: nn.Module) -> list[nn.Parameter]:
    """Give the adapters that are trained new weights, which add nothing, in place, and return them.

    The numbers are drawn on the CPU, so that they are the same on all processes of a run.
    """
    adapters = []
    for name, weight in body.named_parameters():
        if not is_adapter(name) or not weight.requires_grad:
            continue
        fresh = torch.zeros(weight.shape)
        # As peft: the second factor is zero. For an embedding, the factors have other names.
        if ".lora_A." in name:
            nn.init.kaiming_uniform_(fresh, a=math.sqrt(5))
        elif ".lora_embedding_B." in name:
            nn.init.normal_(fresh)
        weight.copy_(fresh)
        adapters.append(weight)
    return adapters


def merge_adapters(body: nn.Module) -> None:
    """Add every adapter into the matrix that it belongs to, in place, and remove the adapter."""
    if not any(is_adapter(name) for name, _ in body.named_parameters()):
        return  # without adapters, peft need not be installed
    from peft.tuners.tuners_utils import BaseTunerLayer

    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BaseTunerLayer):
                with torch.no_grad():
                    child.merge()
                setattr(parent, name, child.get_base_layer())


def get_original_name(name: str) -> str:
    """Return the name that a parameter had before adapters were added."""
    return name.replace(_BASE_LAYER, "")


def is_adapter(name: str) -> bool:
    """Return whether a parameter of this name belongs to an adapter."""
    return ".lora_" in name
