"""Runs on labelled corpora: labels reach the model, the card and the command line."""

import json

import pytest
import torch

import textvae
from tests.tiny_run import LABELLED, SENTENCES, SETTINGS, table, train_tiny
from textvae.cli.main import main
from textvae.errors import ConfigError, DataError
from textvae.evaluation.evaluate import evaluate_run
from textvae.inference.generate import sample_labels
from textvae.runs.run import Run
from textvae.settings.reading import read_settings

LABEL = {"label": "label", "held_out": 0.1}


@pytest.fixture
def files(tmp_path):
    """Return the paths of a table with labels and of a text file without labels."""
    rows = [f"{text},{label}" for text, label in LABELLED[58:62]]
    (tmp_path / "labelled.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (tmp_path / "plain.txt").write_text("\n".join(SENTENCES[58:62]) + "\n")
    return str(tmp_path / "labelled.csv"), str(tmp_path / "plain.txt")


def test_a_run_keeps_its_labels_and_is_evaluated_with_them(labelled_run):
    """Labels are in the order of their frequency; evaluation takes them from the split's column."""
    config = json.loads((labelled_run / "config.json").read_text())
    assert config["labels"] == ["one", "two"]
    assert sum(config["label_counts"]) == len(Run(labelled_run).open_split("train"))
    assert Run(labelled_run).read_settings().model.prior.kind == "label_gaussian"
    vae = textvae.TextVAE.from_pretrained(labelled_run, device="cpu")
    record = evaluate_run(Run(labelled_run), vae.bundle, samples=3)
    assert record["iw_nll"] > 0
    assert "→" not in (labelled_run / "README.md").read_text()


def test_the_commands_take_labels(labelled_run, files, capsys):
    """`--label` gives one label for all texts, a column of a table one for each."""
    assert main(["generate", str(labelled_run), "-n", "2", "--label", "two", "--json"]) == 0
    assert [*json.loads(capsys.readouterr().out.splitlines()[0])] == ["text", "seed"]
    labelled, plain = files
    assert main(["score", str(labelled_run), labelled, "--samples", "2", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main(["reconstruct", str(labelled_run), labelled, "--write-as", "two", "--json"]) == 0
    assert main(["score", str(labelled_run), plain, "--samples", "2", "--label", "one"]) == 0
    for verb in (
        ["reconstruct", str(labelled_run)],
        ["evaluate", str(labelled_run), "--samples", "2"],
        ["complete", str(labelled_run), "a", "--label", "two"],
        ["traverse", str(labelled_run), "a man", "--dimension", "0", "--label", "two"],
    ):
        assert main(verb) == 0
    capsys.readouterr()
    assert main(["score", str(labelled_run), plain]) == 2
    assert (
        "row 1 has no 'label': give a table with that column, or one --label for all"
        in capsys.readouterr().err
    )
    assert main(["generate", str(labelled_run), "--label", "tow"]) == 2
    assert (
        "label = 'tow' is unknown: did you mean 'two'? Choose from one, two."
        in capsys.readouterr().err
    )
    assert main(["generate", str(labelled_run), "--label", "two", "--output", "shards"]) == 2


def test_a_run_without_labels_refuses_one_on_the_command_line(tiny_run, capsys):
    """The message says that the model was trained without labels."""
    assert main(["generate", str(tiny_run), "--label", "two"]) == 2
    assert "this one was trained without any: leave " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [(text, "same") for text in SENTENCES],
            "all sentences have the label 'same'; at least two labels are needed",
        ),
        (
            [(text, text) for text in SENTENCES],
            "80 labels for 80 training sentences; expected a column of few",
        ),
        ([*LABELLED[:5], ("a man.", None), *LABELLED[5:]], "row 6: column 'label' is blank"),
        ([*LABELLED[:5], ("a man.", " "), *LABELLED[5:]], "row 6: column 'label' is blank"),
    ],
)
def test_unsuitable_labels_are_refused(rows, message, tmp_path):
    """No run folder is left."""
    with pytest.raises(DataError, match=message):
        train_tiny(tmp_path / "run", table(rows), data=LABEL)
    assert not (tmp_path / "run").exists()


def test_a_label_of_a_single_sentence_is_refused_only_if_that_is_held_out(tmp_path):
    """Without a training sentence the model could learn nothing about the label."""
    rare = ("it is alone.", "single")
    held_out = {"validation": table(LABELLED[:9]), "test": table(LABELLED[:9])}
    vae = train_tiny(tmp_path / "in", {"train": table([*LABELLED, rare]), **held_out}, data=LABEL)
    assert vae.labels == ["one", "two", "single"]
    with pytest.raises(DataError, match=r"has the label 'single', but one of the test split does"):
        train_tiny(
            tmp_path / "out",
            {**held_out, "train": table(LABELLED), "test": table([rare])},
            data=LABEL,
        )


