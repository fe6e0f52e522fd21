"""The run folder: reading and writing its files, and the errors where one is missing."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.corpora import SENTENCES, prepared, write
from textvae.errors import CheckpointError
from textvae.runs.run import Run
from textvae.settings.auto import default_kl_target, resolve_auto
from textvae.settings.reading import read_settings
from textvae.settings.run import Settings


def test_settings_of_a_run_read_back_equal(tmp_path):
    """Saving and reading is a round trip."""
    settings = read_settings(overrides=["model.latent_dim=7", "model.encoder=gru"])
    settings.save(tmp_path / "settings.yaml")
    assert Run(tmp_path).read_settings() == settings


def test_a_folder_without_settings_is_refused(tmp_path):
    """The message says which folder was expected."""
    with pytest.raises(
        CheckpointError,
        match=r"has no settings\.yaml; expected a folder that `textvae train` wrote",
    ):
        Run(tmp_path).read_settings()


def test_a_run_reads_the_splits_and_counts_that_were_prepared(tmp_path):
    """The training split and the counts are those that preparation returned."""
    counts, splits = prepared(tmp_path / "corpus", write(tmp_path / "a.txt", "\n".join(SENTENCES)))
    run = Run(tmp_path)
    assert list(run.open_split("train")["text"]) == list(splits["train"]["text"])
    assert run.read_counts() == counts


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_run_without_its_corpus_asks_for_a_file(tmp_path, name):
    """A run may have been copied without its corpus."""
    with pytest.raises(
        CheckpointError, match=f"its corpus folder has no {name} split, as a model of the hub"
    ):
        Run(tmp_path).open_split(name)


def test_records_read_back_as_they_were_written(tmp_path):
    """No other files are left; a record that was never written is empty."""
    run = Run(tmp_path)
    assert run.read_json("measures.json") == {}
    run.write_json("measures.json", {"elbo": -1.25})
    run.write_json("measures.json", {"elbo": -1.5})
    assert run.read_json("measures.json") == {"elbo": -1.5}
    assert [file.name for file in tmp_path.iterdir()] == ["measures.json"]


def log_weight(step, weight, kl=5.0):
    """Return an entry of the training log."""
    return {"step": step, "kl": kl, "kl_weight": weight}


def test_the_kl_weight_is_that_of_the_checkpoint_that_became_the_model(tmp_path):
    """Checkpoints that were not eligible do not count, and without any the last step does."""
    weights = [log_weight(20, 0.1), log_weight(40, 0.2), log_weight(60, 0.3)]
    evaluations = [
        {"step": 45, "eval_selection": 30.0},
        {"step": 20, "eval_selection": math.inf},
        {"step": 60, "eval_selection": 31.0},
    ]
    run = Run(tmp_path)
    assert run.read_kl_weight() is None
    read_settings().save(tmp_path / "settings.yaml")
    run.write_json("training.json", {"history": [*weights, *evaluations]})
    assert run.read_kl_weight() == 0.2
    run.write_json("training.json", {"history": weights})
    assert run.read_kl_weight() == 0.3
    run.write_json("training.json", {"history": [log_weight(20, 0.0, kl=0.0)]})
    assert run.read_kl_weight() is None


def test_the_kl_weight_of_a_model_that_kept_its_last_step_is_the_last(tmp_path):
    """An evaluation before that was better, but its checkpoint did not become the model."""
    history = [log_weight(20, 0.1), {"step": 20, "eval_selection": 30.0}, log_weight(40, 0.2)]
    run = Run(tmp_path)
    read_settings().save(tmp_path / "settings.yaml")
    run.write_json("training.json", {"history": history, "best_step": 20, "kept_step": 40})
    assert run.read_kl_weight() == 0.2
    run.write_json("training.json", {"history": history, "best_step": 20, "kept_step": 20})
    assert run.read_kl_weight() == 0.1


def test_the_kl_weight_of_a_refitted_model_is_that_of_its_decoder(tmp_path):
    """In the refit it is 1, whatever the decoder was trained with."""
    evaluations = [{"step": 20, "eval_kl": 15.0}, {"step": 40, "eval_kl": 12.0}]
    history = [log_weight(20, 0.4), evaluations[0], log_weight(40, 1.0), evaluations[1]]
    run = Run(tmp_path)
    read_settings().save(tmp_path / "settings.yaml")
    run.write_json("training.json", {"history": history, "kept_step": 40, "kl_before_refit": 15.0})
    assert run.read_kl_weight() == 0.4


@pytest.mark.parametrize("technique", ["free_bits", "iwae", "mutual_information_machine"])
def test_an_objective_without_a_factor_of_the_kl_has_no_kl_weight(tmp_path, technique):
    """It clamps the KL, or reports one of 0 because a term of its own replaces it."""
    run = Run(tmp_path)
    read_settings(overrides=[f"objective.techniques.{technique}={{}}"]).save(
        run.folder / "settings.yaml"
    )
    run.write_json("training.json", {"history": [log_weight(20, 0.0)]})
    assert run.read_kl_weight() is None


def test_a_run_is_finished_once_it_has_weights(tmp_path):
    """Training writes them last."""
    assert not Run(tmp_path).is_finished()
    (tmp_path / "model.safetensors").touch()
    assert Run(tmp_path).is_finished()


def test_resolving_replaces_every_auto_of_the_techniques():
    """Every `auto` that depends on the corpus becomes a number."""
    techniques = resolve_auto(Settings(), tokens_per_sentence=12.0).objective.techniques
    assert "auto" not in [
        value for entry in techniques.values() for value in entry.model_dump().values()
    ]


def test_resolving_keeps_what_the_user_chose():
    """Only `auto` is replaced."""
    chosen = {"target_kl": {"nats": 3.5}, "free_bits": {"floor": 0.25}}
    settings = read_settings(objective={"techniques": chosen})
    techniques = resolve_auto(settings, tokens_per_sentence=12.0).objective.techniques
    assert (techniques["target_kl"].nats, techniques["free_bits"].floor) == (3.5, 0.25)


def test_resolved_settings_read_back_equal_and_stay_resolved(tmp_path):
    """A resumed run does not resolve anything a second time."""
    settings = resolve_auto(Settings(), tokens_per_sentence=12.0)
    settings.save(tmp_path / "settings.yaml")
    again = Run(tmp_path).read_settings()
    assert again == settings
    assert resolve_auto(again, tokens_per_sentence=99.0) == settings
    assert Run(tmp_path).read_kl_target() == settings.objective.techniques["target_kl"].nats


@pytest.mark.parametrize("latent", [1, 8, 64])
@pytest.mark.parametrize("tokens", [1.0, 12.0, 500.0])
def test_the_default_target_is_a_kl_that_a_latent_of_that_size_can_carry(latent, tokens):
    """It is above zero, and at most one nat per latent dimension."""
    assert 0 < default_kl_target(tokens, latent) <= latent


def test_concurrent_updates_of_a_record_lose_nothing(tmp_path):
    """Each update reads, changes and writes the record while it holds the lock."""
    run = Run(tmp_path)

    def add_slowly(name, record):
        time.sleep(0.05)
        return {**record, name: 1}

    with ThreadPoolExecutor() as pool:
        for name in ("a", "b", "c"):
            pool.submit(run.update, "measures.json", partial(add_slowly, name))
    assert run.read_json("measures.json") == {"a": 1, "b": 1, "c": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["measures.json"]


def test_a_record_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, capsys):
    """Measures that took hours are shown all the same; a note says that they were not saved."""

    def refuse(self, name, record):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Run, "write_json", refuse)
    Run(tmp_path).update("measures.json", lambda record: {"elbo": -1.0})
    assert "measures.json was not written: Permission denied" in capsys.readouterr().err
