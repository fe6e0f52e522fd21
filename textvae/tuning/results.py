"""The results of a search: the table as text, JSON and CSV, and the best settings as YAML."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Literal

import yaml

from textvae.runtime.files import write_json, write_text
from textvae.settings.run import Settings
from textvae.terminal import escape_controls
from textvae.tuning.objective import Bounds, find_front
from textvae.tuning.space import Value

State = Literal["complete", "pruned", "failed"]

BEST_FILE = "best.yaml"
FRONT_FOLDER = "front"


@dataclass(frozen=True)
class TunedTrial:
    """One trial of a search; all scores are of the validation split, in nats per sentence.

    Attributes:
        number: counted from 0; a number is missing if Ctrl-C has interrupted its trial.
        state: how it ended; a pruned trial was stopped early, and its scores are those of that
            moment.
        is_default: whether it has the settings that the search started from.
        settings: the settings that were searched, by key; a choice is text, in YAML.
        score: what the search minimizes; None if the trial failed.
        elbo, reconstruction, kl: None if it failed before its first evaluation.
        active_units: dimensions of z with a variance of 0.1 or more.
        steps: optimizer steps taken.
        seconds: how long the trial took, preparation and evaluation included.
        reason: why it failed; None if it did not.
        is_on_front: whether no other finished trial is better in both -ELBO and reconstruction.
    """

    number: int
    state: State
    is_default: bool
    settings: Mapping[str, Value]
    score: float | None
    elbo: float | None
    reconstruction: float | None
    kl: float | None
    active_units: int | None
    steps: int
    seconds: float
    reason: str | None
    is_on_front: bool = False

    @property
    def bounds(self) -> Bounds | None:
        """The scores together; None if there are none."""
        if self.elbo is None or self.reconstruction is None or self.kl is None:
            return None
        return Bounds(self.elbo, self.reconstruction, self.kl)


@dataclass(frozen=True)
class TuningResult:
    """What a search has found so far.

    Attributes:
        folder: the output folder, with the table, the picture and the runs.
        trials: all trials, in order.
        best: the best one; the default recipe if no other trial is better.
        default: the trial with the settings that the search started from.
        kl_floor: the KL in nats per sentence below which a model is penalized.
        config: the best settings, as a file for `textvae train --config`.
        run: the folder of the best trial's run, which every other verb can use.
    """

    folder: Path
    trials: Sequence[TunedTrial]
    best: TunedTrial
    default: TunedTrial
    kl_floor: float
    config: Path
    run: Path

    @property
    def gain(self) -> float:
        """By how many nats per sentence the score of the best trial is below that of the default."""
        assert self.best.score is not None
        assert self.default.score is not None
        return self.default.score - self.best.score


def list_front(trials: Sequence[TunedTrial], floor: float) -> list[int]:
    """Return the numbers of the finished trials on the Pareto front of the two objectives."""
    pairs = {
        trial.number: trial.bounds.compute_pair(floor)
        for trial in trials
        if trial.state == "complete" and trial.bounds is not None
    }
    numbers = list(pairs)
    return [numbers[index] for index in find_front(list(pairs.values()))]


def format_table(result: TuningResult) -> str:
    """Return the table in Markdown, the best trial first, and a sentence about the best one."""
    titles = (
        "trial",
        "score",
        "gain",
        "−ELBO",
        "reconstruction",
        "KL",
        "AU",
        "steps",
        "seconds",
        "",
    )
    lines = [_format_line(titles), _format_line(["---:"] * (len(titles) - 1) + ["---"])]
    lines += [_format_line(_format_cells(trial, result)) for trial in _sort_trials(result.trials)]
    return "\n".join([*lines, "", describe_best(result)])


def describe_best(result: TuningResult) -> str:
    """Return sentences that say which trial is best, and by how much."""
    best = result.best
    if best.is_default:
        return "no trial was better than the default recipe."
    changed = ", ".join(f"{key}={value}" for key, value in list_changes(result).items())
    return (
        f"best: trial {best.number} of {len(result.trials)}, whose score is {result.gain:.2f} nats "
        f"per sentence below that of the default recipe (validation split, one seed): {changed}"
    )


def list_changes(result: TuningResult) -> dict[str, Value]:
    """Return the settings of the best trial that differ from those the search started from."""
    start = result.default.settings
    return {key: value for key, value in result.best.settings.items() if value != start.get(key)}


def _sort_trials(trials: Sequence[TunedTrial]) -> list[TunedTrial]:
    """Return finished trials by their score, then those stopped early, then failed ones."""
    ranks = {"complete": 0, "pruned": 1, "failed": 2}

    def key(trial: TunedTrial) -> tuple[int, float, int]:
        is_ranked = trial.state == "complete" and trial.score is not None
        return ranks[trial.state], trial.score or 0.0 if is_ranked else 0.0, trial.number

    return sorted(trials, key=key)


def _format_cells(trial: TunedTrial, result: TuningResult) -> list[str]:
    """Return a row of the table as text."""
    gain = None
    if trial.state == "complete" and trial.score is not None and result.default.score is not None:
        gain = result.default.score - trial.score
    numbers = [
        trial.score,
        gain,
        None if trial.elbo is None else -trial.elbo,
        trial.reconstruction,
        trial.kl,
    ]
    cells = ["—" if number is None else f"{number:.2f}" for number in numbers]
    units = "—" if trial.active_units is None else str(trial.active_units)
    return [
        str(trial.number),
        *cells,
        units,
        f"{trial.steps:,}",
        f"{trial.seconds:.0f}",
        _describe_trial(trial, result),
    ]


def _describe_trial(trial: TunedTrial, result: TuningResult) -> str:
    """Return what is special about a trial."""
    if trial.reason:
        return f"failed: {trial.reason[:80]}"
    if trial.state == "pruned":
        return "stopped early"
    remarks = {
        "best": trial.number == result.best.number,
        "default": trial.is_default,
        "on the front": trial.is_on_front,
    }
    return ", ".join(name for name, applies in remarks.items() if applies)


def _format_line(cells: Sequence[str]) -> str:
    """Return one line of a table in Markdown."""
    escaped = [escape_controls(cell).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def write_tables(folder: Path, result: TuningResult) -> None:
    """Write the table as JSON and CSV."""
    write_json(folder / "trials.json", [asdict(trial) for trial in result.trials])
    write_text(folder / "trials.csv", _format_csv(result.trials))


def _format_csv(trials: Sequence[TunedTrial]) -> str:
    """Return the table with all digits, with one column for each setting that was searched."""
    text = StringIO()
    keys = list(dict.fromkeys(key for trial in trials for key in trial.settings))
    fields = [name for name in TunedTrial.__dataclass_fields__ if name != "settings"]
    writer = csv.DictWriter(text, [*fields, *keys], lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        record = asdict(trial)
        writer.writerow({**record.pop("settings"), **record})
    return text.getvalue()


def write_config(file: Path, settings: Settings, trial: TunedTrial, result: TuningResult) -> None:
    """Write the settings of a trial as YAML, with a header that says what they are.

    Args:
        settings: those of the trial. Its training is bounded by the steps that the trial made.
    """
    training = settings.training.model_copy(
        update={"steps": trial.steps, "epochs": None, "max_minutes": None, "clock": "wall"}
    )
    settings = settings.model_copy(update={"training": training})
    body = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, _format_header(file, settings, trial, result) + body)


def _format_header(file: Path, settings: Settings, trial: TunedTrial, result: TuningResult) -> str:
    """Return the comment at the beginning of a config."""
    corpus = "" if settings.data.corpus else "CORPUS "
    start = result.default
    lines = [
        f"Trial {trial.number} of {len(result.trials)} of a search with `textvae tune`.",
        "",
        f"  textvae train {corpus}--config {file.name} --output runs/{file.stem}",
        "",
        "On the validation split, in nats per sentence, with one seed (default recipe in brackets):",
        *_format_scores(trial, start),
        f"A KL below {result.kl_floor:.2f} nats costs 10 nats of score per missing nat.",
        f"The settings were chosen for {trial.steps} steps; a longer run may need others.",
    ]
    changed = [key for key, value in trial.settings.items() if value != start.settings.get(key)]
    if changed:
        lines += ["", "Changed:"]
        lines += [f"  {key}: {trial.settings[key]} ({start.settings.get(key)})" for key in changed]
    return "".join(f"# {escape_controls(line)}".rstrip() + "\n" for line in lines)


def _format_scores(trial: TunedTrial, start: TunedTrial) -> list[str]:
    """Return a line for each score of a trial, next to that of the default recipe."""
    lines = []
    for name, sign in (("score", 1), ("elbo", -1), ("reconstruction", 1), ("kl", 1)):
        value, default = getattr(trial, name), getattr(start, name)
        if value is not None and default is not None:
            title = {"elbo": "-ELBO", "kl": "KL"}.get(name, name)
            lines.append(f"  {title} {sign * value:.2f} ({sign * default:.2f})")
    return lines
