"""The action of the panel Training: how far the run is."""

from dataclasses import dataclass
from typing import TypedDict

from textvae.errors import ConfigError
from textvae.evaluation.progress import Progress, read_progress
from textvae.explorer.shared_run import SharedRun

_MAX_CURVE_POINTS = 300


class SampledTexts(TypedDict):
    """What the model wrote at one evaluation.

    Attributes:
        step: the step after which it was evaluated.
        samples: sentences from the prior.
        reconstructions: pairs of a sentence of the validation split and its reconstruction.
    """

    step: int
    samples: list[str]
    reconstructions: list[tuple[str, str]]


class RunProgress(TypedDict):
    """How far a run is.

    Attributes:
        state: training, finished or interrupted.
        step: the last step that was logged.
        seconds: of training until that step; None if it is not known.
        fraction: the share of the run that is over, 0 to 1; None if it is not known.
        curves: pairs of a step and a value, by the name of the measure.
        evaluations: what the model wrote at each evaluation, the last one first.
        verdict: what the last evaluation says about the latent; None before the first one.
        findings: the signs that it is not used.
        advice: what to change.
    """

    state: str
    step: int
    seconds: float | None
    fraction: float | None
    curves: dict[str, list[tuple[int, float]]]
    evaluations: list[SampledTexts]
    verdict: str | None
    findings: list[str]
    advice: list[str]


@dataclass(frozen=True)
class TrainingActions:
    """The action of the panel Training."""

    run: SharedRun

    def progress(self) -> RunProgress:
        """Return the curves, the samples at each evaluation, and what they say about the latent."""
        if self.run.folder is None:
            raise ConfigError(
                "this model was not loaded from a run, so there is no training to show."
            )
        return _shorten(read_progress(self.run.folder))


def _shorten(progress: Progress) -> RunProgress:
    """Return the progress with curves that a page can draw."""
    verdict = progress.verdict
    evaluations: list[SampledTexts] = [
        {
            "step": table.step,
            "samples": table.samples,
            "reconstructions": [(one.input, one.output) for one in table.reconstructions],
        }
        for table in reversed(progress.samples)
    ]
    return {
        "state": progress.state,
        "step": progress.step,
        "seconds": progress.seconds,
        "fraction": progress.fraction,
        "curves": {name: thin_out(curve) for name, curve in progress.curves.items()},
        "evaluations": evaluations,
        "verdict": None if verdict is None else verdict.text,
        "findings": [] if verdict is None else verdict.findings,
        "advice": [] if verdict is None else verdict.advice,
    }


def thin_out(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return a curve of bounded length, with its first and its last point."""
    stride = -(-len(curve) // _MAX_CURVE_POINTS)
    if stride < 2:
        return curve
    return [*curve[:-1:stride], curve[-1]]
