"""What the user changes of the search space: `--search KEY=low..high` or `a,b,c`, and `--fix KEY`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from textvae.errors import ConfigError
from textvae.objective.elbo import DEFAULT_TECHNIQUES, ObjectiveSettings
from textvae.schema import require_list
from textvae.settings.overrides import merge_overrides
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings
from textvae.terminal import quote_value
from textvae.tuning.space import TUNABLES, Parameter, Tunable, Value, find_types

_ALL = "all"
_MIN_LOG_RATIO = 10  # wider ranges of positive numbers get a logarithmic scale
_RANGE = re.compile(r"(?P<low>[^.\s]\S*?)\s*\.\.\s*(?P<high>\S+)")
_OUTSIDE_BRACKETS = re.compile(r",(?![^\[{]*[\]}])")


def change_space(
    space: Mapping[str, Parameter],
    settings: Settings,
    search: Iterable[str],
    fix: Iterable[str],
) -> dict[str, Parameter]:
    """Return a search space with the user's changes.

    Args:
        space: the default one.
        settings: those that the search starts from.
        search: `section.key=low..high` or `section.key=a,b,c`, each added or replaced.
        fix: keys, or the beginnings of keys, that keep their settings; `all` for everything that
            `search` does not name.

    Raises:
        ConfigError: a key is unknown or searched twice, values do not fit, or nothing is left to
            search.
    """
    named: dict[str, Parameter] = {}
    for word in require_list(search, "search"):
        parameter = parse_search(word, settings)
        if parameter.key in named:
            raise ConfigError(
                f"{parameter.key} is in --search twice: write one range or one list of values, as "
                f"in --search {parameter.key}=a,b,c."
            )
        named[parameter.key] = parameter
    _refuse_nested(named)
    fixed = [_check_fixed(word, space, named) for word in require_list(fix, "fix")]
    kept = {
        key: entry
        for key, entry in space.items()
        if not _is_fixed(key, fixed) and not any(_is_nested(key, other) for other in named)
    }
    changed = {**kept, **named}
    if not changed:
        raise ConfigError(
            "there is nothing to search, because every setting is fixed: leave out some of --fix, "
            "or name a setting with --search section.key=low..high."
        )
    return changed


def parse_search(word: object, settings: Settings) -> Parameter:
    """Return the parameter that `section.key=low..high` or `section.key=a,b,c` describes.

    Raises:
        ConfigError: it is something else, the key cannot be searched, or a value does not fit.
    """
    if not isinstance(word, str) or "=" not in word:
        raise ConfigError(
            f"search = {quote_value(word)}: expected section.key=low..high or section.key=a,b,c."
        )
    key, _, text = word.partition("=")
    types = find_types(settings, key)
    match = _RANGE.fullmatch(text.strip())
    if match:
        return _build_range(key, match["low"], match["high"], types, settings)
    choices = tuple(dict.fromkeys(part.strip() for part in _OUTSIDE_BRACKETS.split(text)))
    if "" in choices or len(choices) < 2:
        raise ConfigError(
            f"search = {quote_value(word)}: expected two values or more, as in {key}=a,b or "
            f"{key}=low..high. To set it for all trials, leave out --search."
        )
    for choice in choices:
        _check_value(settings, key, choice)
    return Parameter(key, choices=choices, absent=TUNABLES.get(key, Tunable()).absent)


def _build_range(
    key: str, low: str, high: str, types: set[object], settings: Settings
) -> Parameter:
    """Return the parameter of a range.

    Raises:
        ConfigError: the setting is not a number, or the ends do not fit.
    """
    if not types & {int, float}:
        raise ConfigError(
            f"{key} is not a number, so {low}..{high} is no range of it: write its values, as in "
            f"--search {key}=a,b."
        )
    ends = [_parse_number(key, end) for end in (low, high)]
    for end in ends:
        _check_value(settings, key, repr(end))
    first, last = ends
    if not first < last:
        raise ConfigError(f"{key} = {low}..{high}: expected a lower number and a higher one.")
    default = TUNABLES.get(key, Tunable())
    is_log = default.is_log or (first > 0 and last / first >= _MIN_LOG_RATIO)
    parameter = Parameter(key, first, last, is_log=is_log and first > 0, absent=default.absent)
    is_integer = float not in types
    return replace(parameter, is_integer=is_integer)


def _parse_number(key: str, text: str) -> float | int:
    """Return the number that a text is.

    Raises:
        ConfigError: it is not a number.
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ConfigError(f"{key} = {quote_value(text)}: expected a number at both ends of the range.")


