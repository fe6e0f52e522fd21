"""The CSV tables of a comparison hold no cell that a spreadsheet would run as a formula."""

import csv
from io import StringIO

import pytest

from textvae.comparison.report.formats import format_runs_csv


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1"])
def test_a_text_that_looks_like_a_formula_begins_with_an_apostrophe(name):
    """Spreadsheets show it as text; numbers stay numbers, whatever their sign."""
    (header, row) = csv.reader(StringIO(format_runs_csv([{"config": name, "elbo": -1.5}])))
    assert header == ["config", "elbo"]
    assert row == [f"'{name}", "-1.5"]


def test_other_texts_are_not_changed():
    """Names of configs are rarely anything else."""
    (_, row) = csv.reader(StringIO(format_runs_csv([{"config": "a-b=c", "verdict": "healthy"}])))
    assert row == ["a-b=c", "healthy"]
