"""Optuna's part of a search: the database, the sampler and the pruner.

A search begins with small steps from the best trial so far; after twenty trials, Optuna's sampler
proposes the settings. Both get a new seed for each trial, derived from the number of trials before
it. So an interrupted search that continues samples what it would have sampled without the
interruption; Optuna does not store the state of a sampler.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from textvae.errors import OutputError
from textvae.tuning.space import Parameter, Value
from textvae.tuning.steps import take_step

DATABASE = "study.db"
_STUDY_NAME = "textvae"

# This many trials, the first one included, are small steps from the best one so far. Then the sampler
# has enough of them for a model of its own.
_TRIALS_BY_STEPS = 20
# A trial is compared with the others once there are this many of them, in the second half of its
# training. Many are small changes of the best one, which early evaluations rank by chance. So
# only what would be among the worst quarter is stopped.
_TRIALS_BEFORE_PRUNING = 3
_KEPT_PERCENT = 75.0

# Keys of what is stored with a trial in addition to its values.
RECORD = "record"
INTERRUPTED = "interrupted"


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's notes inside the block, and its warnings about experimental parts."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


class Study:
    """The trials of a search, in a database.

    Args:
        folder: where the database is, or will be.
        space: what is searched.
        seed: of the sampler.
        has_two_objectives: whether likelihood and reconstruction are two objectives. Optuna
            prunes only trials with one objective.
        evaluations: the number of evaluations in a training.

    Raises:
        OutputError: the database is damaged, or of something else.
    """

    def __init__(
        self,
        folder: Path,
        space: Mapping[str, Parameter],
        seed: int,
        *,
        has_two_objectives: bool,
        evaluations: int,
    ) -> None:
        self.space = space
        self.seed = seed
        self.has_two_objectives = has_two_objectives
        file = folder / DATABASE
        try:
            self._study = optuna.create_study(
                storage=_open_storage(file),
                study_name=_STUDY_NAME,
                directions=["minimize"] * (2 if has_two_objectives else 1),
                pruner=optuna.pruners.PercentilePruner(
                    _KEPT_PERCENT,
                    n_startup_trials=_TRIALS_BEFORE_PRUNING,
                    n_warmup_steps=max(2, evaluations // 2),
                ),
                load_if_exists=True,
            )
        except (
            Exception
        ) as error:  # SQLAlchemy's errors are not Optuna's, and not SQLAlchemy's alone
            reason = str(error).splitlines()[0]
            raise OutputError(
                f"{file}: cannot be read ({reason}); choose another --output."
            ) from error

    def list_trials(self) -> list[optuna.trial.FrozenTrial]:
        """Return all trials in order."""
        trials: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False)
        return trials

    def ask(self, start: Mapping[str, Value] | None = None) -> optuna.trial.Trial:
        """Begin a trial, with sampled values or with those that the search starts from."""
        ended = [trial for trial in self.list_trials() if trial.state.is_finished()]
        count = sum(INTERRUPTED not in trial.user_attrs for trial in ended)
        (seed,) = np.random.SeedSequence((self.seed, count)).generate_state(1)
        self._study.sampler = optuna.samplers.TPESampler(multivariate=True, seed=int(seed))
        if start is not None:
            if not all(self.space[key].contains(start[key]) for key in self.space):
                # Optuna cannot store a value that its range does not have.
                return self._study.ask()
            self._study.enqueue_trial(dict(start))
        elif count < _TRIALS_BY_STEPS:
            random = np.random.default_rng(int(seed))
            best = self._choose_best(random)
            if best is not None:
                self._study.enqueue_trial(take_step(best.params, self.space, random))
        return self._study.ask(
            {key: _build_distribution(parameter) for key, parameter in self.space.items()}
        )

    def _choose_best(self, random: np.random.Generator) -> optuna.trial.FrozenTrial | None:
        """Return the best trial, or one of those on the front; None if no trial has values yet."""
        best: list[optuna.trial.FrozenTrial] = self._study.best_trials
        if not best:
            return None
        chosen = best[int(random.integers(len(best)))]
        # The start has no values if its ranges do not have them.
        return chosen if chosen.params.keys() == self.space.keys() else None

    def complete(self, trial: optuna.trial.Trial, values: tuple[float, ...]) -> None:
        """End a trial with the values of the objectives."""
        self._study.tell(trial, list(values))

    def prune(self, trial: optuna.trial.Trial) -> None:
        """End a trial that was stopped early."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: optuna.trial.Trial | int) -> None:
        """End a trial that has no result."""
        self._study.tell(trial, state=TrialState.FAIL)

    def fail_killed(self) -> list[int]:
        """End the trials whose process was killed; return the numbers of those that had begun."""
        running = [trial for trial in self.list_trials() if trial.state == TrialState.RUNNING]
        killed = [trial.number for trial in running]
        for number in killed:
            self.fail(number)
        self._discard_waiting()
        return killed

    def _discard_waiting(self) -> None:
        """End the trials whose process was killed after it had queued them, before they began.

        They count as interrupted, so the next trial samples the same values again. Left in the
        queue, they would be begun in place of the trials that are queued later.
        """
        while any(trial.state == TrialState.WAITING for trial in self.list_trials()):
            trial = self._study.ask()  # takes the first of the queue
            trial.set_user_attr(INTERRUPTED, True)
            self.fail(trial)


def _open_storage(file: Path) -> optuna.storages.RDBStorage:
    """Return Optuna's storage in an SQLite file."""
    from sqlalchemy.engine import URL

    url = URL.create("sqlite", database=str(file.resolve()))
    return optuna.storages.RDBStorage(url.render_as_string())


def _build_distribution(parameter: Parameter) -> BaseDistribution:
    """Return a parameter in Optuna's form."""
    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    low, high = parameter.low, parameter.high
    if parameter.is_integer:
        step = 1 if parameter.is_log else parameter.step
        return IntDistribution(int(low), int(high), log=parameter.is_log, step=step)
    return FloatDistribution(low, high, log=parameter.is_log)


def read_record(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return what a trial's process stored about it; empty if it was killed."""
    return dict(trial.user_attrs.get(RECORD, {}))
