"""Pages of the site that are generated from the code: all settings, and the command line.

mkdocs calls `on_files` before it reads the pages (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import argparse
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from textvae.cli.main import build_parser
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS
from textvae.objective.techniques import TECHNIQUES
from textvae.settings.run import Settings

# Interchangeable parts: each kind has settings of its own.
PARTS: dict[str, Mapping[str, Any]] = {
    "model.encoder": ENCODERS,
    "model.posterior": POSTERIORS,
    "model.prior": PRIORS,
    "model.decoder": DECODERS,
    "objective.techniques": TECHNIQUES,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder."""
    pages = {"reference/settings.md": settings_page(), "reference/cli.md": command_line_page()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def settings_page() -> str:
    """Return the page of all settings: one table per section, with type, default and description."""
    head = (
        "# All settings\n\nEvery setting of a run, generated from the code. On the command line a setting is\n"
        "`section.key=value`; in a YAML file it is nested. [The guide](../settings.md) explains how they work\n"
        "together.\n"
    )
    tables = [_table(title, model) for title, model in _sections(Settings, "")]
    return head + "".join(tables)


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the title and the settings class of every section, each kind of a part on its own."""
    if path:
        yield path, model
    for name, field in model.model_fields.items():
        below = f"{path}.{name}" if path else name
        if below in PARTS:
            yield from _kinds(below)
            continue
        for kind in _classes(field.annotation):
            if issubclass(kind, BaseModel):
                yield from _sections(kind, below)


def _kinds(path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the title and the settings class of every kind of a part."""
    for kind, part in PARTS[path].items():
        title = f"{path}.{kind}" if path == "objective.techniques" else f"{path}, kind {kind}"
        yield title, part.Settings


def _classes(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation is made of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def _table(title: str, model: type[BaseModel]) -> str:
    """Return one section as a heading and a table; sections without keys of their own are left out."""
    plain = {
        name: field
        for name, field in model.model_fields.items()
        if not any(issubclass(kind, BaseModel) for kind in _classes(field.annotation))
        and not ("kind" in title and name == "kind")
        and not (title.startswith("objective.techniques") and name == "kind")
    }
    summary = (model.__doc__ or "").strip().splitlines()
    rows = [
        f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {_escaped(field.description or '')} |"
        for name, field in plain.items()
    ]
    head = [f"\n## {title}\n", summary[0] if summary else "", ""]
    if not plain:
        return "\n".join([*head, "No settings of its own.", ""])
    return "\n".join([*head, "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _type(annotation: Any) -> str:
    """Return a type as a reader of YAML thinks of it."""
    if annotation is type(None):
        return "none"
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_type(choice) for choice in get_args(annotation))
    if get_origin(annotation) is not None:
        inner = ", ".join(
            _type(argument) for argument in get_args(annotation) if argument is not ...
        )
        return f"{get_origin(annotation).__name__} of {inner}"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, _escaped(name))


def _default(field: Any) -> str:
    """Return a default as it is written in YAML."""
    if field.default is PydanticUndefined:
        if field.default_factory is None:
            return "required"
        value = field.default_factory()
        return f"`{value}`" if isinstance(value, list | dict | tuple) and not value else "see below"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"


def _escaped(text: str) -> str:
    """Return a text that does not end a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def command_line_page() -> str:
    """Return the page of the command line: the help of every verb."""
    parser = build_parser()
    head = "# Command line\n\nThe help of every verb, generated from the code.\n"
    return head + "".join(_help(name, verb) for name, verb in _verbs(parser))


def _verbs(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every verb, and the verbs within a verb."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                yield f"{parser.prog} {name}", verb
                yield from _verbs(verb)


def _help(name: str, verb: argparse.ArgumentParser) -> str:
    """Return the help of one verb as a section."""
    verb.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=96, max_help_position=30)
    return f"\n## {name}\n\n```text\n{verb.format_help()}```\n"
