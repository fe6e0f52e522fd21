"""Training curves: what the looks at the validation split saw on the way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textvae.comparison.report.plots import (
    COLORS,
    MARKERS,
    PLACEHOLDER_COLOR,
    PLOT_STYLE,
    Picture,
    build_legend,
    create_axes,
    pick_color,
    pick_marker,
    render_svg,
)
from textvae.comparison.report.table import TableRow
from textvae.runs.run import Run

_CURVE_TITLES = {
    "reconstruction": "reconstruction, nats a sentence",
    "kl": "KL, nats a sentence",
    "active_units": "active units",
    "mi_full": "mutual information, nats",
}


def draw_training_curves(rows: Sequence[TableRow]) -> list[Picture]:
    """Return a picture a measure, with a line a run."""
    legend = build_legend([row.name for row in rows])
    note = (
        "validation split; a line a run"
        if any(len(row.records) > 1 for row in rows)
        else "validation split"
    )
    return [
        Picture(_draw_training_curve(rows, key, title), title.split(",")[0], note, legend)
        for key, title in _CURVE_TITLES.items()
    ]


def _draw_training_curve(rows: Sequence[TableRow], key: str, title: str) -> str:
    """Draw one measure over the steps of training."""
    drawn = create_axes("training steps", title)
    for place, row in enumerate(rows):
        for record in row.measured:
            looks = _read_history(Path(record["run"]), key)
            if looks:
                steps, values = zip(*looks, strict=True)
                style: dict[str, Any] = {
                    "marker": pick_marker(place),
                    "markersize": 4,
                    "linewidth": 1.3,
                    "alpha": 0.85,
                }
                drawn.plot(steps, values, color=pick_color(place), **style)
    drawn.set_xlim(left=0)
    if key != "reconstruction":
        drawn.set_ylim(0, 1.05 * drawn.get_ylim()[1])
    return render_svg(drawn, f"{title} over training")


def _read_history(folder: Path, key: str) -> list[tuple[int, float]]:
    """Return (step, value) at each look of a run; the last look at a step counts."""
    entries = Run(folder).read_json("training.json").get("history", [])
    return sorted(
        {entry["step"]: entry[f"eval_{key}"] for entry in entries if f"eval_{key}" in entry}.items()
    )


_MAX_COLORED_LABELS = len(COLORS)


def draw_latent_maps(portrait: Mapping[str, Any]) -> list[Picture]:
    """Draw the points of a portrait: on the plane of its principal components, and UMAP's, where it was installed."""
    shares = [f"{100 * share:.0f} %" for share in portrait["explained"]] + ["0 %"]
    principal = f"first principal component, {shares[0]}", f"second, {shares[1]}"
    maps = [_draw_latent_map(portrait, portrait["points"], principal, "map of the latent")]
    if portrait.get("umap"):
        maps.append(
            _draw_latent_map(
                portrait,
                portrait["umap"],
                ("UMAP 1", "UMAP 2"),
                "map of the latent's neighbourhoods",
            )
        )
    return maps


def _draw_latent_map(
    portrait: Mapping[str, Any],
    points: Sequence[tuple[float, float]],
    names: tuple[str, str],
    title: str,
) -> Picture:
    """Draw points on a plane whose axes have names."""
    drawn = create_axes(*names, 4.4, 3.4)
    x, y = zip(*points, strict=True)
    if portrait["labels"]:
        legend = _color_by_label(drawn, x, y, portrait["labels"])
        note = f"test sentences, coloured by {portrait['label_column']}"
    else:
        _color_by_length(drawn, x, y, portrait["words"])
        legend, note = [], "test sentences, coloured by length"
    return Picture(render_svg(drawn, title), title, note, legend)


def _color_by_length(
    drawn: Any, x: Sequence[float], y: Sequence[float], words: Sequence[int]
) -> None:
    """Draw the points, with a bar that tells the colours."""
    from matplotlib import rc_context

    points = drawn.scatter(x, y, c=words, s=7, cmap="viridis", linewidths=0, rasterized=True)
    with rc_context(PLOT_STYLE):
        drawn.figure.colorbar(points, label="words in the sentence")


def _color_by_label(
    drawn: Any, x: Sequence[float], y: Sequence[float], labels: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Draw the points of each label; the rarer ones, when there are many, are grey. Return the legend."""
    common = [label for label, _ in Counter(labels).most_common(_MAX_COLORED_LABELS)]
    rest = [at for at, label in enumerate(labels) if label not in common]
    drawn.scatter(
        [x[at] for at in rest],
        [y[at] for at in rest],
        s=7,
        color=PLACEHOLDER_COLOR,
        alpha=0.25,
        linewidths=0,
    )
    legend = [("currentColor", "·", "other labels")] if rest else []
    for place, label in enumerate(common):
        chosen = [at for at, other in enumerate(labels) if other == label]
        style = {
            "s": 14,
            "color": COLORS[place],
            "marker": pick_marker(place),
            "linewidths": 0,
            "alpha": 0.85,
        }
        drawn.scatter([x[at] for at in chosen], [y[at] for at in chosen], rasterized=True, **style)
        legend.insert(place, (COLORS[place], MARKERS[pick_marker(place)], label))
    return legend


def draw_unit_bars(portrait: Mapping[str, Any]) -> Picture:
    """Draw a bar a dimension."""
    drawn = create_axes("dimension, the largest first", "KL, nats")
    values = sorted(portrait["kl_by_dimension"], reverse=True)
    drawn.bar(range(1, len(values) + 1), values, color=COLORS[0], width=0.8)
    drawn.set_xlim(0, len(values) + 1)
    return Picture(
        render_svg(drawn, "KL of each dimension"),
        "KL of each dimension",
        "test split, mean over sentences",
    )
