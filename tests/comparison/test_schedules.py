"""Schedules of compared runs: equal steps, and remarks on runs that were cut short."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import yaml

from tests.tiny_run import SETTINGS, train_tiny, write_corpus
from textvae.cli.main import main
from textvae.comparison.matrix import build_trials
from textvae.comparison.report.table import TableRow
from textvae.comparison.schedules import describe_schedules, match_steps, split_reference
from textvae.errors import ConfigError
from textvae.objective.elbo import Objective
from textvae.runs.run import Run


@pytest.fixture
def trials(tmp_path):
    """Return the runs of a VAE that is bounded by time, and of a language model, two seeds each."""
    corpus = str(write_corpus(tmp_path))
    configs = []
    for name, objective in (("vae", "elbo"), ("lm", "language_model")):
        training = {**SETTINGS["training"], "epochs": 60, "steps": None, "max_minutes": 5}
        settings = {
            **SETTINGS,
            "data": {**SETTINGS["data"], "corpus": corpus},
            "objective": objective,
            "training": training,
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(settings))
        configs.append(str(file))
    return build_trials(configs, [], 2, [], tmp_path / "out")


def finish(trial, steps):
    """Write what a finished run of so many steps leaves."""
    trial.folder.mkdir(parents=True)
    (trial.folder / "model.safetensors").touch()
    Run(trial.folder).write_json("training.json", {"steps": steps})


def test_a_language_model_gets_the_steps_of_the_run_with_its_seed(trials):
    """Its schedule has no other bound, and its last checkpoint is kept."""
    reference, others = split_reference(trials)
    finish(reference[0], 300)
    finish(reference[1], 280)
    matched, failures = match_steps(others, reference)
    assert not failures
    assert [trial.settings["training"]["steps"] for trial in matched] == [300, 280]
    assert [trial.name for trial in matched] == [trial.name for trial in others]
    for trial in matched:
        training = trial.settings["training"]
        assert (training["epochs"], training["max_minutes"]) == (None, None)
        assert training["keep"] == "last"
        assert trial.overrides[0] == f"training.seed={trial.seed}"


def test_a_run_whose_reference_failed_is_not_trained(trials):
    """It is reported as failed."""
    reference, others = split_reference(trials)
    finish(reference[0], 300)
    matched, failures = match_steps(others, reference)
    assert [trial.seed for trial in matched] == [1]
    assert list(failures) == ["lm seed 2"]


def row(name, **values):
    return TableRow(name, "corpus", [{"reason": None, **values}])


def test_a_row_that_was_cut_short_or_has_other_steps_gets_a_remark():
    """Rows at the end of their schedules and with equal steps get none."""
    vae = row("vae", steps=3000, kept_step=3000, kept_learning_rate=0.0)
    whole = row("lm", steps=3000, kept_step=3000, kept_learning_rate=0.0)
    cut = row("lm", steps=6000, kept_step=4000, kept_learning_rate=0.25)
    assert list(describe_schedules([vae, whole], {"lm"})) == []
    remarks = list(describe_schedules([vae, cut], {"lm"}))
    assert [remark.split(",")[0] for remark in remarks] == ["lm: kept at step 4", "lm: 6"]
    assert "25% of the peak learning rate left" in remarks[0]
    overfitted = row("lm", steps=3000, best_step=2000, kept_step=3000, kept_learning_rate=0.0)
    (remark,) = describe_schedules([vae, overfitted], {"lm"})
    assert remark.startswith("lm: best on the validation split at step 2,000 and kept at step 3,0")


def test_the_best_and_the_kept_step_are_compared_within_runs():
    """A run without a best step says nothing about when the others were best."""
    records: list[Mapping[str, Any]] = [
        {"reason": None, "best_step": 100, "kept_step": 100},
        {"reason": None, "best_step": None, "kept_step": 500},
    ]
    assert list(describe_schedules([TableRow("vae", "corpus", records)], set())) == []


def test_a_config_on_a_corpus_of_its_own_cannot_have_equal_steps(trials, tmp_path):
    """It is refused before anything is trained; other spellings of a path are the same corpus."""
    reference, others = split_reference(trials)
    here = replace(others[0], corpus=f"{tmp_path}/./corpus.txt")
    assert split_reference([*reference, here]) == (reference, [here])
    other = tmp_path / "other.txt"
    other.touch()
    with pytest.raises(ConfigError, match=r"lm\.yaml has the corpus .*other\.txt, on which"):
        split_reference([*reference, replace(others[0], corpus=str(other))])


def test_a_run_may_keep_its_last_checkpoint_instead_of_the_best(tmp_path, monkeypatch):
    """Here each evaluation counts as worse than the one before."""
    kept = {}
    for keep in ("best", "last"):
        numbers = count()
        monkeypatch.setattr(Objective, "selection", lambda *_, numbers=numbers: next(numbers))
        train_tiny(
            tmp_path / keep, training={"keep": keep}, objective={"techniques": {"target_kl": "off"}}
        )
        kept[keep] = json.loads((tmp_path / keep / "training.json").read_text())
    assert (kept["best"]["kept_step"], kept["best"]["steps"]) == (6, 12)
    assert kept["best"]["kept_learning_rate"] > 0.05
    assert (kept["last"]["kept_step"], kept["last"]["steps"]) == (12, 12)
    assert kept["last"]["best_step"] == 6
    assert kept["last"]["kept_learning_rate"] < 0.05


def test_a_comparison_at_equal_steps_trains_the_language_model_to_its_end(tmp_path, capsys):
    """Repeating the command repeats nothing."""
    corpus = str(write_corpus(tmp_path))
    configs = []
    for name, objective, steps in (("vae", "elbo", 6), ("lm", "language_model", 9)):
        settings = {
            **SETTINGS,
            "data": {**SETTINGS["data"], "corpus": corpus},
            "objective": objective,
            "training": {**SETTINGS["training"], "steps": steps},
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(settings))
        configs.append(str(file))
    options = ["--seeds", "1", "--device", "cpu", "--samples", "3", "--limit", "4"]
    command = ["compare", *configs, "--output", str(tmp_path / "out"), "--equal-steps", *options]
    assert main(command) == 0
    records = json.loads((tmp_path / "out" / "runs.json").read_text())
    assert [record["steps"] for record in records] == [6, 6]
    assert records[1]["kept_step"] == 6
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().err.count("1 runs, 1 of them done before") == 2
