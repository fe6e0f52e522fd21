"""How a sentence encoder of sentence-transformers makes one vector of its states.

Its folder lists its modules in `modules.json`: the transformer, a pooling, and often a
normalization to length one. Pooling by the first token (cls), the mean, the largest values (max)
or the last token is supported, and so are several of them, whose vectors are concatenated in this
order. Other modules, such as a dense layer after the pooling, are refused.
"""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from textvae.errors import ConfigError
from textvae.model.bases.files import MODULES_FILE

# Older releases have one entry per pooling. This is the order in which the vectors are joined.
_OLD_ENTRIES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_SUPPORTED = ("cls", "max", "mean", "lasttoken")
_PROMPTS_FILE = "config_sentence_transformers.json"
_LENGTH_FILES = "sentence_*_config.json"  # older releases name the architecture, bert or another


@dataclass(frozen=True)
class Pooling:
    """What follows the transformer in a sentence encoder.

    Attributes:
        names: how the states become one vector: cls, max, mean or lasttoken. The vectors of
            several are concatenated.
        normalize: whether the vector is divided by its length.
        max_length: length in tokens at which texts are cut; None if the folder sets none.
    """

    names: tuple[str, ...]
    normalize: bool
    max_length: int | None


def describe_pooling(folder: Path) -> Pooling | None:
    """Return how a sentence encoder pools; None if the folder is not of sentence-transformers.

    Raises:
        ConfigError: its files are damaged, or it has modules or a pooling that are not supported.
    """
    file = folder / MODULES_FILE
    if not file.is_file():
        return None
    modules = _read_json(file)
    if not isinstance(modules, list) or not all(isinstance(entry, dict) for entry in modules):
        raise ConfigError(f"{file} is not a list of modules; copy or download it again.")
    names: tuple[str, ...] = ()
    normalize = False
    for position, module in enumerate(modules):
        kind = _read_kind(module, file)
        if kind == "Pooling" and not names:
            names = _read_pooling(_find_module(folder, module, file))
        elif kind == "Normalize":
            normalize = True
        # Dropout has no effect on the vector of a trained model.
        elif (kind, position) != ("Transformer", 0) and kind != "Dropout":
            raise ConfigError(
                f"{file}: textvae does not support the module {kind!r} there; expected a "
                "Transformer, a Pooling and a Normalize. Name a model without it, or remove "
                f"{MODULES_FILE} from a copy of the folder to use the transformer alone."
            )
    if not names:
        raise ConfigError(f"{file} has no pooling; expected a Transformer and a Pooling.")
    return Pooling(names, normalize, _read_max_length(folder))


def _read_kind(module: dict[str, Any], file: Path) -> str:
    """Return the name of a module's class.

    Raises:
        ConfigError: the class is not one of sentence-transformers, so it is foreign code.
    """
    path = str(module.get("type", ""))
    if not path.startswith("sentence_transformers."):
        raise ConfigError(
            f"{file}: the module {path!r} is code from outside sentence-transformers, and textvae "
            "never runs such code. Name a model that needs no code of its own."
        )
    return path.rpartition(".")[2]


def _find_module(folder: Path, module: dict[str, Any], file: Path) -> Path:
    """Return the folder of a module.

    Raises:
        ConfigError: it is not inside the model's folder.
    """
    path = PurePosixPath(str(module.get("path", "")))
    if path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"{file}: the path {str(path)!r} leads out of the model's folder.")
    return folder / path


def _read_pooling(folder: Path) -> tuple[str, ...]:
    """Return the poolings that a module's config names.

    Raises:
        ConfigError: the config is damaged, or names a pooling that is not supported.
    """
    file = folder / "config.json"
    entries = _read_json(file)
    if not isinstance(entries, dict):
        raise ConfigError(f"{file} is not the config of a pooling; copy or download it again.")
    names = entries.get("pooling_mode")
    if names is None:
        names = [name for entry, name in _OLD_ENTRIES.items() if entries.get(entry)] or ["mean"]
    elif not isinstance(names, list):
        names = [names]
    unsupported = [name for name in names if name not in _SUPPORTED]
    if unsupported or not names:
        raise ConfigError(
            f"{file}: textvae does not support the pooling {unsupported or names}; expected some "
            f"of {', '.join(_SUPPORTED)}. Name another model."
        )
    return tuple(names)


def _read_max_length(folder: Path) -> int | None:
    """Return the length at which sentence-transformers cuts texts, or None.

    Raises:
        ConfigError: the file that sets it is damaged.
    """
    for file in sorted(folder.glob(_LENGTH_FILES)):
        entries = _read_json(file)
        length = entries.get("max_seq_length") if isinstance(entries, dict) else None
        if isinstance(length, int) and length > 0:
            return length
    return None


def check_plain_texts(folder: Path, *, is_cased: bool) -> None:
    """Check that a sentence encoder embeds a text as it is written.

    Args:
        is_cased: whether its tokenizer tells capitals from small letters.

    Raises:
        ConfigError: it adds a prompt to every text, or lowers capitals before its tokenizer does.
    """
    file = folder / _PROMPTS_FILE
    entries = _read_json(file) if file.is_file() else {}
    prompt = entries.get("default_prompt_name") if isinstance(entries, dict) else None
    if prompt is not None:
        raise ConfigError(
            f"{file}: adds the prompt {prompt!r} to every text, which textvae does not: its "
            "embeddings would be others. Name another model, or set default_prompt_name to null in "
            "a copy of the folder, and embed without a prompt everywhere."
        )
    for length_file in sorted(folder.glob(_LENGTH_FILES)):
        entries = _read_json(length_file)
        if isinstance(entries, dict) and entries.get("do_lower_case") and is_cased:
            raise ConfigError(
                f"{length_file}: lowers all capitals (do_lower_case) before the tokenizer, which "
                "textvae does not: the embeddings would be others. Name another model, or set "
                "do_lower_case to false in a copy of the folder, and embed with that copy everywhere."
            )


def _read_json(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        ConfigError: it is missing or damaged.
    """
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{file} is missing or is not JSON ({error}); copy or download it again."
        ) from error