def _check_value(settings: Settings, key: str, text: str) -> None:
    """Check that a setting can have a value.

    Raises:
        ConfigError: it cannot; the message is that of the settings class.
    """
    apply_values(settings, {key: text}, {})


def _is_nested(first: str, second: str) -> bool:
    """Return whether one of two different keys sets a part of what the other one sets."""
    return first.startswith(f"{second}.") or second.startswith(f"{first}.")


def _refuse_nested(keys: Iterable[str]) -> None:
    """Refuse a setting and a part of it, since one of them would have no effect.

    Raises:
        ConfigError: there are two such keys.
    """
    for first, second in combinations(keys, 2):
        if _is_nested(first, second):
            raise ConfigError(
                f"--search names {first} and {second}, and one of them sets a part of the other: "
                "search only one of the two."
            )


def apply_values(
    settings: Settings, values: Mapping[str, Value], space: Mapping[str, Parameter]
) -> Settings:
    """Return settings with some values changed.

    Args:
        values: by key; text is YAML.
        space: the parameters of these keys: the absent value of a technique that is not there
            leaves it out.

    Raises:
        ConfigError: a value does not fit, or two of them do not go together.
    """
    techniques = settings.objective.techniques
    overrides = []
    for key, value in values.items():
        parameter = space.get(key)
        is_absent = parameter is not None and value == parameter.absent
        technique = key.split(".")[2] if key.startswith("objective.techniques.") else None
        if is_absent and technique not in techniques:
            continue
        overrides.append(f"{key}={value}")
    return read_settings(base=merge_overrides(_dump(settings), overrides))


def _dump(settings: Settings) -> dict[str, Any]:
    """Return settings as a user would have written them, as nested mappings.

    Default techniques are left out, so that one which replaces the KL takes them away, as it
    does in a config.
    """
    dumped = settings.model_dump(mode="json")
    techniques = dumped["objective"]["techniques"]
    defaults = ObjectiveSettings().model_dump(mode="json")["techniques"]
    for name in DEFAULT_TECHNIQUES:
        if techniques[name] == defaults[name]:
            del techniques[name]
    return dumped


def _check_fixed(
    word: object, space: Mapping[str, Parameter], named: Mapping[str, Parameter]
) -> str:
    """Return a key, or its beginning, that names something in the search space.

    Raises:
        ConfigError: it names nothing, or what is also searched.
    """
    if not isinstance(word, str) or not word:
        raise ConfigError(f"fix = {quote_value(word)}: expected a key, such as model.latent_dim.")
    if word == _ALL:
        return word
    key, equals_sign, _ = word.partition("=")
    if equals_sign:
        raise ConfigError(
            f"fix = {quote_value(word)}: expected a key alone. To fix a setting at another value, "
            f"write {word} without --fix."
        )
    if key in named:
        raise ConfigError(f"{key} is in --search and in --fix: leave it out of one of them.")
    if not any(_is_fixed(known, [key]) for known in space):
        raise ConfigError(f"fix = {key!r} is not searched anyway. Searched: {', '.join(space)}.")
    return key


def _is_fixed(key: str, fixed: Sequence[str]) -> bool:
    """Return whether a key is fixed, by itself or by its beginning."""
    return any(word in (_ALL, key) or key.startswith(f"{word}.") for word in fixed)


def list_fixed_by_overrides(overrides: Iterable[str], space: Iterable[str]) -> list[str]:
    """Return the keys of a space that the user has set: their values are meant, so they are fixed."""
    set_keys = [override.partition("=")[0] for override in overrides]
    return [key for key in space if _is_fixed(key, [name for name in set_keys if name])]
