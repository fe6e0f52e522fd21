"""Interchangeable parts and their settings: look up a part by name, validate its settings.

A part (an encoder, a technique ...) is a class with a nested `Settings`; the
package it lives in has a plain dict from names to classes. The functions here
turn what a user wrote into a validated settings object, or into one message
that lists every error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from operator import index
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from textvae.errors import ConfigError, did_you_mean
from textvae.terminal import quote_value

T = TypeVar("T")


S = TypeVar("S", bound=BaseModel)


# Characters that no name of a file or a column has, and that cannot be saved.
_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")

MAX_INTEGER = 2**63  # no number of ours may be this large, because torch could not store it


Seed = Annotated[
    int,
    Field(
        ge=0,
        lt=MAX_INTEGER,
        description="seed of the random numbers; the same seed gives the same result",
    ),
]


MAX_COUNT = 10_000_000  # most samples, sentences or the like that one call keeps in memory

Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]

# Far beyond all that is useful, and small enough that the memory of a model can be computed.
Size = Annotated[int, Field(gt=0, le=1_000_000)]
LayerCount = Annotated[int, Field(gt=0, le=1_000)]

MAX_PROCESSES = 1_024  # each takes hundreds of megabytes


# Beyond these bounds, logits divided by the temperature overflow, or all become the same.
MIN_TEMPERATURE = 1e-6
MAX_TEMPERATURE = 1e6


class StrictSettings(BaseModel):
    """Typed, immutable settings that refuse unknown keys and impossible values.

    These are infinity, NaN and truth values where a number is expected, integers beyond all
    bounds, and text that cannot be saved.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )
    # Names by which another library knows the settings of this section, with what to write here.
    foreign_names: ClassVar[Mapping[str, str]] = {}

    @field_validator("*", mode="before")
    @classmethod
    def refuse_impossible_values(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what pydantic would accept, such as True as 1, and what could not be saved."""
        types = _list_types(cls.model_fields[str(info.field_name)].annotation)
        is_number = bool(types & {int, float}) and bool not in types
        parts = value if isinstance(value, list | tuple) else [value]
        if is_number and any(isinstance(part, bool) for part in parts):
            raise PydanticCustomError("truth_value", "Input should be a number, not a truth value")
        if is_number and any(isinstance(part, bytes) for part in parts):
            raise PydanticCustomError("bytes", "Input should be a number, not bytes")
        if any(type(part) is int and abs(part) >= MAX_INTEGER for part in parts):
            raise PydanticCustomError("too_large", "Input should be less than 2^63")
        if any(isinstance(part, str) and _IMPOSSIBLE.search(part) for part in parts):
            raise PydanticCustomError(
                "text", "Input should be text without NUL and halves of surrogate pairs"
            )
        return value


class PartSettings(StrictSettings):
    """The settings of an interchangeable part; `kind` is its name in the table of its package."""

    kind: str

    def fit_to_corpus(self, sentences: int) -> Self:
        """Return the settings with numbers in place of every `auto` that depends on the corpus.

        Args:
            sentences: how many there are to train on.
        """
        return self


def choose(table: Mapping[str, T], name: str, setting: str) -> T:
    """Return `table[name]`.

    Args:
        setting: the key under which the user wrote the name, for the message.

    Raises:
        ConfigError: the name is not in the table; the message lists those that are.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    hint = did_you_mean(name, table)
    names = ", ".join(sorted(table))
    raise ConfigError(f"{setting} = {quote_value(name)} is unknown: {hint}Choose from {names}.")


def validate_settings(settings: type[S], values: Mapping[str, Any], path: str = "") -> S:
    """Build `settings` from what the user wrote.

    Args:
        path: the dotted key that holds the values, for messages.

    Raises:
        ConfigError: some keys are unknown or some values do not fit; it has one message for each.
    """
    try:
        return settings.model_validate(dict(values))
    except ValidationError as error:
        messages = _list_messages(settings, error.errors(), path)
    raise ConfigError(*messages)


def list_set_fields(value: Any) -> Any:
    """Return the fields of a settings object that were set, or any other value unchanged."""
    if not isinstance(value, BaseModel):
        return value
    # Without its `kind`, the settings of a part would be read as those of the default part.
    names = value.model_fields_set | ({"kind"} if isinstance(value, PartSettings) else set())
    # Not `exclude_unset`, for the same reason: it would leave out the `kind` of nested parts.
    fields = value.model_dump()
    return {name: fields[name] for name in fields if name in names}


def require_integer(value: object, name: str, at_least: int = 1) -> int:
    """Return a whole number, such as a count, as an int.

    Raises:
        ConfigError: it is of another type, or too small.
    """
    try:
        number = None if isinstance(value, bool) else index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < at_least:
        raise ConfigError(
            f"{name} = {quote_value(value)}: expected a whole number, {at_least} or more."
        )
    return number


def require_list(value: object, name: str) -> list[Any]:
    """Return a sequence as a list.

    Raises:
        ConfigError: it is something else, or a single string, whose parts would be letters.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConfigError(f"{name} = {quote_value(value)}: expected a list, such as ['a', 'b'].")
    return list(value)


def validate_each(entries: Mapping[str, Any], validate: Callable[[str, Any], T]) -> dict[str, T]:
    """Return `validate(name, entry)` of each entry, by name.

    Raises:
        ConfigError: entries are wrong; it has the messages of all of them.
    """
    results: dict[str, T] = {}
    messages: list[str] = []
    for name, entry in entries.items():
        try:
            results[name] = validate(name, entry)
        except ConfigError as error:
            messages.extend(error.args)
    if messages:
        raise ConfigError(*messages)
    return results


def part_validator(table: Callable[[], Mapping[str, Any]], path: str) -> BeforeValidator:
    """Return a pydantic validator that turns a name, or a mapping with a `kind`, into the settings of that part.

    Args:
        table: returns the table of parts; it is a function because the table may not be complete
            yet while its package is being imported.
        path: the dotted key, for messages.
    """

    def validate(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return value
        entries = table()
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{path} = {quote_value(value)} does not fit: "
                "give the name of a part, or a mapping of its settings."
            )
        # Without a kind it is the first of the table, which is the default.
        kind = str(value.get("kind", next(iter(entries))))
        part = choose(entries, kind, f"{path}.kind")
        return validate_settings(part.Settings, {**value, "kind": kind}, path)

    return BeforeValidator(validate)


def _list_types(annotation: object) -> set[object]:
    """Return the types in an annotation, such as {float, NoneType} of `float | None`."""
    # The arguments of a callable are a list.
    parts = annotation if isinstance(annotation, list) else get_args(annotation)
    if not parts:
        return {annotation}
    return {kind for part in parts for kind in _list_types(part)}


def _list_messages(
    settings: type[BaseModel], details: Iterable[ErrorDetails], path: str
) -> list[str]:
    """Return one message for each wrong key, in the order of the fields."""
    messages: dict[str, str] = {}
    for detail in details:
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            # Raised by a validator of ours: its messages name the key already.
            for message in cause.args:
                messages[message] = message
        else:
            key, message = _describe_problem(settings, detail, path)
            # A key that may have one of several types has an error for each; the first says enough.
            messages.setdefault(key, message)
    return list(messages.values())


def _describe_problem(
    settings: type[BaseModel], detail: ErrorDetails, path: str
) -> tuple[str, str]:
    """Return the dotted key that one of pydantic's errors is about, and a message."""
    keys = [str(key) for key in detail["loc"]]
    is_unknown = detail["type"] == "extra_forbidden"
    if not is_unknown:
        keys = _drop_union_keys(settings, keys)
    name = ".".join(filter(None, [path, *keys]))
    if is_unknown:
        section = _find_section(settings, keys[:-1])
        if issubclass(section, StrictSettings) and keys[-1] in section.foreign_names:
            return name, f"{name} is not a setting: {section.foreign_names[keys[-1]]}"
        known = list(section.model_fields)
        hint = did_you_mean(keys[-1], known)
        return name, f"{name} is not a setting: {hint}Known keys: {', '.join(known)}."
    hint = ""
    if detail["type"] == "literal_error":
        hint = did_you_mean(str(detail["input"]), re.findall("'([^']*)'", detail["msg"]))
    return name, f"{name} = {quote_value(detail['input'])} does not fit: {hint}{detail['msg']}."


def _drop_union_keys(settings: type[BaseModel], keys: list[str]) -> list[str]:
    """Return the keys that the user wrote.

    Pydantic appends the branch of a union that failed, such as `float` or
    `literal['auto']`, which means nothing to the user.
    """
    written: list[str] = []
    inner: Any = settings
    for key in keys:
        is_model = isinstance(inner, type) and issubclass(inner, BaseModel)
        if is_model and key in inner.model_fields:
            written.append(key)
            inner = inner.model_fields[key].annotation
        elif key.isdigit():
            written.append(key)
            inner = None
    return written


def _find_section(settings: type[BaseModel], keys: list[str]) -> type[BaseModel]:
    """Return the class of the nested settings under `keys`."""
    for key in keys:
        annotation = settings.model_fields[key].annotation
        # An optional section is a union with None.
        choices = [annotation, *get_args(annotation)]
        settings = next(
            choice
            for choice in choices
            if isinstance(choice, type) and issubclass(choice, BaseModel)
        )
    return settings
