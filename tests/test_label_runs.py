"""Runs on labelled corpora: the labels travel from the table to the model, the card and the command line."""

import json

import pytest
from datasets import Dataset

import textvae
from tests.tiny_run import SENTENCES, SETTINGS
from textvae.cli import main
from textvae.errors import ConfigError, DataError
from textvae.evaluation import evaluate_run
from textvae.run import Run
from textvae.settings import read_settings

KINDS = ["beast" if "horse" in text or "dog" in text else "person" for text in SENTENCES]


def train(folder, rows, **changes):
    """Train a tiny conditional run on rows of text and kind."""
    texts, kinds = zip(*rows, strict=True)
    sections = {name: {**section, **changes.pop(name, {})} for name, section in SETTINGS.items()}
    sections["data"] = {"label": "kind", **sections["data"]}
    table = Dataset.from_dict({"text": texts, "kind": kinds})
    return textvae.train(table, output=folder, device="cpu", **sections, **changes)


ROWS = list(zip(SENTENCES, KINDS, strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A conditional run."""
    folder = tmp_path_factory.mktemp("labels")
    train(folder / "run", ROWS)
    (folder / "good.csv").write_text("\n".join(["text,kind", *(f"{text},{kind}" for text, kind in ROWS[:4])]) + "\n")
    (folder / "plain.txt").write_text("\n".join(SENTENCES[:4]) + "\n")
    return folder / "run"


def test_a_run_keeps_its_labels_and_is_measured_with_them(run):
    """By share, most frequent first; the prior is that of labels; evaluation reads the split's own column."""
    config = json.loads((run / "config.json").read_text())
    assert config["labels"] == ["person", "beast"]
    assert sum(config["label_counts"]) == len(Run(run).split("train"))
    assert Run(run).settings.model.prior.kind == "label_gaussian"
    vae = textvae.TextVAE.from_pretrained(run, device="cpu")
    record = evaluate_run(Run(run), vae.bundle, samples=3)
    assert record["iw_nll"] > 0
    assert "→" in (run / "README.md").read_text()


def test_the_commands_take_labels(run, capsys):
    """`--label` for one, a column for each; texts under `text`."""
    assert main(["generate", str(run), "-n", "2", "--label", "beast", "--json"]) == 0
    assert [*json.loads(capsys.readouterr().out.splitlines()[0])] == ["text"]
    table, plain = str(run.parent / "good.csv"), str(run.parent / "plain.txt")
    assert main(["score", str(run), table, "--samples", "2", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main(["reconstruct", str(run), table, "--write-as", "beast", "--json"]) == 0
    assert main(["score", str(run), plain, "--samples", "2", "--label", "person"]) == 0
    for verb in (
        ["reconstruct", str(run)],
        ["evaluate", str(run), "--samples", "2"],
        ["complete", str(run), "a", "--label", "beast"],
    ):
        assert main(verb) == 0
    capsys.readouterr()
    assert main(["score", str(run), plain]) == 2
    assert "a row without 'kind': give a table with that column, or one --label for all" in capsys.readouterr().err
    assert main(["generate", str(run), "--label", "best"]) == 2
    assert "label = 'best' is unknown: did you mean 'beast'? Choose from beast, person." in capsys.readouterr().err
    assert main(["generate", str(run), "--label", "beast", "--output", str(run.parent / "shards")]) == 2


def test_a_run_without_labels_refuses_one(tiny_run, capsys):
    """On the command line too."""
    assert main(["generate", str(tiny_run), "--label", "beast"]) == 2
    assert "this one was trained without: leave it out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(text, "same") for text in SENTENCES], "all sentences are 'same'; wanted are two labels"),
        ([(text, text) for text in SENTENCES], "80 labels for 80 training sentences; wanted is a column of few"),
        ([*ROWS[:5], ("a man.", None), *ROWS[5:]], "row 6: column 'kind' is blank"),
        ([*ROWS[:5], ("a man.", " "), *ROWS[5:]], "row 6: column 'kind' is blank"),
    ],
)
def test_labels_that_are_too_poor_are_refused(rows, message, tmp_path):
    """And nothing is left behind."""
    with pytest.raises(DataError, match=message):
        train(tmp_path / "run", rows)
    assert not (tmp_path / "run").exists()


def test_a_label_of_one_sentence_is_learned_or_refused(tmp_path):
    """Learned if the sentence is drawn for training, and refused if it is held out."""
    vae = train(tmp_path / "in", [*ROWS, ("it is alone.", "single")], data={"split_seed": 1})
    assert vae.labels == ["person", "beast", "single"]
    held = [seed for seed in range(40) if 100 in drawn(seed)]
    with pytest.raises(DataError, match="no training sentence is 'single', but one of (validation|test) is"):
        train(tmp_path / "out", [*ROWS, ("it is alone.", "single")], data={"split_seed": held[0]})


def drawn(seed):
    """Return which of the 101 rows are held out."""
    import numpy as np

    return np.random.default_rng(seed).choice(101, 20, replace=False)


def test_settings_that_cannot_be_conditioned_are_refused(tmp_path):
    """With the mend."""
    with pytest.raises(ConfigError, match="'label_gaussian' is made of labels: name their column, data.label="):
        read_settings(model={"prior": "label_gaussian"})
    with pytest.raises(ConfigError, match="data.label = 'words' does not fit"):
        read_settings(data={"label": "words"})
    with pytest.raises(ConfigError, match="without a KL the prior learns nothing. Set model.prior: standard_normal"):
        read_settings(data={"label": "kind"}, model={"posterior": "deterministic"})
    with pytest.raises(ConfigError, match="mmd puts something in the KL's place that tells a learned prior nothing"):
        read_settings(data={"label": "kind"}, objective={"techniques": {"mmd": {}}})
    with pytest.raises(DataError, match="there is no column 'sort'; there are text, kind. Set data.label."):
        train(tmp_path / "run", ROWS, data={"label": "sort"})
    with pytest.raises(ConfigError, match="a stream is read as it goes; say data.streaming=false"):
        (tmp_path / "a.csv").write_text("text,kind\n")
        textvae.train(str(tmp_path / "a.csv"), tmp_path / "run", data={"label": "kind", "streaming": True})


def test_a_run_is_not_started_from_one_of_other_labels(run, tiny_run, tmp_path):
    """Neither with labels from one without, nor without from one with, nor with labels it does not know."""
    few = {"model": {}, "tokenizer": {}}
    table = Dataset.from_dict({"text": SENTENCES, "kind": [f"new {kind}" for kind in KINDS]})
    for init, data, message in (
        (tiny_run, {"label": "kind"}, "has no labels: leave data.label out|the model comes from"),
        (run, {"label": "kind"}, "label = 'new .*' is unknown"),
    ):
        with pytest.raises(ConfigError, match=message):
            textvae.train(
                table,
                tmp_path / "run",
                init=init,
                device="cpu",
                data={**data, "held_out": 0.1},
                training=SETTINGS["training"],
            )
    assert few


@pytest.mark.parametrize(
    "changes", [{"objective": {"kind": "language_model"}}, {"model": {"prior": "standard_normal"}}]
)
def test_a_language_model_and_a_plain_prior_can_be_conditioned_too(changes, tmp_path):
    """The label then reaches the decoder alone."""
    vae = train(tmp_path / "run", ROWS, **changes)
    assert len(vae.generate(2, label="beast")) == 2
    assert (
        vae.score(SENTENCES[:2], 2, labels=KINDS[:2])[0]["iw_nll"]
        != vae.score(SENTENCES[:2], 2, labels=["beast"] * 2)[0]["iw_nll"]
    )
