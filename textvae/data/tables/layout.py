"""The layout of a delimited table: what separates its cells, and what its columns are called.

Nothing is guessed that could be wrong without a word. A separator is found by the name
of the column of texts in the first line, or because it alone divides all first lines
into as many cells. A first line is taken for names only if the settings say so, or if
it names the column of texts.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence

from textvae.data.tables.base import (
    FormatError,
    LayoutError,
    explain_missing_column,
    format_value,
    list_columns,
)
from textvae.data.tables.lines import SEPARATOR_WORDS
from textvae.data.tables.settings import TableSettings

# A first line that some spreadsheets write.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\w])"?', re.IGNORECASE)

_FLAGS = {"text_column": "--text-column", "join_columns": "--join-column"}


def find_separator(
    lines: Sequence[str], default: str, quotes_delimit: bool, settings: TableSettings
) -> str:
    """Return what separates the cells of a table.

    Args:
        lines: the first lines of the file.
        default: the separator that the name of the file promises.
        quotes_delimit: whether double quotes delimit cells.
        settings: what is known about the file.

    Raises:
        LayoutError: several separators are equally likely.
    """
    if settings.separator != "auto":
        return settings.separator
    tables = {
        separator: _split_lines(lines, separator, quotes_delimit)
        for separator in [default, *SEPARATOR_WORDS]
    }
    named = []
    if settings.header is not False:
        named = [sign for sign, rows in tables.items() if _has_names(rows, settings.text_columns)]
    if default in named:
        return default
    even = [separator for separator, rows in tables.items() if _is_even(rows)]
    candidates = [separator for separator in named if len(tables[separator][0]) > 1] or even
    if len(candidates) > 1 and (default not in candidates or settings.header is False):
        words = " or ".join(SEPARATOR_WORDS[separator] for separator in candidates)
        raise LayoutError(
            f"may have cells that are separated by {words}; say which: "
            f"data.separator={SEPARATOR_WORDS[candidates[0]]} (--separator)."
        )
    if len(candidates) == 1:
        return candidates[0]
    return default


def read_separator_line(line: str) -> str | None:
    """Return the separator that a line such as `sep=;` tells; None if it is an ordinary line.

    Spreadsheets write and read such a first line.
    """
    match = _SEPARATOR_LINE.fullmatch(line)
    return match[1] if match else None


def name_columns(cells: Sequence[str], settings: TableSettings) -> tuple[list[str], dict[str, int]]:
    """Return the names of the columns, and further names of single columns with their index.

    Args:
        cells: those of the first row.
        settings: what is known about the file.

    Raises:
        LayoutError: a column of texts is missing, or it is not known whether the first row
            names the columns.
    """
    if settings.header is False:
        return _number_columns(cells, settings)
    names = [cell.strip() for cell in cells]
    aliases: dict[str, int] = {}
    for name in settings.text_columns:
        is_number = name.isascii() and name.isdigit()
        if settings.header == "auto" and is_number:
            raise LayoutError(
                f"column {name} is the number of a column, or its name; say whether this line "
                f"({list_columns(names)}) names the columns: data.header=true (--header) or "
                "data.header=false (--no-header)."
            )
        if name.strip() in names:
            if name.strip() != name:
                aliases[name] = names.index(name.strip())
            continue
        if not is_number or not 1 <= int(name) <= len(names):
            raise LayoutError(_explain_missing(name, names, settings))
        aliases[name] = int(name) - 1
    return names, aliases


def check_repeated_names(names: Sequence[str]) -> None:
    """Refuse a name that two columns have.

    Several columns may be without a name: nobody can ask for one of them.

    Raises:
        FormatError: a name occurs twice.
    """
    for name, count in Counter(names).items():
        if name and count > 1:
            raise FormatError(
                f"names the column {format_value(name)} twice; rename one of the two."
            )


def _number_columns(
    cells: Sequence[str], settings: TableSettings
) -> tuple[list[str], dict[str, int]]:
    """Return the numbers of the columns as their names, and a further name if there is one column.

    Raises:
        LayoutError: the settings name a column, and this table has only numbers.
    """
    numbers = [str(number) for number in range(1, len(cells) + 1)]
    if len(cells) == 1 and not settings.join_columns:
        return numbers, {settings.text_column: 0}
    for name in settings.text_columns:
        if name not in numbers:
            key = "join_columns" if settings.join_columns else "text_column"
            raise LayoutError(
                f"there is no column {name!r}, because data.header=false says that the first "
                f"line is a row ({list_columns(cells)}). Give the number of the column, "
                f"1 to {len(cells)}: data.{key} ({_FLAGS[key]})."
            )
    return numbers, {}


def _explain_missing(name: str, names: Sequence[str], settings: TableSettings) -> str:
    """Return that a column of texts is missing, and what to set."""
    key = "join_columns" if settings.join_columns else "text_column"
    problem = explain_missing_column(name, names, f"Set data.{key}. (Option: {_FLAGS[key]}.)")
    if settings.header == "auto":
        number = min(2, len(names))
        problem += (
            " To join the texts of several columns, set data.join_columns."
            " If this line is a row and names no columns, set data.header=false (--no-header) "
            f"and the number of the column, such as data.{key}={number}."
        )
    return problem


def _split_lines(lines: Sequence[str], separator: str, quotes_delimit: bool) -> list[list[str]]:
    """Return the cells of the first rows under one separator, without blank rows."""
    rows = [line.split(separator) for line in lines]
    if quotes_delimit:
        try:
            rows = list(csv.reader([f"{line}\n" for line in lines], delimiter=separator))
        except csv.Error:  # `DelimitedReader` will say what is wrong, and where
            rows = rows[:1]
    return [row for row in rows if len(row) > 1 or "".join(row).strip()]


def _has_names(rows: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Return whether the first row names all columns of texts."""
    first = [cell.strip().strip('"') for cell in rows[0]] if rows else []
    return {name.strip() for name in names} <= set(first)


def _is_even(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether all rows have as many cells, and more than one."""
    return len({len(row) for row in rows}) == 1 and len(rows[0]) > 1
