"""The table of a comparison: means, deviations, undefined values, and its formats."""

import csv
import io
from statistics import stdev

import pytest

from textvae.comparison.report.formats import FORMATS, escape_latex
from textvae.comparison.report.remarks import describe_measures
from textvae.comparison.report.table import TableRow, build_cells, group_rows, select_columns
from textvae.errors import ConfigError

COLUMNS = select_columns(["kl_target", "iw_nll"])
KEYS = [column.key for column in COLUMNS]


def make_record(config, seed, **measures):
    """Return the record of a run."""
    return {
        "config": config,
        "corpus": "captions",
        "seed": seed,
        "reason": None,
        "iw_nll": 30.0,
        "elbo": -32.5,
        "kl": 5.0,
        "mi_full": 4.0,
        "mi_full_cap": 6.5,
        "verdict": "healthy",
        **measures,
    }


FAILED = {"config": "free_bits", "corpus": "captions", "seed": 4, "reason": "the loss is NaN"}
ROWS = group_rows(
    [
        make_record("free_bits", 1, iw_nll=30.0),
        make_record("free_bits", 2, iw_nll=31.0, verdict="weak"),
        make_record("free_bits", 3, iw_nll=32.0),
        FAILED,
        make_record("no_density", 1, iw_nll=None, mi_full=float("nan"), kl_target=7.0),
        make_record("better", 1, iw_nll=29.996),
        make_record("as_good", 1, iw_nll=30.004),
    ]
)


def read_cell(row: int, key: str) -> str:
    """Return the text of a cell."""
    return build_cells(ROWS, COLUMNS)[row][KEYS.index(key)].text


def list_best(key: str) -> list[bool]:
    """Return for each row whether its cell of this measure is bold."""
    return [cells[KEYS.index(key)].is_best for cells in build_cells(ROWS, COLUMNS)]


def test_several_seeds_have_a_deviation_and_one_has_none():
    """It is the sample standard deviation of the runs that did not fail."""
    assert read_cell(0, "iw_nll") == "31.00 ± 1.00"
    assert read_cell(2, "iw_nll") == "30.00"
    assert read_cell(2, "elbo") == "32.50"
    assert read_cell(2, "mi_full") == "4.00 / 6.50"


def test_information_near_its_cap_is_shown_as_a_bound():
    """Further from the cap it is an estimate, and the count of units is never a bound."""
    records = [
        make_record("capped", 1, mi_full=6.4, active_units=32, latent_dim=32),
        make_record("free", 1, mi_full=5.4, active_units=32, latent_dim=32),
    ]
    cells = build_cells(group_rows(records), COLUMNS)
    at = KEYS.index("mi_full")
    assert [row[at].text for row in cells] == ["≥ 6.40 / 6.50", "5.40 / 6.50"]
    assert cells[0][KEYS.index("active_units")].text == "32.0 / 32"


def test_undefined_values_are_a_dash():
    """Null, NaN and a missing key are not shown as zero."""
    assert [read_cell(1, key) for key in ("iw_nll", "mi_full", "bleu")] == ["—"] * 3


def test_verdicts_are_counted_where_they_differ():
    """Failed runs count as a verdict."""
    assert read_cell(0, "verdict") == "healthy 2, weak 1, failed 1"
    assert read_cell(2, "verdict") == "healthy"


def test_the_best_values_are_bold():
    """Rows that show the same number are bold together; if all rows show it, none is bold."""
    assert list_best("iw_nll") == [False, False, True, True]
    assert not any(list_best("elbo"))
    assert not any(list_best("kl"))


def test_further_columns_come_after_the_usual_ones_and_none_twice():
    """`--columns` names any key of the records."""
    assert KEYS.count("iw_nll") == 1
    assert KEYS[-1] == "kl_target"
    assert read_cell(1, "kl_target") == "7.00"


@pytest.mark.parametrize("key", ["kept_step", "self_bleu", "verdict", "bleu_signature"])
def test_numbers_and_words_of_a_run_can_be_columns(key):
    """Measures that only a later evaluation adds can be shown, too."""
    assert key in [column.key for column in select_columns([key])]


def test_an_unknown_column_is_refused():
    """The message has the most similar key."""
    with pytest.raises(ConfigError, match=r"'iw_nl' is unknown: did you mean 'iw_nll'\?"):
        select_columns(["bits_per_byte", "iw_nl"])


def test_csv_keeps_the_numbers_exactly():
    """Means and deviations have all digits; undefined values are empty."""
    lines = list(csv.DictReader(io.StringIO(FORMATS["table.csv"](ROWS, COLUMNS, []))))
    assert [line["config"] for line in lines] == ["free_bits", "no_density", "better", "as_good"]
    assert float(lines[0]["iw_nll_std"]) == stdev([30.0, 31.0, 32.0])
    assert float(lines[2]["iw_nll"]) == 29.996
    assert (lines[1]["iw_nll"], lines[0]["failed"], lines[0]["runs"]) == ("", "1", "4")


def test_csv_has_the_words_of_a_column_of_words():
    """Runs that differ are counted, as in the other formats."""
    record = {"reason": None, "bleu_signature": "case:lc"}
    rows = [TableRow("vae", "corpus", [record, record])]
    columns = select_columns(["bleu_signature"])
    (line,) = csv.DictReader(io.StringIO(FORMATS["table.csv"](rows, columns, [])))
    assert line["bleu_signature"] == "case:lc"
    assert "bleu_signature_std" not in line


def test_markdown_and_latex_hold_the_same_cells():
    """They have one line per row, with as many cells as columns."""
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
    ("text", "expected"), [("a_b", r"a\_b"), ("5 %", r"5 \%"), ("\\{", r"\textbackslash{}\{")]
)
def test_special_characters_are_escaped_in_latex(text, expected):
    """Each character is escaped once."""
    assert escape_latex(text) == expected


def test_no_value_is_bold_if_the_rows_were_not_measured_on_the_same_words():
    """A model whose tokenizer knows fewer words has an easier test. A remark says so."""
    known = make_record("known", 1, iw_nll=31.0, unknown_share=0.0)
    unknown = make_record("unknown", 1, iw_nll=29.0, unknown_share=0.05)
    other_corpus = make_record("elsewhere", 1, unknown_share=0.2) | {"corpus": "reviews"}
    rows = group_rows([known, unknown, other_corpus])
    assert not any(cell.is_best for cells in build_cells(rows, COLUMNS) for cell in cells)
    (remark,) = describe_measures(rows)
    assert remark.startswith("captions: the rows were not measured on the same words")
    same = group_rows([known, make_record("same", 1, iw_nll=29.0, unknown_share=0.0)])
    assert any(cell.is_best for cells in build_cells(same, COLUMNS) for cell in cells)
    assert list(describe_measures(same)) == []


def test_the_warnings_of_a_row_are_remarks():
    """They are those of the first run that has any."""
    doubtful = make_record("doubtful", 1, warnings=["few draws."], size_warnings=["few texts."])
    rows = group_rows(
        [make_record("sound", 1), doubtful, make_record("doubtful", 2, warnings=["x"])]
    )
    assert list(describe_measures(rows)) == ["doubtful: few draws.", "doubtful: few texts."]
