"""The verb `settings`: what every setting of a run means, and what it is by default."""

import textwrap
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from textvae.cli.arguments import Command, Subparsers, add_json, add_verb
from textvae.cli.output import print_records
from textvae.settings.reference import SECTIONS, SectionRecord, describe_section
from textvae.terminal import escape_controls

_WIDTH = 96  # characters per line

_LIST_END = """
textvae settings SECTION explains the settings of a section; textvae settings model.decoder.lstm
and textvae settings target_kl those of one part or technique, and textvae settings training.steps
a single one.
On the command line a setting is section.key=value: textvae train my.txt training.epochs=3"""


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    settings = add_verb(
        verbs, "settings", "explain the settings of a run, with their types and defaults"
    )
    settings.add_argument(
        "section",
        nargs="?",
        metavar="SECTION",
        help=f"{', '.join(SECTIONS)}, or a part or a technique in them, such as model.decoder or "
        "target_kl, or one setting, such as training.steps (default: the list of sections)",
    )
    add_json(settings)


def _settings(options: Namespace) -> None:
    """Print the sections, or the settings of one."""
    if options.section is None:
        records = [{"section": name, "summary": part.summary} for name, part in SECTIONS.items()]
        print_records(records, options.json, _format_summary)
        if not options.json:
            print(_LIST_END)
        return
    sections = describe_section(options.section)
    if options.json:
        print_records(_list_settings(sections), as_json=True, format_record=str)
        return
    for section in sections:
        print(escape_controls(f"{section.title}: {section.summary}"))
        for record in _list_settings([section]):
            print(_format_setting(record))
        print()


def _list_settings(sections: list[SectionRecord]) -> Iterator[dict[str, Any]]:
    """Yield a record of each setting."""
    for section in sections:
        for setting in section.settings:
            yield {
                "section": section.name,
                "kind": section.kind,
                "key": setting.key,
                "type": setting.type,
                "default": setting.default,
                "description": setting.description,
            }


def _format_summary(record: Mapping[str, Any]) -> str:
    """Return a section with its summary as a line."""
    return f"{record['section']:10}  {record['summary']}"


def _format_setting(record: Mapping[str, Any]) -> str:
    """Return a setting as two or more lines: its key, type and default, and its meaning."""
    default = "required" if record["default"] is None else f"default: {record['default']}"
    head = f"  {record['key']}  {record['type']}  ({default})"
    meaning = textwrap.fill(
        record["description"], _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
    return f"{head}\n{meaning}"


COMMANDS: dict[str, Command] = {"settings": _settings}
