"""Parts and their settings: look a part up by name, check what it is given.

A part (an encoder, a technique ...) is a class with a nested `Settings`; the
folder it lives in has a plain dict from names to classes. These few lines turn
what a user wrote into a checked settings object, or into one clear message.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from textvae.errors import ConfigError

T = TypeVar("T")


S = TypeVar("S", bound=BaseModel)


class StrictSettings(BaseModel):
    """Typed settings that refuse keys they do not know and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class PartSettings(StrictSettings):
    """The settings of an interchangeable part; `kind` is its name in its folder's table."""

    kind: str


def choose(table: Mapping[str, T], name: str, setting: str) -> T:
    """Return `table[name]`, or refuse the name and say which would do.

    Raises:
        ConfigError: the name is not in the table.
    """
    if name in table:
        return table[name]
    raise ConfigError(
        f"{setting} = {name!r} is unknown: {did_you_mean(name, table)}Choose from {', '.join(sorted(table))}."
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return 'did you mean ...? ' with the nearest known name, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""


def validate_settings(settings: type[S], given: Mapping[str, Any], path: str = "") -> S:
    """Build `settings` from what the user gave under the key `path`.

    Raises:
        ConfigError: a key is unknown (the nearest is named), or a value does not fit.
    """
    try:
        return settings.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(key) for key in first["loc"]]
        if first["type"] != "extra_forbidden":
            keys = _drop_union_keys(settings, keys)
        name = ".".join(filter(None, [path, *keys]))
        if first["type"] == "extra_forbidden":
            known = _list_fields(settings, keys[:-1])
            hint = did_you_mean(keys[-1], known)
            raise ConfigError(
                f"{name} is not a setting: {hint}Known here: {', '.join(known)}."
            ) from None
        raise ConfigError(f"{name} = {first['input']!r} does not fit: {first['msg']}.") from None


def _drop_union_keys(settings: type[BaseModel], keys: list[str]) -> list[str]:
    """Return the keys the user wrote, without the branches of a union that pydantic hangs on them."""
    kept: list[str] = []
    inner: Any = settings
    for key in keys:
        is_field = (
            isinstance(inner, type) and issubclass(inner, BaseModel) and key in inner.model_fields
        )
        if is_field or key.isdigit():
            kept.append(key)
            inner = inner.model_fields[key].annotation if is_field else None
    return kept


def _list_fields(settings: type[BaseModel], keys: list[str]) -> list[str]:
    """Return the field names of the nested settings under `keys`."""
    for key in keys:
        inner = settings.model_fields[key].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        settings = inner
    return list(settings.model_fields)


def part_validator(table: Callable[[], Mapping[str, Any]], path: str) -> BeforeValidator:
    """Return a pydantic validator: a name, or a mapping with a `kind`, becomes the settings of that part.

    Args:
        table: gives the folder's table; a function, since the folder may be loading still.
        path: the dotted key, for messages.
    """

    def validate(given: Any) -> Any:
        if isinstance(given, BaseModel):
            return given
        entries = table()
        if isinstance(given, str):
            given = {"kind": given}
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"{path} = {given!r} does not fit: give the name of a part, or a mapping of its settings."
            )
        kind = str(given.get("kind", next(iter(entries))))
        part = choose(entries, kind, f"{path}.kind")
        return validate_settings(part.Settings, {**given, "kind": kind}, path)

    return BeforeValidator(validate)
