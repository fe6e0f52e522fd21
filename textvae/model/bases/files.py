"""The files of a base: which are downloaded, which are missing, and the headers of its weights.

transformers reads weights from `model.safetensors`, or from several files that
`model.safetensors.index.json` lists. A safetensors file begins with a header, which has the name,
the number type and the shape of each tensor; it is read here without the tensors.
"""

import json
import math
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open

from textvae.errors import ConfigError

CONFIG_FILE = "config.json"
MODULES_FILE = "modules.json"  # sentence-transformers lists the modules of a model there
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.*", "merges.txt", "*.model")

_ADAPTER_FILE = "adapter_config.json"
_SMALL_FILES = (
    CONFIG_FILE,
    INDEX_FILE,
    "generation_config.json",
    "README.md",
    *TOKENIZER_FILES,
    "special_tokens_map.json",
    "added_tokens.json",
    MODULES_FILE,
    "sentence_*_config.json",
    "config_sentence_transformers.json",
)
# Repositories often hold the same weights again, as `consolidated-...` or `model.fp16-...`.
_SHARD = re.compile(r"(pytorch_)?model-\d+-of-\d+\.safetensors")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
_OTHER_FORMATS = {
    "*.h5": "TensorFlow",
    "*.msgpack": "Flax",
    "*.onnx": "ONNX",
    "*.mlmodel": "Core ML",
}
_POINTER = b"version https://git-lfs"  # the first bytes of a file that Git LFS did not fetch


@dataclass(frozen=True)
class WeightHeaders:
    """What the headers of the weight files say.

    Attributes:
        shapes: the shape of each tensor, by its name.
        parameters: number of floating-point values.
        bytes: size of all tensors in the files.
    """

    shapes: dict[str, tuple[int, ...]]
    parameters: int
    bytes: int


def list_files(folder: Path) -> set[str]:
    """Return the files in a folder, and the configs in its folders, as relative names.

    Raises:
        OSError: the folder cannot be read.
    """
    names: set[str] = set()
    for entry in folder.iterdir():
        if not entry.is_dir():
            names.add(entry.name)
        elif os.path.isfile(entry / CONFIG_FILE):  # Path.is_file fails in a folder without access
            names.add(f"{entry.name}/{CONFIG_FILE}")
    return names


def choose_downloads(names: Collection[str]) -> list[str]:
    """Return the files of a repository that a base needs, among all of its files.

    The weights are downloaded once: a whole file, or else its shards.
    """
    chosen: list[str] = []
    for name in sorted(names):
        is_small = "/" not in name and any(fnmatchcase(name, entry) for entry in _SMALL_FILES)
        is_pooling = fnmatchcase(name, "[0-9]_*/config.json") and name.count("/") == 1
        is_shard = WEIGHTS_FILE not in names and _SHARD.fullmatch(name) is not None
        if is_small or is_pooling or is_shard or name == WEIGHTS_FILE:
            chosen.append(name)
    return chosen


def check_files(names: Collection[str], label: str) -> None:
    """Check by their names that files are those of a model in safetensors.

    Args:
        names: the files of a folder or of a repository.
        label: what begins the message: the setting and its value.

    Raises:
        ConfigError: files are missing, or belong to something else; it says how to fix it.
    """
    # Where peft is installed, transformers would apply the adapter to the model unasked.
    if _ADAPTER_FILE in names:
        raise ConfigError(
            f"{label} holds {_ADAPTER_FILE}: an adapter is not a whole model. Merge it into its "
            "model with peft (model.merge_and_unload().save_pretrained(NEW_FOLDER)), and name "
            "the new folder."
        )
    if WEIGHTS_FILE not in names and INDEX_FILE not in names:
        raise ConfigError(f"{label} {_explain_missing_weights(names)}")
    if CONFIG_FILE not in names:
        raise ConfigError(f"{label} has weights, but no {CONFIG_FILE}: copy the whole folder.")


