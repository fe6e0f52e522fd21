"""What the site generates from the code: all settings, the command line, and the options of Python methods.

mkdocs calls `on_files` before it reads the pages, and `on_page_markdown` for each page
(https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from textvae.cli.parser import HelpFormatter, build_parser
from textvae.data.tables import TableSettings
from textvae.evaluation.settings import MeasureSettings
from textvae.inference.decoding import DecodingSettings
from textvae.settings.card import CardSettings
from textvae.settings.reference import (
    SECTIONS,
    SectionRecord,
    SettingRecord,
    describe_fields,
    describe_section,
)
from textvae.uses.settings import (
    AnomalySettings,
    AugmentSettings,
    InfillSettings,
    ScoreSettings,
    TraverseSettings,
    UncertaintySettings,
    VarySettings,
)

# Typed options of textvae/uses/options.py, with the classes that have their defaults.
OPTIONS: dict[str, type[BaseModel]] = {
    "DecodingOptions": DecodingSettings,
    "InfillOptions": InfillSettings,
    "TraverseOptions": TraverseSettings,
    "AugmentOptions": AugmentSettings,
    "AnomalyOptions": AnomalySettings,
    "ScoreOptions": ScoreSettings,
    "UncertaintyOptions": UncertaintySettings,
    "VaryOptions": VarySettings,
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
        markdown = markdown.replace(
            f"{{{{ {name} }}}}", _rows_table("option", describe_fields(settings))
        )
    return markdown


def settings_page() -> str:
    """Return the page of all settings: one table per section, with type, default and description."""
    head = (
        "# All settings\n\nEvery setting of a run, generated from the code, as `textvae settings` prints them.\n"
        "On the command line a setting is `section.key=value`; in a YAML file it is nested.\n"
        "[The guide](../settings.md) explains how they work together.\n"
    )
    return head + "".join(_table(record) for name in SECTIONS for record in describe_section(name))


def _table(record: SectionRecord) -> str:
    """Return one section as a heading, its summary, and a table of its keys."""
    heading = f"\n## {record.title}\n"
    if not record.settings:
        return f"{heading}\nNo settings.\n"
    return "\n".join([heading, record.summary, "", _rows_table("key", record.settings), ""])


def _rows_table(first: str, settings: Iterable[SettingRecord]) -> str:
    """Return a table with one row per setting; `first` is the title of the names."""
    rows = [
        f"| `{setting.key.rpartition('.')[2]}` | {_escaped(setting.type)} | {_default(setting)} "
        f"| {_escaped(setting.description)} |"
        for setting in settings
    ]
    return "\n".join([f"| {first} | type | default | meaning |", "|---|---|---|---|", *rows])


def _default(setting: SettingRecord) -> str:
    """Return a default as a cell of a table."""
    if setting.default is None:
        return "required"
    return setting.default if setting.default in ("none", "a new one") else f"`{setting.default}`"


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
