"""What is refused before anything is trained, and what a later call must repeat."""

import json
from typing import Any

import pytest

import textvae
from tests.tiny_run import SENTENCES, SETTINGS, write_corpus
from textvae.cli.main import main
from textvae.errors import ConfigError, DataError, OutputError
from textvae.tuning import tune as tune_module
from textvae.tuning.folder import check_same_study, describe_corpus
from textvae.tuning.settings import DEFAULT_MINUTES, TuneSettings

REFUSED = {
    "an empty space": (["--fix", "all"], "there is nothing to search"),
    "an unknown key": (["--search", "model.latent=1..2"], "did you mean 'latent_dim'"),
    "a value that does not fit": (["--search", "model.latent_dim=0,8"], "does not fit"),
    "no time": (["--minutes", "0"], "tune.minutes = 0"),
    "a language model": (["model.latent_dim=4", "objective=language_model"], "has no latent"),
    "no KL": (
        [
            "model.posterior=von_mises_fisher",
            "model.prior=uniform_sphere",
            "objective.techniques={target_kl: off, unit_floor: off}",
        ],
        "has no KL",
    ),
    "trials that are pushed": (["training.push_to_hub=true"], "would push every trial"),
    "a missing corpus": (["data.corpus=gone.txt"], "gone.txt"),
    "a folder with other files": (["--output", "full"], "contains files that are not a search"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_refused_before_anything_is_written(tmp_path, monkeypatch, capsys, case):
    """There is one message, and the exit code is 2."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    words, message = REFUSED[case]
    corpus = [] if "data.corpus" in str(words) else ["corpus.txt"]
    assert main(["tune", *corpus, "--output", "out", "--device", "cpu", *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.txt", "full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_missing_package_is_named_before_any_work(tmp_path, monkeypatch):
    """With the command that installs it."""
    monkeypatch.setattr("textvae.runtime.extras.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"need optuna.*pip install 'textvae\[tune\]'"):
        textvae.tune(SENTENCES, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "corpus", [{"text": SENTENCES}, 3, iter(SENTENCES)], ids=["table", "number", "iterator"]
)
def test_a_corpus_that_cannot_be_read_again_and_again_is_refused(tmp_path, corpus):
    """A table may be passed as a file."""
    with pytest.raises(ConfigError, match="a list of sentences"):
        textvae.tune(corpus, tmp_path / "out")


def test_standard_input_is_refused():
    """Every trial reads the corpus."""
    with pytest.raises(DataError, match="can be read only once"):
        describe_corpus("-")


def test_a_digest_tells_corpora_apart_by_their_content(tmp_path):
    """The same file under the same name, with other sentences, is another corpus."""
    file = write_corpus(tmp_path)
    before = describe_corpus(str(file))
    assert before == describe_corpus(file)
    file.write_text(file.read_text() + "one more.\n")
    assert describe_corpus(file) != before
    assert describe_corpus(SENTENCES) != describe_corpus(SENTENCES[1:])


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("corpus", {"name": "other.txt", "digest": "1"}, "another corpus .*other.txt"),
        ("settings", {"model": {"latent_dim": 8}}, "other settings .*model.latent_dim = 4, not 8"),
        ("search", {"search": ["a=1,2"]}, "another search space"),
        ("goal", "front", "another goal"),
        ("seed", 2, "another seed"),
    ],
)
def test_a_search_continues_only_as_it_was_started(tmp_path, entry, value, message):
    """The trials of another one could not be compared with it."""
    existing = {
        "corpus": {"name": "my.txt", "digest": "1"},
        "settings": {"model": {"latent_dim": 4}},
        "search": {"search": []},
        "goal": "bound",
        "kl_floor": None,
        "seed": 1,
    }
    check_same_study(tmp_path, existing, json.loads(json.dumps(existing)))
    with pytest.raises(OutputError, match=message):
        check_same_study(tmp_path, existing, {**existing, entry: value})


def test_sentences_from_python_take_the_place_of_the_corpus_of_a_config(tmp_path):
    """Otherwise each trial would be refused, or would say that it was trained on that corpus."""
    config = tmp_path / "mine.yaml"
    config.write_text("data: {corpus: captions}\nmodel: {latent_dim: 8}\n")
    settings = tune_module._read_start(SENTENCES, config, [], None, {})
    assert settings.data.corpus is None
    assert settings.model.latent_dim == 8
    assert tune_module._read_start("mine.txt", config, [], None, {}).data.corpus == "mine.txt"


def test_a_stream_needs_no_bound(tmp_path):
    """Each trial has one, although the length of a stream is not known."""
    corpus = str(write_corpus(tmp_path))
    sections = {**SETTINGS, "training": {**SETTINGS["training"], "steps": None}}
    settings = tune_module._read_start(corpus, None, ["data.streaming=true"], None, sections)
    request: dict[str, Any] = {"search": {"search": [], "fix": [], "overrides": []}}
    folder = tmp_path / "out"
    folder.mkdir()
    record = tune_module._begin_study(folder, request, settings, None, TuneSettings(), "cpu")
    assert record["trial_minutes"] == 0.1 * DEFAULT_MINUTES
