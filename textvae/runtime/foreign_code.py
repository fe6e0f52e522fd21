"""Refuse files that ask transformers to run code from outside its own package."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textvae.errors import ConfigError, TextVAEError

# Entries by which transformers loads code from a model's folder, the Hub or another package.
_CODE_ENTRIES = {
    "auto_map",
    "custom_generate",
    "custom_pipelines",
    "kernel_config",
    "quantization_config",
    "use_kernels",
}

# These entries are safe only with the values listed here, which transformers and torch implement
# themselves. Any other value may be a kernel that is downloaded: even `flash_attention_2` is,
# if the package flash-attn is missing.
_IMPLEMENTATIONS = {
    "attn_implementation": ("eager", "sdpa", "flex_attention"),
    "experts_implementation": ("eager", "batched_mm", "grouped_mm"),
}


def refuse_foreign_code_in(folder: Path, names: tuple[str, ...], error: type[TextVAEError]) -> None:
    """Refuse a folder if one of its JSON files asks for code from outside transformers.

    A missing file, or one that is not JSON, is skipped: whoever loads it reports that.

    Args:
        folder: the folder of a model or a tokenizer.
        names: the names of the JSON files to check.
        error: the class of the error to raise.

    Raises:
        error: the message names the file, what it asks for, and how to fix it.
    """
    for name in names:
        file = folder / name
        try:
            entries = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        refuse_foreign_code(entries, str(file), error)


def refuse_foreign_code(entries: Any, source: str, error: type[TextVAEError] = ConfigError) -> None:
    """Refuse entries by which transformers would load code from outside its own package.

    Args:
        entries: nested mappings and lists, as JSON has them.
        source: where the entries come from; it begins the message.
        error: the class of the error to raise.

    Raises:
        error: the message names the source, what it asks for, and how to fix it.
    """
    for name, value in _entries_that_ask_for_code(entries):
        raise error(
            f"{source}: {name} = {_shorten_value(value)} asks for code from outside transformers, "
            f"and textvae never runs such code. Remove {name} there, or use a folder that needs "
            "no code of its own."
        )


def _entries_that_ask_for_code(entries: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each entry that asks for code, at any depth."""
    # A list instead of recursion: a hostile file can be nested deeper than Python recurses.
    waiting = [entries]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, Mapping):
            waiting += part.values()
            for name, value in part.items():
                if _asks_for_code(name, value):
                    yield name, value


def _asks_for_code(name: Any, value: Any) -> bool:
    """Return whether an entry asks for code; an empty one does not."""
    # transformers also writes these names as `_attn_implementation_internal` and the like.
    allowed = _IMPLEMENTATIONS.get(str(name).removeprefix("_").removesuffix("_internal"))
    if allowed is None:
        return name in _CODE_ENTRIES and bool(value)
    # A mapping has one implementation for each part of the model.
    choices = value.values() if isinstance(value, Mapping) else [value]
    return any(choice is not None and choice not in allowed for choice in choices)


def _shorten_value(value: Any, max_length: int = 80) -> str:
    """Return a value as Python prints it, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= max_length else f"{text[:max_length]}..."
