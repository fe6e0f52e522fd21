"""The model card: metadata that the hub reads, no paths, and no sentences unless asked for."""

import json
import shutil
from typing import Any

import pytest
from huggingface_hub import ModelCard

from tests.pages import ROOT
from tests.tiny import tiny_dataset, tiny_vae
from tests.tiny_run import SENTENCES
from textvae.evaluation.evaluate import evaluate
from textvae.evaluation.measures import MEASURES, MeasureSettings
from textvae.runs.card_sections import CardTexts
from textvae.runs.local_paths import hide_local_paths, shorten_path
from textvae.runs.measure_definitions import CARD_MEASURES, MEASURE_DEFINITIONS, RUN_MEASURES
from textvae.runs.model_card import build_card, refresh_card, update_card
from textvae.runs.run import Run
from textvae.settings.card import CardSettings
from textvae.vae import TextVAE

# Entries of an evaluation that are no numbers, or lists of numbers.
NOT_IN_THE_CARD = {
    "active_units_curve",
    "active_units_thresholds",
    "advice",
    "bleu_signature",
    "findings",
    "information_by_dimension",
    "kl_by_dimension",
    "mauve_features",
    "prior_decoding",
    "size_warnings",
    "unreliable",
    "verdict",
    "warnings",
    "word_vectors",
}


@pytest.fixture(scope="module")
def record():
    """All measures of a tiny model."""
    bundle = tiny_vae().bundle
    names = [name for name in MEASURES if name != "mauve"]
    measured = evaluate(
        bundle,
        tiny_dataset(bundle),
        samples=2,
        measures=names,
        training=SENTENCES,
        settings=MeasureSettings(prior_samples=8, pairs=2, steps=3),
    )
    return {**measured, "model_nll": 3.0, "trigram_nll": 2.0}


def test_every_measure_has_a_definition(record):
    """Or is a list or a text, which the metadata of a card cannot hold."""
    assert record.keys() - NOT_IN_THE_CARD - MEASURE_DEFINITIONS.keys() == set()
    assert {*CARD_MEASURES, *RUN_MEASURES} <= MEASURE_DEFINITIONS.keys()


def test_the_documentation_defines_the_same_measures():
    """A family of measures is one row there."""
    page = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    families = ("distinct_", "identical_", "repetitive_", "endless_")
    names = [name.removesuffix("_real") for name in MEASURE_DEFINITIONS]
    names = [name for name in names if not name.startswith(families)]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_metadata_of_a_card_can_be_read_back(tiny_run, record, tmp_path):
    """As `huggingface_hub` reads it, without asking the hub."""
    vae = TextVAE.from_pretrained(tiny_run, "cpu")
    options = CardSettings(license="cc-by-4.0", language="en")
    text = build_card(
        vae.bundle, Run(tiny_run), options=options, measures=record, repository="me/tiny"
    )
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    data: Any = ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.language) == ("cc-by-4.0", "en")
    assert data.to_dict()["library_name"] == "textvae"
    assert data.model_name == "tiny"
    assert data.pipeline_tag is None
    numbers = {
        name: value
        for name, value in record.items()
        if name in MEASURE_DEFINITIONS and value is not None
    }
    assert {result.metric_type: result.metric_value for result in data.eval_results} == numbers
    assert {result.dataset_split for result in data.eval_results} == {"test"}
    definitions = {result.metric_args["definition"] for result in data.eval_results}
    assert "-log p(x | z), with one z sampled from q(z | x)" in definitions


def test_a_card_says_where_a_model_comes_from(tiny_run):
    """Corpus, seeds, time, machine and versions, how to install it, how to cite it."""
    text = (tiny_run / "README.md").read_text()
    for words in (
        "80 sentences to train on",
        "training.seed = 1",
        "time: 12 steps in",
        "hardware: ",
        "versions: textvae ",
        "torch ",
        "pip install textvae",
        "@software{textvae",
        'TextVAE.from_pretrained("OWNER/NAME")',
        "## Measures, on 10 sentences of the ",  # the split is another one after an evaluation
    ):
        assert words in text


