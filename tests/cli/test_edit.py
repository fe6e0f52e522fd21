"""`attribute fit`, `edit`, `analogy` and `interpolate --path density` on the command line."""

import json
import shutil

import pytest

from tests.tiny_run import LABELLED, SENTENCES, table
from textvae.cli.main import main


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run that a test may fit on, next to tables of texts and labels."""
    shutil.copytree(tiny_run, tmp_path / "run")
    rows = [f"{text},{'two' if 'two' in text else 'one'}" for text in SENTENCES]
    tables = {"good": rows, "blank": [*rows, "a man sees a wave.,"], "same": rows[:10]}
    for name, lines in tables.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["sentence,count", *lines]) + "\n")
    return tmp_path / "run"


def fit(run, table, *more):
    """Fit the attribute `count` on a table; return the exit code."""
    columns = ["--text-column", "sentence", "--label-column", "count"]
    file = str(run.parent / f"{table}.csv")
    return main(["attribute", "fit", str(run), file, "--name", "count", *columns, *more])


def test_edit_uses_an_attribute_by_its_name(run, capsys):
    """`fit` prints how well it separates the labels; the key of the edited text is `text`."""
    assert fit(run, "good") == 0
    assert "from one (80 texts) towards two (20)" in capsys.readouterr().out
    assert fit(run, "good", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert {"name", "auroc", "accuracy", "regression_auroc", "chance"} <= record.keys()
    assert (
        main(["edit", str(run), SENTENCES[0], "--attribute", "count", "--strength", "-1", "--json"])
        == 0
    )
    edited = json.loads(capsys.readouterr().out)
    assert edited["original"] == SENTENCES[0]
    step = ["--attribute", "count", "--strength", "-1"]
    assert main(["edit", str(run), "--file", str(one_line(run, SENTENCES[0])), *step]) == 0
    assert capsys.readouterr().out.splitlines() == [edited["text"]]
    assert main(["analogy", str(run), SENTENCES[0], SENTENCES[0], SENTENCES[9], "--json"]) == 0
    assert main(["reconstruct", str(run), str(one_line(run, SENTENCES[9])), "--json"]) == 0
    analogy, plain = map(json.loads, capsys.readouterr().out.splitlines())
    assert analogy["text"] == plain["text"]


def one_line(run, text):
    """Write a file of one sentence and return its path."""
    file = run.parent / "one.txt"
    file.write_text(text + "\n")
    return file


def test_bad_labels_and_unknown_names_are_refused_with_code_2(run, capsys):
    """Each is refused in one line on standard error."""
    for rows, message in (("blank", "has no value"), ("same", "one class only")):
        assert fit(run, rows) == 2
        assert message in capsys.readouterr().err
    assert (
        main(["attribute", "fit", str(run), str(run.parent / "good.csv"), "--name", "count"]) == 2
    )
    assert "column" in capsys.readouterr().err
    assert main(["edit", str(run), "a man", "--attribute", "mood"]) == 2
    assert "no attribute was fitted there" in capsys.readouterr().err


def test_a_density_path_takes_a_file_for_reference(run, capsys):
    """It has as many sentences as steps."""
    (run.parent / "reference.txt").write_text("\n".join(SENTENCES) + "\n")
    path = ["--path", "density", "--steps", "4", "--reference", str(run.parent / "reference.txt")]
    assert main(["interpolate", str(run), SENTENCES[0], SENTENCES[-1], *path]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_density_path_needs_a_reference_without_the_corpus(run, capsys):
    """The default reference is the validation split of the run."""
    words = ["interpolate", str(run), SENTENCES[0], SENTENCES[-1], "--path", "density"]
    assert main(words) == 0
    shutil.rmtree(run / "corpus")
    assert main(words) == 2
    assert "no validation split" in capsys.readouterr().err


def test_edit_uses_the_label_of_each_row_of_a_conditional_model(labelled_run, tmp_path, capsys):
    """A row gets the text that it gets alone with its label; lines of text have no label."""
    run = tmp_path / "run"
    shutil.copytree(labelled_run, run)
    file = tmp_path / "rows.csv"
    table(LABELLED).to_csv(file)
    named = ["--name", "count", "--label-column", "label"]
    assert main(["attribute", "fit", str(run), str(file), *named]) == 0
    one, two = ([row for row in LABELLED if row[1] == label] for label in ("one", "two"))
    rows = [one[0], two[0], one[1], two[1]]
    table(rows).to_csv(file)
    edit = ["edit", str(run), "--attribute", "count"]
    capsys.readouterr()
    assert main([*edit, "--file", str(file)]) == 0
    together = capsys.readouterr().out
    for text, label in rows:
        assert main([*edit, text, "--label", label]) == 0
    assert capsys.readouterr().out == together
    (tmp_path / "rows.txt").write_text(rows[0][0])
    assert main([*edit, "--file", str(tmp_path / "rows.txt")]) == 2
    assert "or one --label for all texts" in capsys.readouterr().err
