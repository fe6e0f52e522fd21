"""Overrides, `section.key=value`, and how settings are merged.

The class of a section is imported only when it is needed, because most sections import torch.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from textvae.errors import ConfigError
from textvae.runtime.yaml_text import parse_yaml
from textvae.schema import StrictSettings, list_set_fields, validate_settings
from textvae.settings.reference import (
    DEFAULT_KINDS,
    LIGHT_SECTIONS,
    SECTIONS,
    list_part_fields,
    load_section,
)
from textvae.settings.trainer_names import TRAINER_NAMES
from textvae.terminal import quote_value

_PART_KEYS = frozenset(f"model.{name}" for name in DEFAULT_KINDS)


def merge_overrides(settings: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return settings, as nested mappings, updated by overrides.

    Raises:
        ConfigError: an override is not `section.key=value`, with the value in YAML.
    """
    merged = _name_kinds(settings)
    # Another kind drops the settings of the old one, but not those that this command line gives.
    for override in sorted(list_overrides(overrides), key=_rank):
        key, equals_sign, value = override.partition("=")
        # `objective=language_model` is the only shorthand for a whole section.
        if equals_sign and key in TRAINER_NAMES:
            raise ConfigError(f"{key} is not a setting: {TRAINER_NAMES[key]}")
        if not equals_sign or ("." not in key and key != "objective"):
            raise ConfigError(
                f"{quote_value(override)} is not a setting: write section.key=value, "
                "for example training.epochs=3."
            )
        change = _nest_value(key.split("."), _parse_override(value, key))
        merged = merge_settings(merged, change)
    return merged


def _rank(override: str) -> int:
    """Return when an override is applied: first whole parts, then kinds, then the rest."""
    key = override.partition("=")[0]
    if key in _PART_KEYS:
        return 0
    return 1 if key.endswith(".kind") else 2


def merge_settings(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated by `over`, recursively for nested mappings.

    If `over` chooses another kind of part, the old kind's settings are dropped, because
    the new one would refuse them. The name of a kind alone is short for `kind: NAME`, and `on`
    leaves the settings of a technique as they are.
    """
    result = dict(base)
    for key, new_value in over.items():
        value = list_set_fields(new_value)
        old = list_set_fields(result.get(key))
        # A part may be written as its name alone; then settings are added to that kind. But `off`
        # is no name: a technique that was switched off is replaced as a whole.
        if isinstance(old, str) and old != "off" and isinstance(value, Mapping):
            old = {"kind": old}
        elif isinstance(old, Mapping) and isinstance(value, str) and value != "off":
            value = {"kind": value}
        elif isinstance(old, Mapping) and value is True:
            value = {}
        if not (isinstance(old, Mapping) and isinstance(value, Mapping)):
            result[key] = value
        elif None not in (old.get("kind"), value.get("kind")) and value["kind"] != old["kind"]:
            result[key] = dict(value)
        else:
            result[key] = merge_settings(old, value)
    return result


def _name_kinds(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings whose parts name their kinds, so that another kind replaces all of a part."""
    model = list_set_fields(settings.get("model"))
    if not isinstance(model, Mapping):
        return dict(settings)
    parts = {name: list_set_fields(model.get(name)) for name in DEFAULT_KINDS}
    named = {
        name: {"kind": DEFAULT_KINDS[name], **part}
        for name, part in parts.items()
        if isinstance(part, Mapping) and part
    }
    return {**settings, "model": {**model, **named}}


def check_light_overrides(overrides: Iterable[str], base: Mapping[str, Any]) -> None:
    """Refuse overrides of unknown sections, and wrong ones of the sections that need no torch.

    If there are overrides of other sections, too, nothing is checked here, so that one message has
    what is wrong with all of them.

    Args:
        base: the settings that are overridden, as nested mappings. If they are wrong themselves,
            nothing is checked here: whoever reads them says where they come from.

    Raises:
        ConfigError: as from `read_settings`.
    """
    others = set(SECTIONS) - set(LIGHT_SECTIONS)
    checked = list(overrides)
    if not checked or any(_find_section(override) in others for override in checked):
        return
    sections: dict[str, Any] = {name: (load_section(name), {}) for name in LIGHT_SECTIONS}
    # These sections are known, so that a wrong name is compared with theirs, too.
    sections |= dict.fromkeys(others, (Any, None))
    light = create_model("Settings", __base__=StrictSettings, **sections)
    try:
        validate_settings(light, base)
    except ConfigError:
        return
    validate_settings(light, merge_overrides(base, checked))


def _find_section(override: str) -> str:
    """Return the section that an override names."""
    return override.partition("=")[0].partition(".")[0]


def list_overrides(overrides: object) -> list[str]:
    """Return overrides as a list; a single string becomes a list of one.

    Raises:
        ConfigError: they are something else than strings.
    """
    listed = [overrides] if isinstance(overrides, str) else overrides
    if not isinstance(listed, Iterable):
        raise ConfigError(f"overrides = {quote_value(overrides)}: expected a list of strings.")
    checked: list[str] = []
    for override in listed:
        if not isinstance(override, str):
            raise ConfigError(
                f"{quote_value(override)} is not a setting: write section.key=value in a string, "
                "for example 'training.epochs=3'."
            )
        checked.append(override)
    return checked


def _parse_override(value: str, key: str) -> Any:
    """Return an override's value, parsed as YAML.

    The value of a setting that is text, such as the name of a file or of a column, is
    taken as it is written unless it is in quotes: YAML would read yes, 007, |, [a].txt
    and `notes #1.txt` as something else.

    Raises:
        ConfigError: it is empty, as where a shell variable was not set, or it is not YAML.
    """
    if not value.strip():
        is_technique = key.startswith("objective.techniques.") and key.count(".") == 2
        other = "on or off" if is_technique else f"{key}=null to unset the setting"
        raise ConfigError(f"{key}= has no value: write one, or {other}.")
    types = _find_types(key)
    is_missing = value in ("~", "null") and NoneType in types
    if str in types and types <= {str, NoneType} and not is_missing and value[:1] not in "'\"":
        return value
    try:
        return parse_yaml(value)
    except ValueError as error:
        problem = f"cannot be used: {error}"
        if str(error).startswith("is not YAML"):
            problem = "is not YAML; put text with special characters in quotes"
        raise ConfigError(f"{key} = {quote_value(value)} {problem}.") from None


def _find_types(key: str) -> set[object]:
    """Return the types of a setting; none for a key that is not a field of a settings class."""
    *sections, name = key.split(".")
    if not sections or sections[0] not in SECTIONS:
        return set()
    fields: Mapping[str, FieldInfo] = load_section(sections[0]).model_fields
    for section in sections[1:]:
        if section not in fields:
            return set()
        part_fields = list_part_fields(f"{sections[0]}.{section}", name)
        if part_fields:
            return set().union(*map(_list_types, part_fields))
        kind = fields[section].annotation
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return set()
        fields = kind.model_fields
    return _list_types(fields[name]) if name in fields else set()


def _list_types(field: FieldInfo) -> set[object]:
    """Return the types that the value of a field may have."""
    is_union = get_origin(field.annotation) in (Union, UnionType)
    return set(get_args(field.annotation)) if is_union else {field.annotation}


def _nest_value(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return {a: {b: value}} for the keys a, b."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)
