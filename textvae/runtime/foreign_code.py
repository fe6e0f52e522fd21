"""Refuse files that ask transformers to run code from outside its own package."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textvae.errors import ConfigError, TextVAEError

# Entries by which transformers finds code outside its own package: in the folder, in the hub, or in another package.
_ASKS_FOR_CODE = {
    "auto_map",
    "custom_generate",
    "custom_pipelines",
    "kernel_config",
    "quantization_config",
    "use_kernels",
}


# The same for these, unless they name what transformers and torch have themselves: any other value may be a kernel
# that is downloaded (`flash_attention_2` too, where the package flash-attn is missing).
_IMPLEMENTATIONS = {
    "attn_implementation": ("eager", "sdpa", "flex_attention"),
    "experts_implementation": ("eager", "batched_mm", "grouped_mm"),
}


def refuse_foreign_code_in(folder: Path, names: tuple[str, ...], error: type[TextVAEError]) -> None:
    """Refuse a folder whose JSON files of these names ask for code; a file that is no JSON is left to its reader.

    Raises:
        error: with the file, what it asks for, and how to fix it.
    """
    for file in (folder / name for name in names):
        try:
            entries = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        refuse_foreign_code(entries, str(file), error)


def refuse_foreign_code(entries: Any, source: str, error: type[TextVAEError] = ConfigError) -> None:
    """Refuse entries by which transformers would load code from outside its own package.

    Raises:
        error: with the source, what it asks for, and how to fix it.
    """
    for name, value in _entries_that_ask_for_code(entries):
        raise error(
            f"{source}: {name} = {_shorten_value(value)} asks for code from outside transformers, and textvae never runs "
            f"such code. Remove {name} there, or use a folder that needs no code of its own."
        )


def _entries_that_ask_for_code(entries: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and values of such entries, at any depth."""
    waiting = [entries]  # a list rather than recursion: a file may be nested as deeply as it likes
    while waiting:
        within = waiting.pop()
        if isinstance(within, list):
            waiting += within
        elif isinstance(within, Mapping):
            waiting += within.values()
            yield from (
                (name, value) for name, value in within.items() if _asks_for_code(name, value)
            )


def _asks_for_code(name: Any, value: Any) -> bool:
    """Tell whether an entry asks for code; an empty one does not."""
    own = _IMPLEMENTATIONS.get(str(name).removeprefix("_").removesuffix("_internal"))
    if own is None:
        return name in _ASKS_FOR_CODE and bool(value)
    # A mapping has one implementation for each part of the model.
    each = value.values() if isinstance(value, Mapping) else [value]
    return any(one is not None and one not in own for one in each)


def _shorten_value(value: Any, most: int = 80) -> str:
    """Return a value as Python shows it, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= most else f"{shown[:most]}..."
