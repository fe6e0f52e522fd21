"""The course of a search: one trial after another, and what is written after each of them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from tqdm import tqdm

from textvae.errors import TrainingError
from textvae.messages import print_lines
from textvae.runtime.files import remove
from textvae.settings.reading import read_settings
from textvae.terminal import escape_controls, is_bar_hidden
from textvae.tuning.folder import locate_run, with_cache
from textvae.tuning.objective import Bounds, choose_floor
from textvae.tuning.outputs import build_result, describe_trial, write_outputs
from textvae.tuning.results import TuningResult
from textvae.tuning.settings import DEFAULT_MINUTES, TuneSettings, bound_training
from textvae.tuning.space import Parameter, Value
from textvae.tuning.study import INTERRUPTED, RECORD, Study, quiet_optuna, read_record
from textvae.tuning.trial import Outcome, TrialRunner, read_clock, run_trial
from textvae.tuning.words import apply_values

# So many trials in a row without a result mean that the search space is wrong.
_MOST_FAILURES = 5


class Search:
    """A search in its folder, which the caller has locked.

    Args:
        record: what the search was started with, from study.json.
        asked: how long it goes on.
        rows: the sentences, if the corpus is not named in the settings.
        device: cpu or cuda; by default a GPU if there is one.
        run_trial: trains a config.

    Attributes:
        result: what was found so far; None before the first trial has finished.

    Raises:
        OutputError: the database is damaged.
    """

    def __init__(
        self,
        folder: Path,
        record: Mapping[str, Any],
        asked: TuneSettings,
        rows: Sequence[str] | None,
        device: str | None,
        run_trial: TrialRunner = run_trial,
    ) -> None:
        self.result: TuningResult | None = None
        self.run_trial = run_trial
        self.folder = folder
        self.asked = asked
        self.rows = rows
        self.device = device
        self.start: Mapping[str, Value] = record["start"]
        self.kl_target = float(record["kl_target"])
        parameters = map(Parameter.from_json, record["space"])
        self.space = {parameter.key: parameter for parameter in parameters}
        # As the user has them, and as the trials have them.
        self.settings = bound_training(
            read_settings(base=record["settings"]), record["trial_minutes"]
        )
        self.has_two_objectives = asked.goal == "front"
        self._default: optuna.trial.FrozenTrial | None = None
        with quiet_optuna():
            self.study = Study(
                folder,
                self.space,
                asked.seed,
                has_two_objectives=self.has_two_objectives,
                evaluations=self.settings.training.evaluations,
            )

    def run(self) -> TuningResult:
        """Run trials until the time is up; return what was found.

        Raises:
            TrainingError: the first trial failed, so there is nothing to compare with.
            KeyboardInterrupt: Ctrl-C was pressed; the message says how to continue.
        """
        with (
            quiet_optuna(),
            tqdm(desc="trials", unit="trial", file=sys.stderr, disable=is_bar_hidden()) as bar,
        ):
            self._tidy_up()
            bar.update(len(self._list_counted()))
            try:
                while self._is_trial_due():
                    self._run_next()
                    bar.update(1)
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt(self._explain_interruption()) from error
            self.result = self._collect()
        return self.result

    # Which trial is next

    def _tidy_up(self) -> None:
        """Record the trials whose process was killed, and remove their runs."""
        for number in self.study.fail_killed():
            remove(self._locate_run(number))

    def _list_counted(self) -> list[optuna.trial.FrozenTrial]:
        """Return the trials that count: those that Ctrl-C has interrupted are repeated."""
        trials = self.study.list_trials()
        return [trial for trial in trials if INTERRUPTED not in trial.user_attrs]

    def _find_default(self) -> optuna.trial.FrozenTrial | None:
        """Return the finished trial with the settings that the search started from, or None."""
        if self._default is None:
            for trial in self.study.list_trials():
                if read_record(trial).get("is_default") and trial.state == TrialState.COMPLETE:
                    self._default = trial
        return self._default

    def _is_trial_due(self) -> bool:
        """Return whether there are trials and time left; the time must be enough for a whole trial."""
        trials = self._list_counted()
        if self._find_default() is None:
            return True
        if self.asked.trials is not None and len(trials) >= self.asked.trials:
            return False
        _refuse_endless_failures(trials)
        minutes = self.asked.minutes
        if minutes is None:
            minutes = None if self.asked.trials else DEFAULT_MINUTES
        if minutes is None:
            return True
        seconds = [float(read_record(trial).get("seconds", 0.0)) for trial in trials]
        return sum(seconds) + max(seconds) <= 60 * minutes

    # One trial

    def _run_next(self) -> None:
        """Run one trial, and write the results.

        Raises:
            TrainingError: it has the settings that the search started from, and failed.
        """
        is_default = self._find_default() is None
        trial = self.study.ask(self.start if is_default else None)
        began = read_clock(self.settings)
        values = dict(self.start) if is_default else self._round(trial.params)
        record: dict[str, Any] = {"is_default": is_default, "values": values}
        try:
            outcome = self._train(trial, {} if is_default else values)
        except BaseException as error:
            # Only what the user has stopped is repeated when the search goes on.
            if isinstance(error, KeyboardInterrupt | SystemExit):
                trial.set_user_attr(INTERRUPTED, True)
            trial.set_user_attr(RECORD, {**record, "reason": str(error)[:500]})
            self.study.fail(trial)
            remove(self._locate_run(trial.number))
            raise
        record |= _describe_outcome(outcome)
        record["seconds"] = read_clock(self.settings) - began
        trial.set_user_attr(RECORD, record)
        self._tell(trial, outcome)
        if is_default and outcome.reason is not None:
            remove(self._locate_run(trial.number))
            raise TrainingError(
                f"the first trial, with the settings that the search starts from, failed: "
                f"{outcome.reason} Its log is {self._locate_run(trial.number)}.log."
            )
        self.result = self._collect()
        write_outputs(self.result, self.settings, self.space)
        line = describe_trial(trial.number, self.result)
        print_lines(escape_controls(line))

    def _train(self, trial: optuna.trial.Trial, values: Mapping[str, Value]) -> Outcome:
        """Train the config of a trial."""
        try:
            settings = apply_values(self.settings, values, self.space)
        except ValueError as error:  # a ConfigError: the values do not go together
            return Outcome(reason=str(error))
        training = settings.training.model_copy(update={"trackers": []})
        settings = with_cache(settings.model_copy(update={"training": training}), self.folder)
        floor = self._find_floor()

        def report(bounds: Bounds, count: int) -> bool:
            """Report an evaluation to Optuna; return whether to stop."""
            if self.has_two_objectives:
                return False
            trial.report(bounds.compute_score(floor), count)
            # The first trial is needed in any case, to compare the others with it.
            return self._find_default() is not None and trial.should_prune()

        corpus = settings.data.corpus if self.rows is None else self.rows
        assert corpus is not None, "a search has a corpus"
        return self.run_trial(corpus, settings, self._locate_run(trial.number), self.device, report)

    def _round(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return sampled values with as many digits as matter."""
        return {key: self.space[key].round(value) for key, value in values.items()}

    def _tell(self, trial: optuna.trial.Trial, outcome: Outcome) -> None:
        """End a trial in the database."""
        if outcome.reason is not None or outcome.bounds is None:
            self.study.fail(trial)
        elif outcome.is_pruned:
            self.study.prune(trial)
        elif self.has_two_objectives:
            self.study.complete(trial, outcome.bounds.compute_pair(self._find_floor()))
        else:
            self.study.complete(trial, (outcome.bounds.compute_score(self._find_floor()),))

    def _find_floor(self) -> float:
        """Return the floor of the KL in nats per sentence."""
        if self.asked.kl_floor is not None:
            return self.asked.kl_floor
        default = self._find_default()
        kl = None if default is None else read_record(default)["kl"]
        return choose_floor(self.kl_target, kl, has_two_objectives=self.has_two_objectives)

    def _locate_run(self, number: int) -> Path:
        """Return the run folder of a trial."""
        return locate_run(self.folder, number)

    def _collect(self) -> TuningResult:
        """Return what was found so far."""
        default = self._find_default()
        assert default is not None, "the first trial has finished"
        return build_result(
            self.folder,
            self._list_counted(),
            default.number,
            self._find_floor(),
            has_two_objectives=self.has_two_objectives,
        )

    def _explain_interruption(self) -> str:
        """Return what there is after Ctrl-C, and how to go on."""
        found = "no trial has finished"
        if self._find_default() is not None:
            self.result = self._collect()
            found = f"the results so far are in {self.folder}"
        return f"interrupted; {found}. To continue the search, repeat the command."


def _describe_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return how a trial ended, as it is stored."""
    bounds = outcome.bounds
    return {
        "elbo": bounds.elbo if bounds else None,
        "reconstruction": bounds.reconstruction if bounds else None,
        "kl": bounds.kl if bounds else None,
        "active_units": outcome.active_units,
        "steps": outcome.steps,
        "reason": outcome.reason,
    }


def _refuse_endless_failures(trials: Sequence[optuna.trial.FrozenTrial]) -> None:
    """Refuse to go on if many trials in a row have failed.

    Raises:
        TrainingError: they have; the message has the last reason.
    """
    last = trials[-_MOST_FAILURES:]
    if len(last) == _MOST_FAILURES and all(trial.state == TrialState.FAIL for trial in last):
        reason = read_record(last[-1]).get("reason", "its process was killed")
        raise TrainingError(
            f"{_MOST_FAILURES} trials in a row failed, the last one because: {reason} "
            "Search other settings or smaller ranges."
        )
