"""`traverse` and `insight` on the command line."""

import json

import pytest

from tests.tiny_run import SENTENCES
from textvae.cli.main import main


@pytest.fixture
def table(tmp_path):
    """A table with columns of classes, of numbers, of numbers that name classes, and bad ones."""
    rows = []
    for place, text in enumerate(SENTENCES):
        count = "two" if "two" in text else "one"
        lacking = place or ""  # blank in the first row
        rows.append(f"{text},{count},{place},{place % 5},same,{lacking}")
    file = tmp_path / "table.csv"
    file.write_text("\n".join(["text,count,place,topic,constant,lacking", *rows]) + "\n")
    return str(file)


def test_traverse_prints_one_sentence_per_step(tiny_run, capsys):
    """A line of text begins with the step; the keys of a JSON object include `text`."""
    words = ["traverse", str(tiny_run), SENTENCES[0], "--dimension", "3", "--steps", "3"]
    assert main(words) == 0
    steps = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert steps == [f"moved {step} standard deviations" for step in ("-3.00", "+0.00", "+3.00")]
    assert main([*words, "--json", "--unit", "prior", "--reach", "1.5"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["value"] for row in rows] == [-1.5, 0, 1.5]
    assert all(row.keys() == {"value", "coordinate", "text"} for row in rows)


def test_insight_prints_a_row_per_dimension_and_per_factor(tiny_run, table, capsys):
    """JSON has the rows of dimensions, then those of factors."""
    columns = ["--column", "count", "--column", "place", "--class-column", "topic"]
    words = ["insight", str(tiny_run), table, *columns]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "share" in shown
    assert "disentanglement" in shown
    assert main([*words, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(row["dimension"] for row in rows[:4]) == [0, 1, 2, 3]
    assert [row["kl"] for row in rows[:4]] == sorted((row["kl"] for row in rows[:4]), reverse=True)
    measures = {one["column"]: one["measure"] for one in rows[0]["associations"]}
    assert measures == {"length": "spearman", "count": "eta", "place": "spearman", "topic": "eta"}
    assert [row["factor"] for row in rows[4:]] == ["length", "count", "place", "topic", "all"]


def test_insight_reads_plain_sentences_too(tiny_run, tmp_path, capsys):
    """Their length is the only column then."""
    (tmp_path / "my.txt").write_text("\n".join(SENTENCES) + "\n")
    assert main(["insight", str(tiny_run), str(tmp_path / "my.txt"), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_wrong_input_is_refused_with_code_2(tiny_run, table, tmp_path, capsys):
    """Each is refused in one line on standard error."""
    (tmp_path / "few.txt").write_text("\n".join(SENTENCES[:5]) + "\n")
    insight = ["insight", str(tiny_run), table]
    traverse = ["traverse", str(tiny_run), "a man", "--dimension"]
    cases = {
        "no column 'tense'": [*insight, "--column", "tense"],
        "every text has 'same'": [*insight, "--column", "constant"],
        "row 1 has no value in column 'lacking'": [*insight, "--column", "lacking"],
        "both name 'topic'": [*insight, "--column", "topic", "--class-column", "topic"],
        "got 5 texts": ["insight", str(tiny_run), str(tmp_path / "few.txt")],
        "choose 0 to 3": [*traverse, "9"],
        "traverse.steps": [*traverse, "0", "--steps", "1"],
    }
    for message, words in cases.items():
        assert main(words) == 2, words
        assert message in capsys.readouterr().err
