"""Read settings from YAML, `section.key=value` overrides and mappings; merge and check them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, Unpack, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from textvae.errors import ConfigError
from textvae.runtime.yaml_text import YamlFile, parse_yaml, read_yaml_file
from textvae.schema import list_set_fields, validate_settings
from textvae.settings.examples import find_config
from textvae.settings.run import Settings, SettingsSections
from textvae.settings.trainer_names import TRAINER_NAMES
from textvae.terminal import quote_value

# A message about a setting begins with its dotted key.
_KEY_OF_MESSAGE = re.compile(r"(.+?)(?: = | is not a setting)")


def read_settings(
    file: str | Path | None = None,
    overrides: Iterable[str] = (),
    base: Mapping[str, object] | None = None,
    **sections: Unpack[SettingsSections],
) -> Settings:
    """Return the settings of a YAML file with overrides applied.

    Later sources win over earlier ones: base, file, overrides, sections.

    Args:
        file: a YAML file, or the name of an example config such as `quickstart`; without one, the
            default recipe.
        overrides: `section.key=value` each, with the value in YAML.
        base: values for what the file leaves out, as nested mappings.
        sections: further values by section, as nested mappings or objects of the settings classes.

    Raises:
        ConfigError: a key is unknown, or a value does not fit.
    """
    sections_in_file = YamlFile({}, {})
    if file is not None:
        file = find_config(file)
        sections_in_file = _read_sections(file)
    if base is not None and not isinstance(base, Mapping):
        raise ConfigError(f"base = {quote_value(base)}: expected a mapping of sections.")
    settings = merge_settings(base or {}, sections_in_file.content)
    listed = _list_overrides(overrides)
    lines = sections_in_file.lines
    _forget_lines(lines, merge_overrides({}, listed))
    _forget_lines(lines, sections)
    merged = merge_settings(merge_overrides(settings, listed), sections)
    try:
        return validate_settings(Settings, merged)
    except ConfigError as error:
        if file is None:
            raise
        messages = [_name_file(message, file, lines) for message in error.args]
    raise ConfigError(*messages)


def merge_overrides(settings: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return settings, as nested mappings, updated by overrides.

    Raises:
        ConfigError: an override is not `section.key=value`, with the value in YAML.
    """
    merged = dict(settings)
    for override in _list_overrides(overrides):
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


def _read_sections(file: Path) -> YamlFile:
    """Return the sections in a YAML file; an empty file and an empty section set nothing.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or does not hold sections.
    """
    content, lines = read_yaml_file(file)
    if content is None:
        return YamlFile({}, {})
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file}: expected sections (data, tokenizer, model, objective, training), "
            f"got {quote_value(content)}."
        )
    sections: dict[str, Any] = {}
    for name, section in content.items():
        if section is None:  # all of its settings may be comments
            continue
        is_shorthand = name == "objective" and isinstance(section, str)
        if name in Settings.model_fields and not (isinstance(section, dict) or is_shorthand):
            raise ConfigError(
                f"{file}, line {lines[(name,)]}: {name} = {quote_value(section)} does not fit: "
                f"expected its settings, as in `{name}: {{key: value}}`."
            )
        sections[name] = section
    return YamlFile(sections, lines)


def _list_overrides(overrides: object) -> list[str]:
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


def _forget_lines(
    lines: dict[tuple[str, ...], int], change: Mapping[str, Any], path: tuple[str, ...] = ()
) -> None:
    """Remove the lines of settings that a change replaces: a message is not about the file then."""
    for name, new_value in change.items():
        keys = (*path, name)
        value = list_set_fields(new_value)
        if isinstance(value, Mapping) and keys in lines:
            _forget_lines(lines, value, keys)
        else:
            for replaced in [known for known in lines if known[: len(keys)] == keys]:
                del lines[replaced]


def _name_file(message: str, file: Path, lines: Mapping[tuple[str, ...], int]) -> str:
    """Put a file and a line before a message about a setting that the file has."""
    match = _KEY_OF_MESSAGE.match(message)
    if match is None:
        return message
    keys = tuple(match[1].split("."))
    line = lines.get(keys)
    if line is None and keys[-1] == "kind":  # a part may be written as its name alone
        line = lines.get(keys[:-1])
    return message if line is None else f"{file}, line {line}: {message}"


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
        return parse_yaml(value)
    except ValueError as error:
        problem = f"cannot be used: {error}"
        if str(error).startswith("is not YAML"):
            problem = "is not YAML; put text with special characters in quotes"
        raise ConfigError(f"{key} = {quote_value(value)} {problem}.") from None


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
