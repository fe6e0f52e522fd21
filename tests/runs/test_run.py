"""The run folder: what is read from it, and what is said where something is missing."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.corpora import SENTENCES, prepared, write
from textvae.errors import CheckpointError
from textvae.runs.run import Run
from textvae.settings.auto import default_kl_target, resolve_auto
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings


def test_a_run_keeps_the_settings_it_was_given(tmp_path):
    """They come back equal."""
    settings = read_settings(overrides=["model.latent_dim=7", "model.encoder=gru"])
    settings.save(tmp_path / "settings.yaml")
    assert Run(tmp_path).settings == settings


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    """What is wanted is said."""
    with pytest.raises(
        CheckpointError,
        match=r"has no settings\.yaml; wanted is a folder that `textvae train` wrote",
    ):
        _ = Run(tmp_path).settings


def test_a_runs_splits_are_those_it_was_prepared_with(tmp_path):
    """With the counts beside them."""
    counts, splits = prepared(tmp_path / "corpus", write(tmp_path / "a.txt", "\n".join(SENTENCES)))
    run = Run(tmp_path)
    assert list(run.split("train")["text"]) == list(splits["train"]["text"])
    assert run.counts == counts


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_run_without_its_corpus_asks_for_a_file(tmp_path, name):
    """A copied run may have none."""
    with pytest.raises(
        CheckpointError, match=f"its corpus folder has no {name} split; give a FILE to measure on"
    ):
        Run(tmp_path).split(name)


def test_records_read_back_as_they_were_written(tmp_path):
    """And leave nothing beside them; one never written is empty."""
    run = Run(tmp_path)
    assert run.read("measures.json") == {}
    run.write("measures.json", {"elbo": -1.25})
    run.write("measures.json", {"elbo": -1.5})
    assert run.read("measures.json") == {"elbo": -1.5}
    assert [file.name for file in tmp_path.iterdir()] == ["measures.json"]


def test_a_run_is_finished_once_its_weights_are_there(tmp_path):
    """They come last."""
    assert not Run(tmp_path).is_finished
    (tmp_path / "model.safetensors").touch()
    assert Run(tmp_path).is_finished


def test_resolving_leaves_nothing_to_be_worked_out():
    """Every `auto` that depends on the corpus becomes a number."""
    techniques = resolve_auto(Settings(), tokens_per_sentence=12.0).objective.techniques
    assert "auto" not in [
        value for entry in techniques.values() for value in entry.model_dump().values()
    ]


def test_resolving_leaves_what_the_user_chose():
    """Numbers given stay."""
    wanted = {"target_kl": {"nats": 3.5}, "free_bits": {"floor": 0.25}}
    settings = read_settings(objective={"techniques": wanted})
    techniques = resolve_auto(settings, tokens_per_sentence=12.0).objective.techniques
    assert (techniques["target_kl"].nats, techniques["free_bits"].floor) == (3.5, 0.25)


def test_resolved_settings_read_back_equal_and_stay_resolved(tmp_path):
    """A resumed run resolves nothing anew."""
    settings = resolve_auto(Settings(), tokens_per_sentence=12.0)
    settings.save(tmp_path / "settings.yaml")
    again = Run(tmp_path).settings
    assert again == settings
    assert resolve_auto(again, tokens_per_sentence=99.0) == settings
    assert Run(tmp_path).kl_target == settings.objective.techniques["target_kl"].nats


@pytest.mark.parametrize("latent", [1, 8, 64])
@pytest.mark.parametrize("tokens", [1.0, 12.0, 500.0])
def test_the_default_target_is_a_kl_that_a_latent_of_that_size_can_carry(latent, tokens):
    """Above nothing, and no more than a nat a dimension."""
    assert 0 < default_kl_target(tokens, latent) <= latent


def test_two_processes_that_add_to_a_record_lose_nothing(tmp_path):
    """Each reads, adds and writes while no other does."""
    run = Run(tmp_path)

    def slowly(kept, name):
        time.sleep(0.05)
        return {**kept, name: 1}

    with ThreadPoolExecutor() as pool:
        for name in ("a", "b", "c"):
            pool.submit(run.update, "measures.json", lambda kept, name=name: slowly(kept, name))
    assert run.read("measures.json") == {"a": 1, "b": 1, "c": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["measures.json"]


def test_a_record_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, capsys):
    """What was measured for hours is shown all the same."""

    def refuse(self, name, record):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Run, "write", refuse)
    Run(tmp_path).update("measures.json", lambda kept: {"elbo": -1.0})
    assert "measures.json is not written: Permission denied" in capsys.readouterr().err
