"""The course of a search, with trials that are computed and not trained: what is run, stored and shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import SETTINGS
from textvae.errors import OutputError, TrainingError
from textvae.settings.reading import read_settings
from textvae.tuning.objective import Bounds
from textvae.tuning.results import TuningResult, format_table
from textvae.tuning.search import Search
from textvae.tuning.settings import TuneSettings
from textvae.tuning.space import Parameter
from textvae.tuning.study import Study
from textvae.tuning.trial import Outcome

optuna = pytest.importorskip("optuna")

START = read_settings(base=SETTINGS, data={"corpus": "captions"})
SPACE = [
    Parameter("model.latent_dim", 2, 16, is_integer=True),
    Parameter("training.learning_rate", 1e-3, 1e-1, is_log=True),
]
RECORD: dict[str, Any] = {
    "settings": START.model_dump(mode="json"),
    "space": [parameter.to_json() for parameter in SPACE],
    "start": {"model.latent_dim": 4, "training.learning_rate": 5e-3},
    "trial_minutes": None,
    "kl_target": 2.0,
}


class Laboratory:
    """Computes trials: the larger the latent, the better the model.

    Args:
        special: by the number of the call, what happens instead.
        bad: the numbers of calls whose models are much worse.
    """

    def __init__(
        self, special: dict[int, Callable[[], Outcome]] | None = None, bad: tuple[int, ...] = ()
    ) -> None:
        self.special = special or {}
        self.bad = bad
        self.settings: list[Any] = []

    def __call__(self, corpus, settings, folder, device, report) -> Outcome:
        """Run a trial of two evaluations."""
        number = len(self.settings)
        self.settings.append(settings)
        folder.mkdir(parents=True)
        if number in self.special:
            return self.special[number]()
        handicap = 50.0 if number in self.bad else 0.0
        bounds = Bounds(
            -30.0 - handicap + settings.model.latent_dim,
            28.0 + handicap - settings.model.latent_dim,
            2.0,
        )
        for count in (1, 2):
            if report(bounds, count):
                return Outcome(bounds, 3, 6, is_pruned=True)
        return Outcome(bounds, 3, 12)


def search(
    folder: Path, laboratory: Laboratory, record: dict[str, Any] = RECORD, **asked: Any
) -> TuningResult:
    """Run a search with computed trials."""
    folder.mkdir(exist_ok=True)
    settings = TuneSettings(**asked)
    return Search(folder, record, settings, None, "cpu", laboratory).run()


def list_values(result: TuningResult) -> list[dict[str, Any]]:
    """Return the searched settings of each trial."""
    return [dict(trial.settings) for trial in result.trials]


def queue_trial(folder: Path, start: dict[str, Any] | None) -> None:
    """Leave what a search leaves that is killed after it has queued a trial."""
    space = {parameter.key: parameter for parameter in SPACE}
    study = Study(folder, space, 1, has_two_objectives=False, evaluations=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna.Study, "ask", lambda *_: interrupt())
        with pytest.raises(KeyboardInterrupt):
            study.ask(start)
    assert study.list_trials()[-1].state == optuna.trial.TrialState.WAITING


def interrupt() -> Outcome:
    """Do what Ctrl-C does."""
    raise KeyboardInterrupt


def test_the_first_trial_has_the_settings_of_the_start_and_the_result_is_no_worse(tmp_path):
    """Its settings are exactly those of the start; the best one is at least as good."""
    laboratory = Laboratory()
    result = search(tmp_path, laboratory, trials=3)
    first = laboratory.settings[0].model_copy(update={"data": START.data})
    assert first == START
    assert result.default.number == 0
    assert result.default.is_default
    assert result.gain > 0
    assert result.best.settings["model.latent_dim"] == max(
        trial.settings["model.latent_dim"] for trial in result.trials if trial.state == "complete"
    )


def test_a_trial_that_is_much_worse_than_the_others_is_stopped_early(tmp_path):
    """As soon as there are three to compare it with; it is never the best."""
    result = search(tmp_path, Laboratory(bad=(1, 3)), trials=4)
    assert [trial.state for trial in result.trials] == [*["complete"] * 3, "pruned"]
    assert result.trials[3].steps == 6
    assert "stopped early" in format_table(result)


def test_an_interrupted_search_continues_as_if_it_had_not_been(tmp_path):
    """The interrupted trial is repeated with the same values; its folder is removed."""
    unbroken = search(tmp_path / "unbroken", Laboratory(), trials=5)
    broken = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt, match=r"the results so far are in .*repeat the command"):
        search(broken, Laboratory({3: interrupt}), trials=5)
    assert not (broken / "trials" / "trial-003").exists()
    assert len(json.loads((broken / "trials.json").read_text())) == 3
    continued = search(broken, Laboratory(), trials=5)
    assert list_values(continued) == list_values(unbroken)
    assert continued.gain == unbroken.gain


def test_a_search_that_is_stopped_in_its_first_trial_begins_again(tmp_path):
    """There is nothing to show yet."""
    with pytest.raises(KeyboardInterrupt, match="no trial has finished"):
        search(tmp_path, Laboratory({0: interrupt}), trials=2)
    result = search(tmp_path, Laboratory(), trials=2)
    assert [trial.is_default for trial in result.trials] == [True, False]


def test_the_same_command_repeats_nothing_and_more_trials_continue(tmp_path):
    """Trials of earlier calls count."""
    search(tmp_path, Laboratory(), trials=3)
    idle = Laboratory()
    search(tmp_path, idle, trials=3)
    assert idle.settings == []
    more = Laboratory()
    assert len(search(tmp_path, more, trials=4).trials) == 4
    assert len(more.settings) == 1


def test_a_killed_trial_is_recorded_as_failed_and_its_run_is_removed(tmp_path):
    """The search goes on after it, and does not repeat what may have killed it."""
    search(tmp_path, Laboratory(), trials=1)
    space = {parameter.key: parameter for parameter in SPACE}
    Study(tmp_path, space, 1, has_two_objectives=False, evaluations=2).ask()
    run = tmp_path / "trials" / "trial-001"
    run.mkdir()
    result = search(tmp_path, Laboratory(), trials=3)
    assert [trial.state for trial in result.trials] == ["complete", "failed", "complete"]
    assert result.trials[1].reason == "its process was killed"
    assert not run.exists()


@pytest.mark.parametrize(("before", "kills"), [(0, 1), (3, 1), (1, 2)])
def test_a_trial_that_was_killed_in_the_queue_is_sampled_again(tmp_path, before, kills):
    """Even if several were: the search goes on as if it had not been interrupted."""
    unbroken = search(tmp_path / "unbroken", Laboratory(), trials=5)
    broken = tmp_path / "broken"
    broken.mkdir()
    if before:
        search(broken, Laboratory(), trials=before)
    for _ in range(kills):
        queue_trial(broken, None if before else RECORD["start"])
    continued = search(broken, Laboratory(), trials=5)
    assert list_values(continued) == list_values(unbroken)
    assert continued.gain == unbroken.gain
    assert [trial.is_default for trial in continued.trials] == [True, *[False] * 4]


def test_an_interrupt_while_a_trial_is_queued_explains_how_to_continue(tmp_path, monkeypatch):
    """The trial is not among the results, and is sampled again."""
    unbroken = search(tmp_path / "unbroken", Laboratory(), trials=3)
    broken = tmp_path / "broken"
    search(broken, Laboratory(), trials=1)
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "ask", lambda *_: interrupt())
        with pytest.raises(KeyboardInterrupt, match="repeat the command"):
            search(broken, Laboratory(), trials=3)
    assert list_values(search(broken, Laboratory(), trials=3)) == list_values(unbroken)


def test_trials_that_fail_are_recorded_and_the_search_goes_on(tmp_path):
    """For lack of memory, for a loss that is not a number, for settings that contradict each other."""
    failures = {1: lambda: Outcome(reason="the loss is not a number")}
    result = search(tmp_path, Laboratory(failures), trials=3)
    assert [trial.state for trial in result.trials].count("failed") == 1
    assert "failed: the loss is not a number" in format_table(result)
    assert not (tmp_path / "trials" / "trial-001").exists()


def test_a_search_ends_if_its_first_trial_fails_or_if_nearly_all_do(tmp_path):
    """There is nothing to compare with, or the ranges are wrong."""
    reason = Outcome(reason="the memory is not enough")
    with pytest.raises(TrainingError, match=r"first trial.*the memory is not enough"):
        search(tmp_path / "first", Laboratory({0: lambda: reason}), trials=3)
    failures = {number: lambda: reason for number in range(1, 30)}
    with pytest.raises(TrainingError, match="5 trials in a row failed"):
        search(tmp_path / "all", Laboratory(failures), trials=30)


@pytest.mark.parametrize("goal", ["bound", "front"])
def test_a_collapsed_trial_is_neither_the_best_nor_on_the_front(tmp_path, goal):
    """Although its ELBO is better than that of the default recipe."""
    collapsed = {1: lambda: Outcome(Bounds(-24.5, 24.5, 0.0), 0, 12)}
    result = search(tmp_path, Laboratory(collapsed), trials=2, goal=goal)
    default, trial = result.trials
    assert (trial.elbo or 0) > (default.elbo or 0)
    assert (trial.score or 0) > (default.score or 0) + 8
    assert result.best == default
    assert not trial.is_on_front


def test_nothing_is_pruned_with_two_objectives(tmp_path):
    """Optuna cannot compare the intermediate values of two objectives."""
    result = search(tmp_path, Laboratory(), trials=4, goal="front")
    assert {trial.state for trial in result.trials} == {"complete"}
    front = [trial for trial in result.trials if trial.is_on_front]
    files = {file.name for file in (tmp_path / "front").iterdir()}
    assert files == {f"trial-{trial.number:03d}.yaml" for trial in front}
    assert result.best in front


def test_a_trial_starts_only_if_there_is_time_for_all_of_it(tmp_path):
    """The first one always does; afterwards the longest trial so far counts."""
    result = search(tmp_path, Laboratory(), minutes=1e-9)
    assert len(result.trials) == 1


def test_the_best_settings_are_a_config_that_trains_as_the_trial_did(tmp_path):
    """Bounded by its steps; the header says what changed, and by how much the score did."""
    result = search(tmp_path, Laboratory(), trials=3)
    best = read_settings(result.config)
    assert best.training.steps == result.best.steps
    assert best.training.max_minutes is None
    assert best.data == START.data
    assert best.model.latent_dim == result.best.settings["model.latent_dim"]
    header = result.config.read_text().split("data:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert f"model.latent_dim: {best.model.latent_dim} (4)" in header


def test_a_database_of_something_else_is_refused(tmp_path):
    """It is not overwritten."""
    (tmp_path / "study.db").write_text("not a database, but longer than the header of one" * 9)
    with pytest.raises(OutputError, match=r"cannot be read.*choose another --output"):
        search(tmp_path, Laboratory(), trials=1)
    assert (tmp_path / "study.db").read_text().startswith("not a database")