def read_headers(folder: Path, label: str) -> WeightHeaders:
    """Read the headers of a base's weight files.

    Raises:
        ConfigError: a file is missing or damaged; it says how to fix it.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    parameters = 0
    size = 0
    for file in list_weight_files(folder, label):
        start = b""
        try:
            with file.open("rb") as stream:
                start = stream.read(len(_POINTER))
            with safe_open(file, framework="np") as tensors:
                names = list(tensors.keys())
                for name in names:
                    part = tensors.get_slice(name)
                    shapes[name] = tuple(part.get_shape())
                    if "F" in part.get_dtype():  # F32, F16, BF16 ...; buffers of integers are not
                        parameters += math.prod(shapes[name])
        except (SafetensorError, OSError) as error:
            if start == _POINTER:
                advice = "is only a pointer of Git LFS: run `git lfs pull` in that folder."
            else:
                advice = f"is damaged or cut short ({error}); copy or download it again."
            raise ConfigError(f"{label}: {file} {advice}") from error
        header_size = 8 + int.from_bytes(start[:8], "little")
        size += file.stat().st_size - header_size
    return WeightHeaders(shapes, parameters, size)


def list_weight_files(folder: Path, label: str) -> list[Path]:
    """Return the safetensors files that transformers would read from a folder.

    Raises:
        ConfigError: the index is damaged, or a file that it lists is missing.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    index = folder / INDEX_FILE
    try:
        entries: Any = json.loads(index.read_bytes())
        names = sorted(set(entries["weight_map"].values()))
        # A name with a folder in it could lead out of this one.
        is_plain = all(PurePosixPath(name).name == name for name in names) and bool(names)
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{label}: {index} is damaged ({error!r}); copy it again.") from error
    if not is_plain:
        raise ConfigError(f"{label}: {index} must list files of its own folder; copy it again.")
    for name in names:
        if not (folder / name).is_file():
            raise ConfigError(
                f"{label}: {name} is missing, which {INDEX_FILE} lists; copy or download it again."
            )
    return [folder / name for name in names]


def explain_other_format(names: Collection[str]) -> str | None:
    """Return how to convert the weights among files that are in another format, or None."""
    if found := _find_first(names, ["*.gguf"]):
        return (
            f"has its weights only as GGUF ({found}). Convert them once with transformers: "
            f"AutoModelForCausalLM.from_pretrained(FOLDER, gguf_file={found!r})"
            ".save_pretrained(NEW_FOLDER); save its tokenizer there too, and name the new folder."
        )
    if found := _find_first(names, _PICKLES):
        return (
            f"has its weights only as a pickle ({found}), which can run code when it is read, "
            "so textvae never reads it. If you trust it, convert it once with transformers: load "
            "it with the class that its config.json names, such as "
            "AutoModelForCausalLM.from_pretrained(FOLDER), call .save_pretrained(NEW_FOLDER), "
            "save its tokenizer there too, and name the new folder."
        )
    for pattern, library in _OTHER_FORMATS.items():
        if found := _find_first(names, [pattern]):
            return (
                f"has weights of {library} only ({found}); expected {WEIGHTS_FILE}. "
                "Name a model with weights for PyTorch in safetensors."
            )
    return None


def _explain_missing_weights(names: Collection[str]) -> str:
    """Return what a folder without `model.safetensors` holds instead, and how to go on."""
    if explanation := explain_other_format(names):
        return explanation
    expected = f"expected {CONFIG_FILE} and {WEIGHTS_FILE} (or {INDEX_FILE} with its files)"
    if found := _find_first(names, ["*.safetensors"]):
        return f"holds {found}, but no {WEIGHTS_FILE}; {expected}. Rename it if it is the model."
    hint = ""
    if inner := _find_first(names, [f"*/{CONFIG_FILE}"]):
        folder = PurePosixPath(inner).parent
        hint = f" Its folder {folder} holds a config: to use that one, name its local path."
    return f"holds no weights; {expected}.{hint}"


def _find_first(names: Collection[str], patterns: Collection[str]) -> str | None:
    """Return the first name that matches one of the patterns, or None."""
    for name in sorted(names):
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return name
    return None
