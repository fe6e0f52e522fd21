"""What the site generates from the code: all settings, the command line, and the options of Python methods.

mkdocs calls `on_files` before it reads the pages, and `on_page_markdown` for each page
(https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import argparse
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from textvae.cli.parser import HelpFormatter, build_parser
from textvae.data.tables import TableSettings
from textvae.evaluation.settings import MeasureSettings
from textvae.inference.decoding import DecodingSettings
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS
from textvae.objective.techniques import TECHNIQUES
from textvae.settings.card import CardSettings
from textvae.settings.run import Settings
from textvae.uses.settings import (
    AnomalySettings,
    AugmentSettings,
    InfillSettings,
    ScoreSettings,
    TraverseSettings,
    UncertaintySettings,
)

# Interchangeable parts: each kind has settings of its own.
PARTS: dict[str, Mapping[str, Any]] = {
    "model.encoder": ENCODERS,
    "model.posterior": POSTERIORS,
    "model.prior": PRIORS,
    "model.decoder": DECODERS,
    "objective.techniques": TECHNIQUES,
}

# Typed options of textvae/uses/options.py, with the classes that have their defaults.
OPTIONS: dict[str, type[BaseModel]] = {
    "DecodingOptions": DecodingSettings,
    "InfillOptions": InfillSettings,
    "TraverseOptions": TraverseSettings,
    "AugmentOptions": AugmentSettings,
    "AnomalyOptions": AnomalySettings,
    "ScoreOptions": ScoreSettings,
    "UncertaintyOptions": UncertaintySettings,
    "MeasureSettings": MeasureSettings,
    "CardOptions": CardSettings,
    "TableOptions": TableSettings,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder."""
    pages = {"reference/settings.md": settings_page(), "reference/cli.md": command_line_page()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a table of options in place of every line `{{ NAME }}`, where NAME is a key of OPTIONS."""
    for name, settings in OPTIONS.items():
        markdown = markdown.replace(f"{{{{ {name} }}}}", _rows_table("option", settings))
    return markdown


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
    """Return one section as a heading, the first line of its description, and a table of its keys."""
    if not _plain_fields(model):
        return f"\n## {title}\n\nNo settings.\n"
    summary = (model.__doc__ or "").strip().splitlines()
    extra = list(_part_rows(title))
    return "\n".join([f"\n## {title}\n", *summary[:1], "", _rows_table("key", model, extra), ""])


def _rows_table(first: str, model: type[BaseModel], extra: list[str] | None = None) -> str:
    """Return a table with one row per field, and the extra rows; `first` is the title of the names."""
    rows = [
        f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {_escaped(field.description or '')} |"
        for name, field in _plain_fields(model).items()
    ]
    head = [f"| {first} | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, *(extra or [])])


def _plain_fields(model: type[BaseModel]) -> dict[str, Any]:
    """Return the fields that are values; sections and the kinds of parts have headings of their own."""
    is_part = any(part.Settings is model for parts in PARTS.values() for part in parts.values())
    return {
        name: field
        for name, field in model.model_fields.items()
        if not any(issubclass(kind, BaseModel) for kind in _classes(field.annotation))
        and not (is_part and name == "kind")
        and name != "techniques"
    }


def _part_rows(section: str) -> Iterator[str]:
    """Yield the rows of the parts of a section, whose kinds have headings of their own."""
    defaults = Settings().model_dump(mode="json")
    for path, kinds in PARTS.items():
        above, _, name = path.rpartition(".")
        if above != section:
            continue
        default = defaults[section][name]
        if path == "objective.techniques":
            choices = "names with settings"
            chosen = ", ".join(f"`{technique}`" for technique in default)
        else:
            choices = ", ".join(f"`{kind}`" for kind in kinds)
            chosen = f"`{default['kind']}`"
        yield f"| `{name}` | {choices} | {chosen} | has settings of its own, see below |"


def _type(annotation: Any) -> str:
    """Return a type as a reader of YAML thinks of it."""
    if annotation is type(None):
        return "none"
    if get_origin(annotation) is Annotated:  # bounds are not shown
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_type(choice) for choice in get_args(annotation))
    if get_origin(annotation) is dict:
        return "mapping"
    if get_origin(annotation) in (list, tuple):
        inner = dict.fromkeys(_type(item) for item in get_args(annotation) if item is not ...)
        return f"list of {', '.join(inner)}"
    names = {
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true or false",
        "Callable": "function",
    }
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, _escaped(name))


def _default(field: Any) -> str:
    """Return a default as it is written in YAML."""
    if field.default_factory is not None:
        return "a new one"
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    # For a plain value, YAML adds a line that ends the document.
    written = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return f"`{written}`"


def _escaped(text: str) -> str:
    """Return a text that does not end a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def command_line_page() -> str:
    """Return the page of the command line: the help of every command."""
    parser = build_parser()
    head = "# Command line\n\nThe help of every command, generated from the code.\n"
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
    verb.formatter_class = lambda prog: HelpFormatter(prog, width=96, max_help_position=30)
    return f"\n## {name}\n\n```text\n{verb.format_help()}```\n"
