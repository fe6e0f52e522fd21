"""Reading settings: a YAML file, `section.key=value` overrides, and mappings, merged and checked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from textvae.errors import ConfigError
from textvae.schema import validate_settings
from textvae.settings.run import Settings


def read_settings(
    file: str | Path | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Settings:
    """Return the settings of a YAML file, with overrides applied.

    Args:
        file: a YAML file; without one, the default recipe.
        overrides: `section.key=value`, the value read as YAML.
        base: what holds where the file says nothing, as nested mappings.
        sections: further values, as nested mappings.

    Raises:
        ConfigError: a key is unknown or a value does not fit.
    """
    given = merge_settings(base or {}, _read_yaml(Path(file)) if file else {})
    for override in overrides:
        key, is_assignment, value = override.partition("=")
        if not is_assignment or ("." not in key and key != "objective"):
            raise ConfigError(
                f"{override!r} is no setting: write section.key=value, training.epochs=3 for instance."
            )
        given = merge_settings(given, _nest_value(key.split("."), _parse_override(value, key)))
    return validate_settings(Settings, merge_settings(given, sections))


def _read_yaml(file: Path) -> dict[str, Any]:
    """Return a YAML file's mapping.

    Raises:
        ConfigError: the file is missing, no YAML, or no mapping.
    """
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{file}: cannot be read: {reason}; wanted is a YAML file of settings."
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given or {}, dict):
        raise ConfigError(
            f"{file}: wanted are sections (data, tokenizer, model, objective, training), not {given!r}."
        )
    return given or {}


def _parse_override(value: str, key: str) -> Any:
    """Read an override's value as YAML."""
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(
            f"{key} = {value!r} is not YAML; put text with signs in it into quotes."
        ) from None


def _nest_value(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return {a: {b: value}} for the keys a, b."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def merge_settings(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it, mapping by mapping; a part named anew drops the old one's settings."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, str) and old != "off" and isinstance(value, Mapping):
            old = {"kind": old}
        if not (isinstance(old, Mapping) and isinstance(value, Mapping)):
            result[key] = value
        elif None not in (old.get("kind"), value.get("kind")) and value["kind"] != old["kind"]:
            result[key] = dict(value)
        else:
            result[key] = merge_settings(old, value)
    return result
