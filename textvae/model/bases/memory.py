"""Estimate the memory that a base needs, and refuse it before loading if it cannot fit."""

import os
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, Unpack

import torch

from textvae.errors import ConfigError
from textvae.model.bases.source import Base
from textvae.terminal import quote_value

# Numbers that a layer keeps per token for the backward pass, in hidden sizes. Measured with
# the hooks for saved tensors: 21 to 34 for BERT, GPT-2, Llama, Qwen 3, Gemma 3 and T5. Without
# gradients of the weights, 14 to 27. The lowest are used: a base is refused only if it cannot fit.
_STATES_TRAINED = 20
_STATES_FROZEN = 14
_FLOAT32_BYTES = 4
_SMALLEST_BATCH = 64  # tokens; a smaller batch is not worth suggesting
MEMORY_VARIABLE = "TEXTVAE_MEMORY_GB"
_NO_LIMIT = 1 << 60  # the kernel writes a number near 2**63 if a control group has no limit


class BaseUse(TypedDict):
    """How a base is used, which decides what it needs memory for.

    Attributes:
        role: an encoder-decoder model is loaded only in part.
        trains: all weights, only adapters (LoRA), or none.
        dtype_bytes: size of a weight: 4 for float32, 2 for bfloat16.
        batch_tokens: number of tokens in a batch, padding included.
        lora_rank: rank of the adapters; 8 if left out.
        bits: number of bits that the matrices of the layers are rounded to; left out if they are not.
        depth_with_gradients: share of the layers that a gradient passes through; 1 if left out.
    """

    role: Literal["encoder", "decoder"]
    trains: Literal["all", "lora", "none"]
    dtype_bytes: int
    batch_tokens: int
    lora_rank: NotRequired[int]
    bits: NotRequired[int]
    depth_with_gradients: NotRequired[float]


def estimate_memory(base: Base, **use: Unpack[BaseUse]) -> int:
    """Return the least memory that training with a base needs, in bytes.

    With P parameters of b bytes, T tokens in a batch, L layers and hidden size H, it is the sum of

        weights                         P * b, but bits / 8 for each rounded one
        gradients and AdamW's states    3 * P * b if all weights train, times `depth_with_gradients`
        adapters                        4 * 4 * rank * (rows + columns) of each matrix, for LoRA:
                                        weight, gradient and two states, in float32
        states for the backward pass    20 * T * L * H * b if all weights train;
                                        14 * T * L * H * b if the gradient only passes through

    where L counts only the layers that a gradient passes through. A frozen encoder keeps no states,
    because no gradient enters it. The projection to the vocabulary is left out: it is computed in
    small pieces.
    """
    return _count_fixed_bytes(base, use) + use["batch_tokens"] * _count_bytes_per_token(base, use)


def check_memory(
    base: Base,
    setting: str,
    device: torch.device,
    *,
    reserved: int = 0,
    available: int | None = None,
    **use: Unpack[BaseUse],
) -> int:
    """Check that a base fits into the memory of a device, and return its estimate in bytes.

    Args:
        setting: the key under which the user wrote the base's name, for messages.
        reserved: bytes that other parts will need, for instance a base that is already checked.
        available: bytes that are free; default: those of the device.

    Raises:
        ConfigError: it does not fit; the message says what would.
    """
    needed = estimate_memory(base, **use)
    if available is None:
        available = read_available_memory(device)
    if available is None or needed + reserved <= available:
        return needed
    left = max(0, available - reserved)
    place = "on the GPU" if device.type == "cuda" else "on this machine"
    for_others = f" next to {format_bytes(reserved)} for other parts" if reserved else ""
    raise ConfigError(
        f"{setting} = {base.name!r} ({base.parameters:,} parameters) needs at least "
        f"{format_bytes(needed)} {_describe_use(use)}, and {format_bytes(left)} are free "
        f"{place}{for_others}. {_suggest_changes(base, use, left)}"
    )


