"""One trial, with tiny trainings: what it reports, how it ends, and that its run can be finished."""

import pytest

from tests.tiny_run import SENTENCES, SETTINGS
from textvae.runs.run import Run
from textvae.settings.reading import read_settings
from textvae.training.finish import finish
from textvae.tuning.objective import Bounds
from textvae.tuning.trial import run_trial


def run(folder, report, **training):
    """Run a tiny trial."""
    settings = read_settings(base={**SETTINGS, "training": {**SETTINGS["training"], **training}})
    return run_trial(SENTENCES, settings, folder / "trial", "cpu", report)


def test_a_trial_reports_at_fixed_shares_and_its_run_can_be_finished(tmp_path):
    """The evaluation at the end is no use to stop early. The scores are those of the kept model."""
    reported = []

    def report(bounds, count):
        reported.append((count, bounds))
        return False

    outcome = run(tmp_path, report, evaluations=3)
    assert [count for count, _ in reported] == [1, 2]
    assert (outcome.steps, outcome.is_pruned, outcome.reason) == (12, False, None)
    opened = Run(tmp_path / "trial")
    assert not opened.is_finished()
    finish(opened.folder, "cpu")
    log = opened.read_json("training.json")
    kept = [entry for entry in log["history"] if entry["step"] == log["kept_step"]]
    scores = next(entry for entry in kept if "eval_elbo" in entry)
    assert outcome.bounds == Bounds(
        scores["eval_elbo"], scores["eval_reconstruction"], scores["eval_kl"]
    )
    assert "step" in (tmp_path / "trial.log").read_text()


def test_a_trial_that_is_worse_than_others_stops_at_once(tmp_path):
    """At its first evaluation, after half of the steps; its scores are those of that moment."""
    outcome = run(tmp_path, lambda bounds, count: True)
    assert (outcome.steps, outcome.is_pruned) == (6, True)
    assert outcome.bounds is not None
    assert outcome.bounds.elbo == pytest.approx(-outcome.bounds.reconstruction - outcome.bounds.kl)


def test_a_loss_that_is_not_a_number_is_the_reason_of_a_failure(tmp_path):
    """The message is that of the training."""
    outcome = run(tmp_path, lambda bounds, count: False, learning_rate=1e30, max_grad_norm=0)
    assert outcome.reason is not None
    assert "not a number" in outcome.reason


def test_a_model_that_does_not_fit_into_memory_is_the_reason_of_a_failure(tmp_path):
    """What was needed and what is free is named."""
    huge = {"kind": "lstm", "embedding": 16, "hidden": 1_000_000}
    settings = read_settings(base={**SETTINGS, "model": {**SETTINGS["model"], "decoder": huge}})
    outcome = run_trial(SENTENCES, settings, tmp_path / "trial", "cpu", lambda *_: False)
    assert outcome.reason is not None
    assert "GB are free" in outcome.reason
    assert outcome.bounds is None
