"""Refuse the corpus and the settings of a training before torch is imported, as far as that is possible."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textvae.cli.checks import check_file
from textvae.errors import ConfigError
from textvae.runtime.yaml_text import read_yaml_file
from textvae.settings.examples import find_config
from textvae.settings.overrides import check_light_overrides, merge_settings
from textvae.settings.presets import read_preset
from textvae.settings.reference import SECTIONS

_KINDS_WITH_A_BASE = ("pretrained", "side_tuned")


def check_corpus_and_settings(options: Namespace) -> tuple[str | None, list[str]]:
    """Return the corpus and the overrides of a training, or refuse them.

    The overrides of a run that is resumed are not checked, because its settings are in its folder.

    Raises:
        DataError: the corpus is missing.
        ConfigError: there is no such config, or an override cannot be used.
    """
    corpus, settings = options.corpus, list(options.settings)
    check_file(corpus)
    preset = {} if options.preset is None else read_preset(options.preset)
    if not getattr(options, "resume", False):
        check_overrides(settings, options.config, preset)
    elif options.config is not None:
        find_config(options.config)
    return corpus, settings


def is_setting(word: str) -> bool:
    """Whether a word is a setting, and not a corpus with = in its name: year=2020/*.txt."""
    key, equals_sign, value = word.partition("=")
    names = key.split(".")
    is_key = bool(equals_sign) and all(map(str.isidentifier, names))
    is_plain = len(names) > 1 or key in SECTIONS or not set(value) & set("/*?[")
    return is_key and is_plain and not Path(word).exists()


def check_overrides(
    overrides: Sequence[str], config: str | None = None, preset: Mapping[str, Any] | None = None
) -> None:
    """Refuse overrides of a config that cannot be used, and bases that cannot be downloaded.

    Raises:
        ConfigError: there is no such config, or an override cannot be used.
    """
    base = dict(preset or {})
    if config is not None:
        file = find_config(config)
        try:
            content = read_yaml_file(file).content
        except ConfigError:
            return  # whoever reads the settings says what is wrong with the file
        if not isinstance(content, dict):
            return
        base = merge_settings(base, {name: part for name, part in content.items() if part})
    check_light_overrides(overrides, base)
    _check_bases(overrides, base)


def _check_bases(overrides: Sequence[str], base: Mapping[str, Any]) -> None:
    """Refuse pretrained models that cannot be downloaded, because there is no network.

    Args:
        overrides: `section.key=value` each.
        base: the settings that they override, as nested mappings.

    Raises:
        ConfigError: a model is neither a folder nor in the cache, and the hub cannot be asked.
    """
    model = base.get("model")
    parts = model if isinstance(model, Mapping) else {}
    objective = _override("objective", base.get("objective"), overrides)
    for role in ("encoder", "decoder"):
        if role == "encoder" and objective.get("kind") == "language_model":
            continue  # it has no encoder
        part = _override(f"model.{role}", parts.get(role), overrides)
        name = part.get("name")
        if part.get("kind") not in _KINDS_WITH_A_BASE or not isinstance(name, str):
            continue
        from textvae.model.bases.hub import check_reachable  # with the library of the hub
        from textvae.runtime.hub import is_hub_name

        if is_hub_name(name) and not Path(name).expanduser().exists():
            check_reachable(name, f"model.{role}.name = {name!r}", part.get("revision"))


def _override(path: str, written: object, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings at a path after overrides, whose values stay text.

    Args:
        written: a mapping, or the name of a kind alone.
    """
    settings = dict(written) if isinstance(written, Mapping) else {"kind": written}
    for override in overrides:
        key, _, value = override.partition("=")
        if key == path:
            settings = {"kind": value}
        elif key.startswith(f"{path}."):
            settings[key.removeprefix(f"{path}.")] = value
    return settings
