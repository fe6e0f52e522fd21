"""The verb `docs`: the pages of the documentation, which the package contains."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textvae.cli.arguments import Command, Subparsers, add_json, add_verb
from textvae.cli.output import print_records
from textvae.errors import ConfigError, did_you_mean
from textvae.runtime.packaged_files import list_packaged_files
from textvae.terminal import quote_value

_SUFFIX = ".md"
_GENERATED = "reference/"  # written from the code when the site is built

# Pages that are generated, and the command that prints the same.
_COMMANDS = {
    "reference/cli": "`textvae VERB --help` explains a verb",
    "reference/settings": "`textvae settings` explains the settings",
}


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    docs = add_verb(verbs, "docs", "list the pages of the documentation, or print one")
    docs.add_argument(
        "page",
        nargs="?",
        metavar="PAGE",
        help="page to print, such as measures or uses/infill (default: list all pages)",
    )
    add_json(docs)


def list_pages() -> dict[str, Path]:
    """Return the files of the pages by name, such as uses/infill, sorted."""
    pages = list_packaged_files("docs", _SUFFIX)
    return {name: file for name, file in pages.items() if not name.startswith(_GENERATED)}


def _docs(options: Namespace) -> None:
    """Print the names and titles of all pages, or the text of one."""
    pages = list_pages()
    if options.page is None:
        records = [{"page": name, "title": _read_title(file)} for name, file in pages.items()]
        print_records(records, options.json, _format_page)
        return
    name = _find_name(options.page, pages)
    text = pages[name].read_text(encoding="utf-8")
    if options.json:
        record = {"page": name, "title": _read_title(pages[name]), "text": text}
        print_records([record], as_json=True, format_record=str)
    else:
        print(text, end="", flush=True)


def _find_name(page: str, pages: Mapping[str, Path]) -> str:
    """Return the name of a page that is written as a name, as a path, or without its folder.

    Raises:
        ConfigError: there is no such page; the message has the most similar one.
    """
    name = page.removeprefix("docs/").removesuffix(_SUFFIX)
    found = [full for full in pages if name == full] or [
        full for full in pages if full.endswith(f"/{name}")
    ]
    if len(found) == 1:
        return found[0]
    hint = _COMMANDS.get(name, "`textvae docs` lists all pages")
    suggestion = did_you_mean(name, found or pages)
    raise ConfigError(
        f"{quote_value(page)} is not a page of the documentation; {suggestion}{hint}."
    )


def _read_title(file: Path) -> str:
    """Return the first heading of a page."""
    with file.open(encoding="utf-8") as lines:
        headings = (line for line in lines if line.startswith("# "))
        return next(headings, "# ").removeprefix("# ").strip()


def _format_page(record: Mapping[str, Any]) -> str:
    """Return the name and the title of a page as a line."""
    return f"{record['page']:28}  {record['title']}"


COMMANDS: dict[str, Command] = {"docs": _docs}
