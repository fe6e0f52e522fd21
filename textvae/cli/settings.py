"""Options that are fields of a settings class: the class has their types, defaults and help.

The settings classes are in modules that import neither torch nor anything else that is
slow to import, so that `--help` stays fast.
"""

import json
from argparse import SUPPRESS, BooleanOptionalAction, Namespace, _ActionsContainer
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from textvae.schema import StrictSettings

# What the help text shows for the value of an option, by its type.
_METAVARS: dict[Any, str] = {int: "N", float: "X", str: "NAME"}

_UNIONS = (Union, UnionType)


def add_settings(
    command: _ActionsContainer, settings: type[StrictSettings], *names: str, metavar: str = ""
) -> None:
    """Add an option for each of the named fields of a settings class; without names, for all.

    The option has the type, the choices and the description of the field. It has no
    default: what the user does not write is absent from the parsed options, so that
    only the settings class knows the default.

    Args:
        metavar: what the help text shows for the value; by default, it depends on the type.
    """
    # For `textvae.cli.checks`, which validates what the user wrote.
    names = names or tuple(settings.model_fields)
    earlier = command.get_default("settings_options") or ()
    command.set_defaults(settings_options=(*earlier, (settings, names)))
    for name in names:
        flag = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        field = settings.model_fields[name]
        values = _describe_values(field)
        if metavar:
            values["metavar"] = metavar
        command.add_argument(
            flag, dest=name, default=SUPPRESS, help=_describe_field(field), **values
        )


def _describe_field(field: FieldInfo) -> str:
    """Return a help text: the description of a field and its default.

    Where the default is None or drawn for each call, the description itself says what happens by
    default.
    """
    text = str(field.description)
    if field.default_factory is not None:
        return text.replace("%", "%%")
    default = field.default
    if isinstance(default, float):
        default = f"{default:g}"  # 1, not 1.0
    if default is not None and default is not False:
        text += f" (default: {default})"
    return text.replace("%", "%%")  # argparse formats help texts with the operator %


def _describe_values(field: FieldInfo) -> dict[str, Any]:
    """Return the arguments of `add_argument` that say which values an option takes."""
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return {"choices": choices, "metavar": "|".join(choices)}
    kinds = _list_alternatives(annotation)
    if kinds == [bool]:
        # Only an option whose default is None needs a way to say no.
        return {"action": "store_true" if annotation is bool else BooleanOptionalAction}
    if len(kinds) == 1 and kinds[0] in _METAVARS:
        return {"type": kinds[0], "metavar": _METAVARS[kinds[0]]}
    if len(kinds) == 1 and _is_sequence_of_texts(kinds[0]):
        return {"action": "append", "metavar": "TEXT"}
    words = [choice for kind in kinds for choice in get_args(kind) if isinstance(choice, str)]
    if bool in kinds:
        return {"type": parse_value, "metavar": "|".join(["true", "false", *words])}
    return {"type": parse_value, "metavar": "JSON"}


def _list_alternatives(annotation: Any) -> list[Any]:
    """Return the types of a union without None, and of bounds only the type that they are for."""
    if get_origin(annotation) is Annotated:
        return _list_alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (None, Literal, Sequence, tuple):
        return [annotation]
    if get_origin(annotation) in _UNIONS:
        parts = [part for part in get_args(annotation) if part is not NoneType]
        return [kind for part in parts for kind in _list_alternatives(part)]
    return [annotation]


def _is_sequence_of_texts(kind: Any) -> bool:
    """Return whether a type is that of a sequence of strings."""
    return get_origin(kind) is Sequence and _list_alternatives(get_args(kind)[0]) == [str]


def parse_value(text: str) -> Any:
    """Return a value that is written as JSON; text that is not JSON stands for itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def collect_settings(options: Namespace, settings: type[StrictSettings]) -> dict[str, Any]:
    """Return the fields of a settings class that the user wrote as options."""
    values = vars(options)
    return {name: values[name] for name in settings.model_fields if name in values}
