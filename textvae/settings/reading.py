"""Read settings from YAML, `section.key=value` overrides and mappings; merge and check them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Unpack

from textvae.errors import ConfigError
from textvae.runtime.yaml_text import YamlFile, read_yaml_file
from textvae.schema import list_set_fields, validate_settings
from textvae.settings.examples import find_config
from textvae.settings.overrides import list_overrides, merge_overrides, merge_settings
from textvae.settings.run import Settings, SettingsSections
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
    listed = list_overrides(overrides)
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
