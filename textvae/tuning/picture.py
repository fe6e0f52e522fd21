"""The picture of a search: likelihood and reconstruction of all finished trials.

-ELBO is on one axis and the reconstruction on the other; both are better to the lower left.
The line is the Pareto front: no trial is better than these in both. Trials below the floor of
the KL are crosses.
"""

from collections.abc import Sequence
from pathlib import Path

from textvae.comparison.report.plots import COLORS, PLACEHOLDER_COLOR, create_axes, render_svg
from textvae.runtime.files import write_text
from textvae.tuning.results import TunedTrial, TuningResult

PICTURE_FILE = "front.svg"


def draw_front(file: Path, result: TuningResult) -> None:
    """Draw the finished trials, with the front, the default recipe and the best trial."""
    axes = create_axes(
        "−ELBO, nats per sentence", "reconstruction, nats per sentence", width=5.6, height=4.2
    )
    finished = [trial for trial in result.trials if trial.state == "complete"]
    front = sorted(
        (trial for trial in finished if trial.is_on_front), key=lambda trial: -(trial.elbo or 0)
    )
    useful = [trial for trial in finished if trial.kl is not None and trial.kl >= result.kl_floor]
    # A collapsed model may have the best ELBO of all, so it must not look like a part of the front.
    others = [trial for trial in finished if trial not in useful]
    x, y = _list_coordinates(useful)
    axes.scatter(x, y, s=36, color=PLACEHOLDER_COLOR, alpha=0.45, linewidths=0)
    x, y = _list_coordinates(others)
    axes.scatter(x, y, s=36, color=PLACEHOLDER_COLOR, alpha=0.45, marker="x")
    x, y = _list_coordinates(front)
    axes.step(x, y, where="post", color=COLORS[0], linewidth=1.5)
    axes.scatter(x, y, s=48, color=COLORS[0], linewidths=0, zorder=3)
    for trial, name, color in (
        (result.default, "default", COLORS[1]),
        (result.best, "best", COLORS[2]),
    ):
        x, y = _list_coordinates([trial])
        axes.scatter(x, y, s=80, facecolors="none", edgecolors=color, linewidths=1.8, zorder=4)
        label = f"{name} (trial {trial.number})"
        offset = (8, 6) if name == "default" else (8, -12)
        axes.annotate(label, (x[0], y[0]), xytext=offset, textcoords="offset points", color=color)
    text = render_svg(axes, "likelihood and reconstruction of the trials, with their Pareto front")
    write_text(file, text + "\n")


def _list_coordinates(trials: Sequence[TunedTrial]) -> tuple[list[float], list[float]]:
    """Return -ELBO and reconstruction of the trials that have them."""
    bounds = [trial.bounds for trial in trials if trial.bounds is not None]
    return [-each.elbo for each in bounds], [each.reconstruction for each in bounds]
