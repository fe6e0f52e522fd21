"""`traverse` and `insight` on the command line."""

import json

import pytest

from tests.tiny_run import SENTENCES
from textvae.cli.main import main


@pytest.fixture
def table(tmp_path):
    """A table with columns of classes, numbers, numbers that name classes, and useless ones."""
    rows = [
        f"{text},{'two' if 'two' in text else 'one'},{place},{place % 5},same,{place if place else ''}"
        for place, text in enumerate(SENTENCES)
    ]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(["text,count,place,topic,constant,lacking", *rows]) + "\n")
    return str(file)


def test_traverse_prints_a_sentence_a_step(tiny_run, capsys):
    """For people the step before it, for programs under `text`."""
    words = ["traverse", str(tiny_run), SENTENCES[0], "--dimension", "3", "-n", "3"]
    assert main(words) == 0
    assert [line[:5] for line in capsys.readouterr().out.splitlines()] == [
        "-3.00",
        "+0.00",
        "+3.00",
    ]
    assert main([*words, "--json", "--unit", "prior", "--reach", "1.5"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["value"] for row in rows] == [-1.5, 0, 1.5]
    assert all(row.keys() == {"value", "coordinate", "text"} for row in rows)


def test_insight_prints_a_row_a_dimension_and_a_row_a_factor(tiny_run, table, capsys):
    """JSON has the rows of dimensions, then those of factors."""
    words = [
        "insight",
        str(tiny_run),
        table,
        "--column",
        "count",
        "--column",
        "place",
        "--class-column",
        "topic",
    ]
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
    """Then it knows their length."""
    (tmp_path / "my.txt").write_text("\n".join(SENTENCES) + "\n")
    assert main(["insight", str(tiny_run), str(tmp_path / "my.txt"), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_what_cannot_be_looked_at_is_refused_with_code_2(tiny_run, table, tmp_path, capsys):
    """One line each on standard error."""
    (tmp_path / "few.txt").write_text("\n".join(SENTENCES[:5]) + "\n")
    cases = {
        "no column 'tense'": ["insight", str(tiny_run), table, "--column", "tense"],
        "every text has 'same'": ["insight", str(tiny_run), table, "--column", "constant"],
        "row 1 has no label in column 'lacking'": [
            "insight",
            str(tiny_run),
            table,
            "--column",
            "lacking",
        ],
        "got 5 texts": ["insight", str(tiny_run), str(tmp_path / "few.txt")],
        "choose 0 to 3": ["traverse", str(tiny_run), "a man", "--dimension", "9"],
        "traverse.unit": ["traverse", str(tiny_run), "a man", "--dimension", "0", "--unit", "mile"],
    }
    for message, words in cases.items():
        assert main(words) == 2, words
        assert message in capsys.readouterr().err
