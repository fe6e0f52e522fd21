"""The table of a comparison: means, spreads, what is undefined, and its formats."""

import csv
import io
from statistics import stdev

import pytest

from textvae.comparison.report.formats import FORMATS, escape_latex
from textvae.comparison.report.table import build_cells, group_rows, select_columns

COLUMNS = select_columns(["kl_target", "iw_nll"])
KEYS = [column.key for column in COLUMNS]


def record(config, seed, **measures):
    """Return the record of a run."""
    full = {
        "iw_nll": 30.0,
        "elbo": -32.5,
        "kl": 5.0,
        "mi_full": 4.0,
        "mi_full_cap": 6.5,
        "verdict": "healthy",
    }
    return {
        "config": config,
        "corpus": "captions",
        "seed": seed,
        "reason": None,
        **full,
        **measures,
    }


ROWS = group_rows(
    [
        record("free_bits", 1, iw_nll=30.0),
        record("free_bits", 2, iw_nll=31.0, verdict="weak"),
        record("free_bits", 3, iw_nll=32.0),
        {
            "config": "free_bits",
            "corpus": "captions",
            "seed": 4,
            "reason": "the loss is not a number",
        },
        record("no_density", 1, iw_nll=None, mi_full=float("nan"), kl_target=7.0),
        record("better", 1, iw_nll=29.996),
        record("as_good", 1, iw_nll=30.004),
    ]
)


def shown(row: int, key: str) -> str:
    return build_cells(ROWS, COLUMNS)[row][KEYS.index(key)].text


def test_several_seeds_have_a_spread_and_one_has_none():
    """The sample standard deviation, of the runs that did not fail."""
    assert shown(0, "iw_nll") == "31.00 ± 1.00"
    assert shown(2, "iw_nll") == "30.00"
    assert shown(2, "elbo") == "32.50"
    assert shown(2, "mi_full") == "4.00 / 6.50"


def test_what_is_undefined_is_a_dash():
    """Null, not a number, or not there at all: no zero is shown for them."""
    assert [shown(1, key) for key in ("iw_nll", "mi_full", "bleu")] == ["—"] * 3


def test_verdicts_are_counted_where_they_differ():
    """With the runs that failed."""
    assert shown(0, "verdict") == "healthy 2, weak 1, failed 1"
    assert shown(2, "verdict") == "healthy"


def test_the_best_are_those_that_look_best():
    """Rows that show the same number share the honour; a measure that all share honours nobody."""
    table = build_cells(ROWS, COLUMNS)
    assert [line[KEYS.index("iw_nll")].is_best for line in table] == [False, False, True, True]
    assert not any(
        line[KEYS.index("elbo")].is_best or line[KEYS.index("kl")].is_best for line in table
    )


def test_further_columns_come_after_the_usual_ones_and_none_twice():
    """`--columns` names any key of the records."""
    assert KEYS.count("iw_nll") == 1
    assert KEYS[-1] == "kl_target"
    assert shown(1, "kl_target") == "7.00"


def test_csv_gives_the_numbers_back():
    """Means and spreads to the last digit; nothing where undefined."""
    lines = list(csv.DictReader(io.StringIO(FORMATS["table.csv"](ROWS, COLUMNS, []))))
    assert [line["config"] for line in lines] == ["free_bits", "no_density", "better", "as_good"]
    assert float(lines[0]["iw_nll_std"]) == stdev([30.0, 31.0, 32.0])
    assert float(lines[2]["iw_nll"]) == 29.996
    assert (lines[1]["iw_nll"], lines[0]["failed"], lines[0]["runs"]) == ("", "1", "4")


def test_markdown_and_latex_hold_the_same_cells():
    """A line a row, as many cells as columns."""
    failures = ["free_bits seed 4 failed: 100 % | gone"]
    table = FORMATS["table.md"](ROWS, COLUMNS, failures)
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 2}
    assert len(lines) == len(ROWS) + 2
    assert "**30.00**" in table
    assert failures[0] in table
    text = FORMATS["table.tex"](ROWS, COLUMNS, failures)
    assert text.count(r" \\") == len(ROWS) + 1
    assert r"free\_bits & 31.00 $\pm$ 1.00" in text
    assert r"\textbf{30.00}" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")


@pytest.mark.parametrize(
    ("text", "wanted"), [("a_b", r"a\_b"), ("5 %", r"5 \%"), ("\\{", r"\textbackslash{}\{")]
)
def test_latex_means_nothing_but_what_is_written(text, wanted):
    """Each sign is escaped once."""
    assert escape_latex(text) == wanted
