"""Find a pretrained model by its name or folder, and describe it without loading its weights."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from textvae.errors import ConfigError
from textvae.model.bases.files import (
    CONFIG_FILE,
    check_files,
    explain_other_format,
    list_files,
    read_headers,
)
from textvae.model.bases.hub import find_on_hub
from textvae.runtime.foreign_code import refuse_foreign_code
from textvae.runtime.hub import is_hub_name
from textvae.runtime.yaml_text import parse_yaml

# The files in which a repository can ask transformers to run code of its own.
_FILES_THAT_NAME_CODE = (CONFIG_FILE, "generation_config.json", "tokenizer_config.json")
_EXAMPLE = "for instance HuggingFaceTB/SmolLM2-135M, or the path of a folder"


@dataclass(frozen=True)
class Base:
    """A pretrained model that an encoder or a decoder starts from.

    Attributes:
        name: as the user wrote it: a name on the hub, or a folder.
        folder: where its files are.
        revision: the commit of the hub's repository; None for a folder of the user's.
        config: its own config.
        license: the license that its model card names; None if there is no card.
        parameters: number of parameters in its files.
        bytes: size of the weights in its files.
        shapes: the shape of each tensor in its files, by name.
    """

    name: str
    folder: Path
    revision: str | None
    config: PreTrainedConfig
    license: str | None
    parameters: int
    bytes: int
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)


def find_base(name: str, setting: str, revision: str | None = None) -> Base:
    """Return a pretrained model; it is downloaded only if it is neither a folder nor cached.

    Args:
        name: a folder, or the name of a model on the hub.
        setting: the key under which the user wrote the name, for messages.
        revision: a branch, a tag or a commit of the hub's repository.

    Raises:
        ConfigError: it cannot be found, or is not a model in safetensors that transformers
            builds without code from elsewhere.
    """
    label = f"{setting} = {name!r}"
    folder, commit = _find_folder(name, setting, revision)
    config = _read_config(folder, label)
    headers = read_headers(folder, label)
    return Base(
        name=name,
        folder=folder,
        revision=commit,
        config=config,
        license=_read_license(folder / "README.md"),
        parameters=headers.parameters,
        bytes=headers.bytes,
        shapes=headers.shapes,
    )


def find_original(name: str, setting: str, revision: str | None) -> Base:
    """Return the base that a trained model has its frozen weights from.

    Args:
        revision: the commit of a base of the hub; None for one that was a local folder.

    Raises:
        ConfigError: it is no longer where it was.
    """
    advice = (
        "The model was trained from this base and does not hold its weights: "
        f"put it back, or change its name ({name}) in config.json."
    )
    # The hub may have a model of the same name.
    if revision is None and not os.path.isdir(os.path.expanduser(name)):
        raise ConfigError(
            f"{setting} = {name!r}: there is no such folder, seen from {os.getcwd()}. {advice}"
        )
    try:
        return find_base(name, setting, revision)
    except ConfigError as error:
        raise ConfigError(f"{error} {advice}") from error


def _find_folder(name: str, setting: str, revision: str | None) -> tuple[Path, str | None]:
    """Return the folder of a model, and its commit if it comes from the hub.

    Raises:
        ConfigError: there is no such folder or model, or it holds no weights in safetensors.
    """
    label = f"{setting} = {name!r}"
    # Such names could rewrite the terminal in a later message.
    if not name.strip() or not name.isprintable():
        raise ConfigError(f"{label} is unknown: expected the name of a model, {_EXAMPLE}.")
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        if revision is not None:
            raise ConfigError(
                f"{label} is a local folder, which has no revision {revision!r}: "
                "leave the revision out."
            )
        # A folder may hide a model of the hub that the user meant.
        place = f"{label} (a local folder)" if is_hub_name(name) else label
        _check_folder(Path(path), place)
        return Path(path), None
    if os.path.isfile(path):
        format_hint = explain_other_format([os.path.basename(path)])
        hint = format_hint or "is a file: name the folder that holds it and its config.json."
        raise ConfigError(f"{label} {hint}")
    if not is_hub_name(name):
        raise ConfigError(
            f"{label} is unknown: there is no such folder, and it is not a name of the hub "
            f"(owner/model). Expected the name of a model, {_EXAMPLE}."
        )
    folder = find_on_hub(name, label, revision)
    return folder, folder.name


def _check_folder(folder: Path, label: str) -> None:
    """Check by the names of its files that a local folder holds a model.

    Raises:
        ConfigError: files are missing or the folder cannot be read.
    """
    try:
        names = list_files(folder)
    except OSError as error:
        raise ConfigError(f"{label} cannot be read ({error}): check its permissions.") from error
    check_files(names, label)


def _read_config(folder: Path, label: str) -> PreTrainedConfig:
    """Return the config of a model.

    Raises:
        ConfigError: it is damaged, belongs to no model that textvae can start from, or asks for
            code from elsewhere.
    """
    file = folder / CONFIG_FILE
    entries = _read_entries(file, label)
    model_type = entries.get("model_type")
    if model_type == "textvae":
        raise ConfigError(
            f"{label} is a run of textvae, which already has an encoder and a decoder: expected "
            f"the name of a pretrained model, {_EXAMPLE}."
        )
    if quantization := entries.get("quantization_config"):
        method = quantization.get("quant_method") if isinstance(quantization, Mapping) else None
        raise ConfigError(
            f"{label} is quantized ({method or 'quantization_config'}), and textvae trains only "
            "weights in float32, float16 or bfloat16: name the model that it was made from."
        )
    _refuse_code(folder, label)
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise ConfigError(
            f"{label} has the model_type {model_type!r}, which transformers "
            f"{transformers.__version__} does not know: upgrade transformers if a later release "
            "knows it, or name another model."
        )
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        # Configs check their fields in different ways, with errors that have no common base.
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":. ")
        raise ConfigError(
            f"{label}: {file} does not describe a {model_type} model ({reason}); "
            "copy or download it again."
        ) from error


def _read_entries(file: Path, label: str) -> dict[str, Any]:
    """Return the entries of a JSON file.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        entries: Any = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{label}: {file} is not JSON ({error}); copy or download it again."
        ) from error
    if not isinstance(entries, dict):
        raise ConfigError(f"{label}: {file} is not the config of a model.")
    return entries


def _refuse_code(folder: Path, label: str) -> None:
    """Refuse a model whose files ask for code from outside transformers.

    Raises:
        ConfigError: a file asks for it; the message has the entry's name.
    """
    for name in _FILES_THAT_NAME_CODE:
        if (folder / name).is_file():
            refuse_foreign_code(_read_entries(folder / name, label), f"{label}: {folder / name}")


def _read_license(card: Path) -> str | None:
    """Return the license that the first lines of a model card name, or None."""
    try:
        text = card.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    start, _, rest = text.partition("---")
    header, end, _ = rest.partition("\n---")
    if start.strip() or not end:
        return None
    try:
        entries = parse_yaml(header)
    except ValueError:
        return None
    if not isinstance(entries, dict):
        return None
    name = entries.get("license")
    # The hub keeps a fixed list of licenses; a license of its own is `other`, with a name.
    if name == "other":
        name = entries.get("license_name", name)
    if isinstance(name, list):
        name = ", ".join(map(str, name))
    return name if isinstance(name, str) and name.isprintable() else None
