"""Read settings from YAML, `section.key=value` overrides and mappings; merge and check them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, Unpack, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from textvae.errors import ConfigError
from textvae.schema import list_set_fields, validate_settings
from textvae.settings.run import Settings, SettingsSections


def read_settings(
    file: str | Path | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, object] | None = None,
    **sections: Unpack[SettingsSections],
) -> Settings:
    """Return the settings of a YAML file with overrides applied.

    Later sources win over earlier ones: base, file, overrides, sections.

    Args:
        file: a YAML file; without one, the default recipe.
        overrides: `section.key=value` each, with the value in YAML.
        base: values for what the file leaves out, as nested mappings.
        sections: further values by section, as nested mappings or objects of the settings classes.

    Raises:
        ConfigError: a key is unknown, or a value does not fit.
    """
    settings = merge_settings(base or {}, _read_yaml(Path(file)) if file else {})
    settings = merge_overrides(settings, overrides)
    return validate_settings(Settings, merge_settings(settings, sections))


def merge_overrides(settings: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return settings, as nested mappings, updated by overrides.

    Raises:
        ConfigError: an override is not `section.key=value`, with the value in YAML.
    """
    merged = dict(settings)
    for override in overrides:
        key, equals_sign, value = override.partition("=")
        # `objective=language_model` is the only shorthand for a whole section.
        if not equals_sign or ("." not in key and key != "objective"):
            raise ConfigError(
                f"{override!r} is not a setting: write section.key=value, "
                "for example training.epochs=3."
            )
        change = _nest_value(key.split("."), _parse_override(value, key))
        merged = merge_settings(merged, change)
    return merged


def merge_settings(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated by `over`, recursively for nested mappings.

    If `over` chooses another kind of part, the old kind's settings are dropped, because
    the new one would refuse them.
    """
    result = dict(base)
    for key, new_value in over.items():
        value = list_set_fields(new_value)
        old = list_set_fields(result.get(key))
        # A part may be written as its name alone; then settings are added to that kind. But `off`
        # is no name: a technique that was switched off is replaced as a whole.
        if isinstance(old, str) and old != "off" and isinstance(value, Mapping):
            old = {"kind": old}
        if not (isinstance(old, Mapping) and isinstance(value, Mapping)):
            result[key] = value
        elif None not in (old.get("kind"), value.get("kind")) and value["kind"] != old["kind"]:
            result[key] = dict(value)
        else:
            result[key] = merge_settings(old, value)
    return result


def _read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; an empty file has an empty one.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or does not hold a mapping.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{file}: cannot be read: {reason}; expected a YAML file of settings."
        ) from error
    except yaml.YAMLError as error:
        # The library's message spans several lines; ours is one.
        raise ConfigError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content or {}, dict):
        raise ConfigError(
            f"{file}: expected sections (data, tokenizer, model, objective, training), "
            f"got {content!r}."
        )
    return content or {}


def _parse_override(value: str, key: str) -> Any:
    """Return an override's value, parsed as YAML.

    The value of a setting that is text, such as the name of a file or of a column, is
    taken as it is written unless it is in quotes: YAML would read yes, 007, |, [a].txt
    and `notes #1.txt` as something else.

    Raises:
        ConfigError: it is not YAML.
    """
    types = _find_types(key)
    is_missing = value in ("", "~", "null") and NoneType in types
    if str in types and types <= {str, NoneType} and not is_missing and value[:1] not in "'\"":
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(
            f"{key} = {value!r} is not YAML; put text with special characters in quotes."
        ) from None


def _find_types(key: str) -> set[object]:
    """Return the types of a setting; none for a key that is not a field of a settings class."""
    fields: Mapping[str, FieldInfo] = Settings.model_fields
    *sections, name = key.split(".")
    for section in sections:
        if section not in fields:
            return set()
        kind = fields[section].annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return set()
        fields = kind.model_fields
    if name not in fields:
        return set()
    annotation = fields[name].annotation
    is_union = get_origin(annotation) in (Union, UnionType)
    return set(get_args(annotation)) if is_union else {annotation}


def _nest_value(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return {a: {b: value}} for the keys a, b."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)
