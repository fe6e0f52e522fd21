"""The size of a model: refuse one that cannot fit into memory before it is built."""

import torch

from textvae.errors import ConfigError
from textvae.model.bases.memory import format_bytes, read_available_memory
from textvae.model.configuration import TextVAEConfig
from textvae.model.modeling import TextVAEModel

# Each parameter takes a weight, a gradient and the two moments of Adam, in float32.
_BYTES_PER_PARAMETER = 16


def check_model_fits(
    config: TextVAEConfig, device: torch.device, available: int | None = None
) -> None:
    """Check that a model without bases can be trained in the memory of a device.

    Args:
        available: bytes that are free; default: those of the device.

    Raises:
        ConfigError: it does not fit; the message names its largest tensor.
    """
    if available is None:
        available = read_available_memory(device)
    shapes = _list_shapes(config)
    if available is None or shapes is None:
        return
    count = sum(shape.numel() for shape in shapes.values())
    needed = count * _BYTES_PER_PARAMETER
    if needed <= available:
        return
    largest = max(shapes, key=lambda name: shapes[name].numel())
    place = "on the GPU" if device.type == "cuda" else "on this machine"
    rows = " x ".join(f"{size:,}" for size in shapes[largest])
    lower = "the sizes of that part in model.*"
    if config.vocab_size in shapes[largest]:
        lower = f"tokenizer.vocab_size, or {lower}"
    raise ConfigError(
        f"the model has {count:,} parameters, whose training needs at least "
        f"{format_bytes(needed)}, and {format_bytes(available)} are free {place}: "
        f"{available // _BYTES_PER_PARAMETER:,} parameters would fit. "
        f"Its largest tensor is {largest} ({rows}); lower {lower}."
    )


def _list_shapes(config: TextVAEConfig) -> dict[str, torch.Size] | None:
    """Return the shapes of a model's parameters by name; None if they cannot be known."""
    # On the device `meta`, tensors have shapes and no memory. The random numbers of the real
    # model must not depend on this one.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            model = TextVAEModel(config)
        except (NotImplementedError, RuntimeError):
            return None  # a part computes with its weights; it will be built without this check
    return {name: weight.shape for name, weight in model.named_parameters()}
