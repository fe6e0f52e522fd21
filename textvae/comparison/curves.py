"""Training curves: what the looks at the validation split saw on the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textvae.comparison.plots import Picture, axes, colour_of, legend_of, marker_of, svg
from textvae.comparison.table import Row
from textvae.run import Run

CURVES = {
    "reconstruction": "reconstruction, nats a sentence",
    "kl": "KL, nats a sentence",
    "active_units": "active units",
    "mi_full": "mutual information, nats",
}


def training_curves(rows: Sequence[Row]) -> list[Picture]:
    """Return a picture a measure, with a line a run."""
    legend = legend_of([row.name for row in rows])
    note = "validation split; a line a run" if any(len(row.records) > 1 for row in rows) else "validation split"
    return [Picture(curve(rows, key, title), title.split(",")[0], note, legend) for key, title in CURVES.items()]


def curve(rows: Sequence[Row], key: str, title: str) -> str:
    """Draw one measure over the steps of training."""
    drawn = axes("training steps", title)
    for place, row in enumerate(rows):
        for record in row.measured:
            looks = history(Path(record["run"]), key)
            if looks:
                steps, values = zip(*looks, strict=True)
                style: dict[str, Any] = {"marker": marker_of(place), "markersize": 4, "linewidth": 1.3, "alpha": 0.85}
                drawn.plot(steps, values, color=colour_of(place), **style)
    drawn.set_xlim(left=0)
    if key != "reconstruction":
        drawn.set_ylim(0, 1.05 * drawn.get_ylim()[1])
    return svg(drawn, f"{title} over training")


def history(folder: Path, key: str) -> list[tuple[int, float]]:
    """Return (step, value) at each look of a run; the last look at a step counts."""
    entries = Run(folder).read("training.json").get("history", [])
    return sorted({entry["step"]: entry[f"eval_{key}"] for entry in entries if f"eval_{key}" in entry}.items())