def test_settings_that_cannot_be_conditioned_are_refused(tmp_path):
    """Each message says how to fix the settings."""
    with pytest.raises(
        ConfigError,
        match=r"'label_gaussian' needs labels: name their column, for example data.label=",
    ):
        read_settings(model={"prior": "label_gaussian"})
    with pytest.raises(ConfigError, match=r"data.label = 'words' is the name of a column"):
        read_settings(data={"label": "words"})
    with pytest.raises(
        ConfigError,
        match=r"without a KL the prior learns nothing. Set model.prior: standard_normal",
    ):
        read_settings(data=LABEL, model={"posterior": "deterministic"})
    with pytest.raises(
        ConfigError,
        match=r"mmd replaces the KL, the only term that trains a learned prior",
    ):
        read_settings(data=LABEL, objective={"techniques": {"mmd": {}}})
    with pytest.raises(
        DataError, match=r"there is no column 'sort'; the columns are text, label. Set data.label."
    ):
        train_tiny(tmp_path / "run", table(LABELLED), data={"label": "sort"})
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(
        ConfigError, match=r"a stream is read during training; set data.streaming=false"
    ):
        textvae.train(
            str(tmp_path / "a.csv"), tmp_path / "run", data={"label": "label", "streaming": True}
        )


def test_a_run_cannot_start_from_one_with_other_labels(labelled_run, tiny_run, tmp_path):
    """Both runs must have labels or neither, and the first must know all labels of the second."""
    rows = table([(text, f"new {label}") for text, label in LABELLED])
    sections = {"device": "cpu", "training": SETTINGS["training"]}
    with pytest.raises(ConfigError, match=r"has no labels: leave data.label out"):
        textvae.train(rows, tmp_path / "run", init=tiny_run, data=LABEL, **sections)
    with pytest.raises(ConfigError, match=r"label = 'new .*' is unknown"):
        textvae.train(rows, tmp_path / "run", init=labelled_run, data=LABEL, **sections)
    with pytest.raises(ConfigError, match=r"needs labels: name their column"):
        textvae.train(rows, tmp_path / "run", init=labelled_run, **sections)


@pytest.mark.parametrize("prior", ["label_gaussian", "standard_normal"])
def test_a_run_that_starts_from_another_has_the_label_shares_of_its_own_corpus(prior, tmp_path):
    """Labels are sampled, and the prior is a mixture, as the new corpus has them."""
    train_tiny(tmp_path / "one", table(LABELLED), data=LABEL, model={"prior": prior})
    rows = [(text, "two" if number % 10 else "one") for number, (text, _) in enumerate(LABELLED)]
    sections = {"device": "cpu", "training": SETTINGS["training"]}
    vae = textvae.train(
        table(rows), tmp_path / "other", init=tmp_path / "one", data=LABEL, **sections
    )
    loaded = textvae.TextVAE.from_pretrained(tmp_path / "other", device="cpu")
    for one in (vae, loaded):
        labels = one.bundle.labels
        assert labels is not None
        counts = dict(zip(labels.names, labels.counts, strict=True))
        assert counts["two"] > 5 * counts["one"]
        if prior == "label_gaussian":
            assert one.model.prior.label_counts == labels.counts


def test_a_label_that_a_new_corpus_lacks_is_never_sampled(tmp_path):
    """Its share is zero, and the density of the mixture is still finite."""
    train_tiny(tmp_path / "one", table(LABELLED), data=LABEL)
    vae = textvae.TextVAE.from_pretrained(tmp_path / "one", device="cpu")
    vae.model.set_label_counts([0, 7])
    label_ids = sample_labels(vae.bundle, 50, 1)
    assert label_ids is not None
    assert label_ids.unique().tolist() == [1]
    z = torch.zeros(3, 4)
    expected = vae.model.prior.conditional_on(torch.ones(3, dtype=torch.long)).log_prob(z)
    vae.model.prior.log_prob(z).sum().backward()
    torch.testing.assert_close(vae.model.prior.log_prob(z), expected)
    assert vae.model.prior.mean.grad.isfinite().all()


@pytest.mark.parametrize(
    "changes", [{"objective": {"kind": "language_model"}}, {"model": {"prior": "standard_normal"}}]
)
def test_a_language_model_and_a_plain_prior_can_be_conditioned_too(changes, tmp_path):
    """The label then conditions the decoder alone."""
    vae = train_tiny(tmp_path / "run", table(LABELLED), data=LABEL, **changes)
    assert len(vae.generate(2, label="two")) == 2
    scores = [vae.score(SENTENCES[:2], samples=2, labels=[label] * 2) for label in vae.labels]
    assert scores[0][0]["iw_nll"] != scores[1][0]["iw_nll"]


def test_one_number_in_two_spellings_is_refused_as_labels(tmp_path):
    """They occur when two files are joined and one has missing values."""
    rows = [(text, "1.0" if index % 2 else "1") for index, text in enumerate(SENTENCES)]
    with pytest.raises(
        DataError, match=r"the labels '1' and '1.0' are one number in two spellings"
    ):
        train_tiny(tmp_path / "run", table(rows), data={"label": "label"})
