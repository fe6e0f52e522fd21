"""Options that are fields of a settings class: the class has their types, defaults and help.

The settings classes are in modules that import neither torch nor anything else that is
slow to import, so that `--help` stays fast.
"""

from argparse import SUPPRESS, Namespace, _ActionsContainer
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from textvae.schema import StrictSettings

# What the help text shows for the value of an option, by its type.
_METAVARS: dict[Any, str] = {int: "N", float: "X", str: "NAME"}


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
    kind = annotation
    for alternative in get_args(annotation):  # of `int | None`, take `int`
        if alternative is not NoneType:
            kind = alternative
    if kind is bool:
        return {"action": "store_true"}
    return {"type": kind, "metavar": _METAVARS[kind]}


def collect_settings(options: Namespace, settings: type[StrictSettings]) -> dict[str, Any]:
    """Return the fields of a settings class that the user wrote as options."""
    values = vars(options)
    return {name: values[name] for name in settings.model_fields if name in values}