def test_the_card_of_a_run_has_neither_sentences_nor_paths(tiny_run):
    """The settings can ask for sentences; nothing asks for paths."""
    text = (tiny_run / "README.md").read_text()
    assert str(tiny_run.parent) not in text
    assert not [sentence for sentence in SENTENCES if sentence in text]


def test_sentences_are_shown_if_asked_for_and_stay_on_one_line(tiny_run):
    """A line break in a sentence would end the list."""
    texts = CardTexts(["a\nb"], [("c  d", "e")])
    text = update_card((tiny_run / "README.md").read_text(), texts=texts)
    assert "## Sentences from the prior\n\n- a b\n\n" in text
    assert "- c d\n  → e\n\n## Settings" in text
    assert update_card(text, texts=texts) == text


def test_a_later_evaluation_changes_the_measures_and_nothing_else(tiny_run, tmp_path, record):
    """What the owner has written stays, and a removed section of measures comes back."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    card = (folder / "README.md").read_text()
    mine = card.replace("## Training", "## Intended use\n\nMine \\1.\n\n## Training")
    (folder / "README.md").write_text(mine)
    refresh_card(Run(folder), record, "test")
    once = (folder / "README.md").read_text()
    assert "Mine \\1." in once
    assert "on 6 sentences of the test split" in once
    assert "validation split" not in once.split("## Settings")[0].split("## Measures")[1]
    refresh_card(Run(folder), record, "test")
    assert (folder / "README.md").read_text() == once


def test_new_measures_keep_the_name_of_the_data_set(tiny_run, tmp_path, record, monkeypatch):
    """Where a relative path does not exist, it may look like the name of a repository."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    settings = (folder / "settings.yaml").read_text()
    (folder / "settings.yaml").write_text(settings.replace("corpus: null", "corpus: corpora/mine"))
    (tmp_path / "corpora" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    card = build_card(TextVAE.from_pretrained(folder).bundle, Run(folder), measures=record)
    (folder / "README.md").write_text(card)
    assert "name: mine" in card
    assert "corpora/mine" not in card
    monkeypatch.chdir(folder)
    refresh_card(Run(folder), record, "test")
    assert "name: mine" in (folder / "README.md").read_text()
    assert "corpora/mine" not in (folder / "README.md").read_text().split("## Settings")[0]


def test_a_damaged_card_does_not_lose_the_measures(tiny_run, tmp_path, record, capsys):
    """A note says why the card was not updated."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    (folder / "README.md").write_text("---\n- a list\n---\n\n# Mine\n")
    refresh_card(Run(folder), record, "test")
    assert "README.md was not updated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/secret/my.txt", "my.txt"),
        ("~/secret/my.txt", "my.txt"),
        ("data/my.csv.gz", "my.csv.gz"),
        ("../secret/*.txt", "*.txt"),
        (r"C:\Users\ann\my.txt", "my.txt"),
        ("https://ann:word@host/secret/my.txt?key=1", "my.txt"),
        ("hf://datasets/owner/name/train-*.parquet", "owner/name"),
        ("owner/name", "owner/name"),
        ("captions", "captions"),
    ],
)
def test_a_path_is_shortened_to_its_name(text, shown):
    """The name of a repository on the hub stays whole."""
    assert shorten_path(text) == shown
    settings = {"data": {"corpus": text, "text_column": "a/b/c"}}
    assert hide_local_paths(settings)["data"] == {"corpus": shown, "text_column": "a/b/c"}
    assert hide_local_paths({"separator": "/"}) == {"separator": "/"}


def test_training_records_the_machine_for_later_cards(tiny_run):
    """The card can be written again on another machine."""
    environment = json.loads((tiny_run / "training.json").read_text())["environment"]
    assert {"machine", "textvae", "torch", "transformers", "processes"} <= environment.keys()