def read_available_memory(device: torch.device, root: Path = Path("/")) -> int | None:
    """Return the bytes that this process can still use on a device; None if unknown.

    The environment variable TEXTVAE_MEMORY_GB replaces what the system reports.

    Args:
        root: where the system's folders `proc` and `sys` are.

    Raises:
        ConfigError: the variable is not a number above zero.
    """
    named = os.environ.get(MEMORY_VARIABLE)
    if named is not None:
        return _parse_gigabytes(named)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        # What torch keeps for later tensors is not free for others, but it is for us.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu":
        return None
    limits = [_read_free_memory(root), *_read_group_limits(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def _parse_gigabytes(text: str) -> int:
    """Return the bytes of a number of gigabytes.

    Raises:
        ConfigError: it is not a number above zero.
    """
    try:
        size = int(float(text) * 10**9)
    except (ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise ConfigError(
            f"{MEMORY_VARIABLE} = {quote_value(text)}: expected a number above zero, in GB, such as 16."
        )
    return size


def _count_fixed_bytes(base: Base, use: BaseUse) -> int:
    """Return the bytes of weights, gradients, optimizer states and adapters."""
    shapes = _select_shapes(base, use["role"])
    share = sum(map(_count_values, shapes)) / max(1, sum(map(_count_values, base.shapes.values())))
    weights = int(base.parameters * share) * use["dtype_bytes"]
    embedding_rows = getattr(base.config.get_text_config(), "vocab_size", None)
    matrices = [shape for shape in shapes if len(shape) == 2 and shape[0] != embedding_rows]
    if "bits" in use:
        rounded = sum(map(_count_values, matrices))
        weights += rounded * use["bits"] // 8 - rounded * use["dtype_bytes"]
    if use["trains"] == "all":
        # The layers below the entry of z are frozen.
        return weights + int(3 * weights * use.get("depth_with_gradients", 1.0))
    if use["trains"] == "none":
        return weights
    return weights + 4 * _FLOAT32_BYTES * use.get("lora_rank", 8) * sum(map(sum, matrices))


def _count_bytes_per_token(base: Base, use: BaseUse) -> int:
    """Return the bytes that all layers keep per token for the backward pass."""
    if use["trains"] == "none" and use["role"] == "encoder":
        return 0
    states = _STATES_TRAINED if use["trains"] == "all" else _STATES_FROZEN
    config = base.config.get_text_config(decoder=use["role"] == "decoder")
    layers = int(getattr(config, "num_hidden_layers", 0) or 0)
    hidden = int(getattr(config, "hidden_size", 0) or 0)
    passed = use.get("depth_with_gradients", 1.0) * layers
    return int(states * passed * hidden * use["dtype_bytes"])


def _select_shapes(base: Base, role: str) -> list[tuple[int, ...]]:
    """Return the shapes of the tensors that a role loads.

    An encoder leaves out the projection to the vocabulary.
    """
    unused = [".lm_head.", ".embed_out."] if role == "encoder" else []
    if base.config.is_encoder_decoder:
        unused.append(".decoder." if role == "encoder" else ".encoder.")
    return [
        shape
        for name, shape in base.shapes.items()
        if not any(part in f".{name}" for part in unused)
    ]


def _count_values(shape: tuple[int, ...]) -> int:
    """Return the number of values in a tensor."""
    return torch.Size(shape).numel()


def _suggest_changes(base: Base, use: BaseUse, left: int) -> str:
    """Return which single changes would make a base fit, or else that a smaller one is needed."""
    changes: dict[str, BaseUse] = {}
    if use["trains"] == "all":
        changes["train: lora"] = {**use, "trains": "lora"}
    if use["trains"] != "none":
        changes["train: none"] = {**use, "trains": "none"}
    for bits in (8, 4):
        if use["role"] == "decoder" and bits < use.get("bits", 32):
            trains = "lora" if use["trains"] == "all" else use["trains"]
            changes[f"bits: {bits} with train: {trains}"] = {**use, "trains": trains, "bits": bits}
    fitting: list[str] = []
    for name, change in changes.items():
        needed = estimate_memory(base, **change)
        if needed <= left:
            fitting.append(f"{name} ({format_bytes(needed)})")
    per_token = _count_bytes_per_token(base, use)
    tokens = (left - _count_fixed_bytes(base, use)) // per_token if per_token else 0
    if tokens >= _SMALLEST_BATCH:
        fitting.append(f"batches of at most {tokens:,} tokens")
    if fitting:
        return f"What would fit: {'; '.join(fitting)}."
    return "Name a smaller model, or use a machine with more memory."


def _describe_use(use: BaseUse) -> str:
    """Return what trains and how, for a message."""
    how = {"all": "to train all weights", "lora": "to train adapters", "none": "as frozen weights"}
    return f"{how[use['trains']]} (batches of {use['batch_tokens']:,} tokens)"


def _read_free_memory(root: Path) -> int | None:
    """Return the memory that Linux calls available: free, or in caches that it would give up."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _read_group_limits(root: Path) -> list[int]:
    """Return what is left below the limit of each control group that this process is in.

    Containers and job schedulers set these limits; going beyond one ends the process.
    """
    limits: list[int | None] = []
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        relative = Path(path.lstrip("/"))
        # A limit of an outer group also holds for the inner ones.
        for inner in [relative, *relative.parents]:
            if not controllers:
                folder = root / "sys/fs/cgroup" / inner
                limits.append(_read_group_limit(folder, "memory.max", "memory.current", ""))
            elif "memory" in controllers.split(","):
                folder = root / "sys/fs/cgroup/memory" / inner
                files = ("memory.limit_in_bytes", "memory.usage_in_bytes")
                limits.append(_read_group_limit(folder, *files, "total_"))
    return [limit for limit in limits if limit is not None]


def _read_group_limit(folder: Path, limit_file: str, usage_file: str, prefix: str) -> int | None:
    """Return what is left below the limit of one control group; None if it has no limit."""
    try:
        limit = int((folder / limit_file).read_text())  # the word max is no number
        usage = int((folder / usage_file).read_text())
        statistics = (folder / "memory.stat").read_text().split()
    except (OSError, ValueError):
        return None
    if limit >= _NO_LIMIT:
        return None
    # The usage includes cached files, which the kernel gives up before it ends a process.
    values = dict(zip(statistics[::2], statistics[1::2], strict=False))
    cached = sum(int(values.get(f"{prefix}{name}_file", 0)) for name in ("active", "inactive"))
    return max(0, limit - usage + cached)


def format_bytes(size: int) -> str:
    """Return a size in units of 1000 bytes, as 1.2 GB."""
    if size >= 10**9:
        return f"{size / 10**9:,.1f} GB"
    return f"{size / 10**6:,.1f} MB"
