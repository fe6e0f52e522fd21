"""The table as files: Markdown and LaTeX for people, CSV with all digits for programs."""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any

from textvae.comparison.report.table import RunRecord, TableCell, TableColumn, TableRow, build_cells

# The last five are not special in LaTeX, but a font may lack them.
_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "−": r"$-$",
    "∞": r"$\infty$",
    "—": "--",
}


def _format_markdown(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], remarks: Sequence[str]
) -> str:
    """Return the table in Markdown, followed by the remarks."""
    lines = [
        _format_markdown_line(["", *(column.title for column in columns)]),
        _format_markdown_line(["---", *("---:" for _ in columns)]),
    ]
    for row, cells in zip(rows, build_cells(rows, columns), strict=True):
        texts = [f"**{cell.text}**" if cell.is_best else cell.text for cell in cells]
        lines.append(_format_markdown_line([row.name, *texts]))
    lines += [f"\n- {remark}" for remark in remarks]
    return "\n".join(lines) + "\n"


def _format_markdown_line(texts: Sequence[str]) -> str:
    """Return one line of a table in Markdown."""
    escaped = [text.replace("|", r"\|") for text in texts]
    return f"| {' | '.join(escaped)} |"


def _format_latex(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], remarks: Sequence[str]
) -> str:
    """Return the table in LaTeX, for the package booktabs, with the remarks as comments."""
    titles = [escape_latex(column.title) for column in columns]
    body = []
    for row, cells in zip(rows, build_cells(rows, columns), strict=True):
        texts = [escape_latex(row.name), *map(_format_latex_cell, cells)]
        body.append(_format_latex_line(texts))
    return "\n".join(
        [
            *(f"% {remark}" for remark in remarks),
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            _format_latex_line(["", *titles]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _format_latex_line(texts: Sequence[str]) -> str:
    """Return one line of a table in LaTeX; the texts are escaped already."""
    return " & ".join(texts) + r" \\"


def _format_latex_cell(cell: TableCell) -> str:
    """Return a cell in LaTeX, bold if it is the best of its corpus."""
    text = escape_latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.is_best else text


def escape_latex(text: str) -> str:
    """Return a text in which no character has a special meaning in LaTeX."""
    # One pass: the escapes contain characters that would be escaped again.
    special = "|".join(map(re.escape, _LATEX_ESCAPES))
    return re.sub(special, lambda match: _LATEX_ESCAPES[match[0]], text)


def _format_summary_csv(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], remarks: Sequence[str]
) -> str:
    """Return the table as CSV, with the number of runs of each row and of those that failed.

    A measure KEY has a column `KEY` with its mean and a column `KEY_std` with its standard
    deviation, or one column with its words, such as the verdict; undefined values are empty.
    Numbers have the sign of the records: the column `elbo` holds the ELBO, where the other formats
    show -ELBO.
    """
    lines: list[dict[str, Any]] = []
    for row in rows:
        failed = len(row.records) - len(row.finished_records)
        line: dict[str, Any] = {
            "config": row.name,
            "corpus": row.corpus,
            "runs": len(row.records),
            "failed": failed,
        }
        for column in columns:
            values = [record.get(column.key) for record in row.finished_records]
            if column.key == "verdict" or any(isinstance(value, str) for value in values):
                line[column.key] = row.summarize_words(column.key)
            else:
                line[column.key] = row.mean(column.key)
                line[f"{column.key}_std"] = row.standard_deviation(column.key)
        lines.append(line)
    return _format_csv(lines)


def format_runs_csv(records: Sequence[RunRecord]) -> str:
    """Return the record of every run as CSV, without values that are lists or dicts."""
    flat = [
        {key: value for key, value in record.items() if not isinstance(value, list | dict)}
        for record in records
    ]
    return _format_csv(flat)


def _format_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return lines as CSV, with a column for every key that occurs in a line.

    Numbers have as many digits as are needed to read the same number back. A text that a
    spreadsheet would take for a formula begins with an apostrophe.
    """
    # A dict, not a set: it keeps the order of the keys.
    keys = list(dict.fromkeys(key for line in lines for key in line))
    text = StringIO()
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writerow({key: _guard_formula(key) for key in keys})
    for line in lines:
        writer.writerow({key: _guard_formula(value) for key, value in line.items()})
    return text.getvalue()


def _guard_formula(value: Any) -> Any:
    """Return a cell of a CSV file that no spreadsheet runs as a formula."""
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@")):
        return f"'{value}"
    return value


# The tables of a comparison: file names, and functions that format rows, columns and remarks.
FORMATS: dict[str, Callable[[Sequence[TableRow], Sequence[TableColumn], Sequence[str]], str]] = {
    "table.md": _format_markdown,
    "table.tex": _format_latex,
    "table.csv": _format_summary_csv,
}
