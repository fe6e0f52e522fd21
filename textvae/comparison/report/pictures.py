"""The pictures of a report: training curves, maps of the latent, and the KL of each dimension."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textvae.comparison.report.plots import (
    COLORS,
    MARKERS,
    PLACEHOLDER_COLOR,
    PLOT_STYLE,
    LegendEntry,
    Picture,
    build_legend,
    create_axes,
    pick_color,
    pick_marker,
    render_svg,
)
from textvae.comparison.report.table import TableRow
from textvae.runs.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVE_TITLES = {
    "reconstruction": "reconstruction, nats per sentence",
    "kl": "KL, nats per sentence",
    "active_units": "active units",
    "mi_full": "mutual information, nats",
}

_MAX_COLORED_LABELS = len(COLORS)  # points with rarer labels are gray


def draw_training_curves(rows: Sequence[TableRow]) -> list[Picture]:
    """Return one picture per measure, with one line per run over its training steps."""
    legend = build_legend([row.name for row in rows])
    note = "validation split"
    if any(len(row.records) > 1 for row in rows):
        note += "; one line per run"
    pictures = []
    for key, title in _CURVE_TITLES.items():
        title_without_unit = title.split(",")[0]
        svg = _draw_training_curve(rows, key, title)
        pictures.append(Picture(svg, title_without_unit, note, legend))
    return pictures


def _draw_training_curve(rows: Sequence[TableRow], key: str, title: str) -> str:
    """Draw one measure of all runs over the training steps; return the SVG."""
    axes = create_axes("training steps", title)
    style: dict[str, Any] = {"markersize": 4, "linewidth": 1.3, "alpha": 0.85}
    for index, row in enumerate(rows):
        for record in row.finished_records:
            history = _read_history(Path(record["run"]), key)
            if history:
                steps, values = zip(*history, strict=True)
                axes.plot(
                    steps, values, marker=pick_marker(index), color=pick_color(index), **style
                )
    axes.set_xlim(left=0)
    # The vertical axis starts at 0, except for the reconstruction, which is far from 0.
    if key != "reconstruction":
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    return render_svg(axes, f"{title} over training")


def _read_history(folder: Path, key: str) -> list[tuple[int, float]]:
    """Return the steps at which a run was evaluated, each with the value of a measure."""
    history = Run(folder).read_json("training.json").get("history", [])
    # A resumed run may evaluate a step twice; the later entry counts.
    values = {entry["step"]: entry[f"eval_{key}"] for entry in history if f"eval_{key}" in entry}
    return sorted(values.items())


def draw_latent_maps(summary: Mapping[str, Any]) -> list[Picture]:
    """Draw the test sentences as points: principal components, and UMAP if the summary has it.

    Args:
        summary: what `summarize_model` returned for a model with a latent.
    """
    # A latent of one dimension has no second component, and then "0 %" is used.
    shares = [f"{100 * share:.0f} %" for share in summary["explained"]] + ["0 %"]
    axis_names = (f"first principal component, {shares[0]}", f"second, {shares[1]}")
    maps = [_draw_latent_map(summary, summary["points"], axis_names, "map of the latent")]
    if summary.get("umap"):
        title = "map of the latent's neighborhoods"
        maps.append(_draw_latent_map(summary, summary["umap"], ("UMAP 1", "UMAP 2"), title))
    return maps


def _draw_latent_map(
    summary: Mapping[str, Any],
    points: Sequence[tuple[float, float]],
    axis_names: tuple[str, str],
    title: str,
) -> Picture:
    """Draw points, (n, 2), colored by their labels, or by their lengths if there are no labels."""
    axes = create_axes(*axis_names, 4.4, 3.4)
    x, y = zip(*points, strict=True)
    legend: list[LegendEntry] = []
    if summary["labels"]:
        legend = _color_by_label(axes, x, y, summary["labels"])
        note = f"test sentences, colored by {summary['label_column']}"
    else:
        _color_by_length(axes, x, y, summary["words"])
        note = "test sentences, colored by length"
    return Picture(render_svg(axes, title), title, note, legend)


def _color_by_length(
    axes: "Axes", x: Sequence[float], y: Sequence[float], words: Sequence[int]
) -> None:
    """Draw points whose color shows the number of words, and a color bar."""
    from matplotlib import rc_context

    # Rasterized: thousands of vector shapes would make the page slow.
    points = axes.scatter(x, y, c=words, s=7, cmap="viridis", linewidths=0, rasterized=True)
    figure: Any = axes.figure
    with rc_context(PLOT_STYLE):
        figure.colorbar(points, label="words in the sentence")


def _color_by_label(
    axes: "Axes", x: Sequence[float], y: Sequence[float], labels: Sequence[str]
) -> list[LegendEntry]:
    """Draw the points of each label, rare labels in gray, and return the legend."""
    common = [label for label, _ in Counter(labels).most_common(_MAX_COLORED_LABELS)]
    rest = [index for index, label in enumerate(labels) if label not in common]
    # The points of rare labels are drawn first, so that they lie below the others.
    axes.scatter(
        [x[index] for index in rest],
        [y[index] for index in rest],
        s=7,
        color=PLACEHOLDER_COLOR,
        alpha=0.25,
        linewidths=0,
    )
    legend = []
    for rank, label in enumerate(common):
        members = [index for index, other in enumerate(labels) if other == label]
        axes.scatter(
            [x[index] for index in members],
            [y[index] for index in members],
            s=14,
            color=COLORS[rank],
            marker=pick_marker(rank),
            linewidths=0,
            alpha=0.85,
            rasterized=True,
        )
        legend.append((COLORS[rank], MARKERS[pick_marker(rank)], label))
    if rest:
        legend.append(("currentColor", "·", "other labels"))
    return legend


def draw_kl_bars(summary: Mapping[str, Any]) -> Picture:
    """Draw the KL of each latent dimension as a bar, the largest first.

    Args:
        summary: what `summarize_model` returned, with a `kl_by_dimension` that is not None.
    """
    axes = create_axes("dimension, the largest first", "KL, nats")
    values = sorted(summary["kl_by_dimension"], reverse=True)
    axes.bar(range(1, len(values) + 1), values, color=COLORS[0], width=0.8)
    axes.set_xlim(0, len(values) + 1)
    title = "KL of each dimension"
    return Picture(render_svg(axes, title), title, "test split, mean over sentences")
