"""The table as files: Markdown and LaTeX to be read, CSV with every digit."""

import csv
import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

from textvae.comparison.report.table import RunRecord, TableCell, TableColumn, TableRow, build_cells

_LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "∞": r"$\infty$",
    "—": "--",
}


def _format_markdown(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], failures: Sequence[str]
) -> str:
    """Return the table in Markdown, the failed runs below it."""
    head = ["", *(column.title for column in columns)]
    lines = [
        [row.name, *(f"**{cell.text}**" if cell.is_best else cell.text for cell in line)]
        for row, line in zip(rows, build_cells(rows, columns), strict=True)
    ]
    texts = [head, ["---", *("---:" for _ in columns)], *lines]
    table = "\n".join(
        f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |" for line in texts
    )
    return "\n".join([table, *(f"\n- {failure}" for failure in failures)]) + "\n"


def _format_latex(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], failures: Sequence[str]
) -> str:
    """Return the table in LaTeX, for the package booktabs; the failed runs as comments."""
    lines = zip(rows, build_cells(rows, columns), strict=True)
    body = [
        " & ".join([escape_latex(row.name), *(_format_latex_cell(cell) for cell in line)]) + r" \\"
        for row, line in lines
    ]
    return "\n".join(
        [
            *(f"% {failure}" for failure in failures),
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            " & ".join(["", *(escape_latex(column.title) for column in columns)]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _format_latex_cell(cell: TableCell) -> str:
    """Return a cell in LaTeX."""
    return rf"\textbf{{{escape_latex(cell.text)}}}" if cell.is_best else escape_latex(cell.text)


def escape_latex(text: str) -> str:
    """Return a text in which no sign means anything to LaTeX."""
    return re.sub(
        "|".join(map(re.escape, _LATEX_ESCAPES)), lambda found: _LATEX_ESCAPES[found[0]], text
    )


def _format_summary_csv(
    rows: Sequence[TableRow], columns: Sequence[TableColumn], failures: Sequence[str]
) -> str:
    """Return the table as CSV: `KEY` and `KEY_std`, empty where undefined; the signs are those of the records."""
    lines: list[dict[str, Any]] = []
    for row in rows:
        line: dict[str, Any] = {"config": row.name, "corpus": row.corpus, "runs": len(row.records)}
        line["failed"] = len(row.records) - len(row.measured)
        for column in columns:
            value = row.mean(column.key)
            line[column.key] = row.words(column.key) if column.key == "verdict" else value
            if column.key != "verdict":
                line[f"{column.key}_std"] = row.spread(column.key)
        lines.append(line)
    return _format_csv(lines)


def format_runs_csv(records: Sequence[RunRecord]) -> str:
    """Return every run's record as CSV; lists are left out."""
    flat = [
        {key: value for key, value in record.items() if not isinstance(value, list | dict)}
        for record in records
    ]
    return _format_csv(flat)


def _format_csv(lines: Sequence[RunRecord]) -> str:
    """Return lines as CSV, under all keys there are, with the shortest digits that give the number back."""
    text = StringIO()
    writer = csv.DictWriter(
        text, list(dict.fromkeys(key for line in lines for key in line)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


FORMATS: dict[str, Callable[[Sequence[TableRow], Sequence[TableColumn], Sequence[str]], str]] = {
    "table.md": _format_markdown,
    "table.tex": _format_latex,
    "table.csv": _format_summary_csv,
}
