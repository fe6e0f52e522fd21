"""The rate-distortion plane: what the latent costs, and what it saves.

A run is a point: its KL (the rate) and its reconstruction (the distortion), as in
Alemi et al. 2018 (arXiv:1711.00464). -ELBO is the sum of the two, so it is constant
along each diagonal from upper left to lower right: models on one diagonal predict
equally well, but those to the right use the latent more. A language model has no
latent, so it is drawn as the diagonal of its -ELBO; models below it predict better.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textvae.comparison.report.plots import (
    PLACEHOLDER_COLOR,
    Picture,
    build_legend,
    create_axes,
    pick_color,
    pick_marker,
    render_svg,
)
from textvae.comparison.report.table import TableRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_rate_distortion_pictures(rows: Sequence[TableRow], split: str = "test") -> list[Picture]:
    """Return a picture for each corpus on which some run has a KL.

    Args:
        split: the name of the split that the runs were measured on, for the description.
    """
    legend = build_legend([row.name for row in rows])
    corpora = dict.fromkeys(row.corpus for row in rows)  # each once, in order
    with_kl = {row.corpus for row in rows if row.defined_values("kl")}
    return [
        Picture(
            _draw_rate_distortion(rows, corpus),
            "rate and distortion",
            f"{corpus}, {split} split; one point per run; −ELBO is constant along a dotted line",
            legend,
        )
        for corpus in corpora
        if corpus in with_kl
    ]


def _draw_rate_distortion(rows: Sequence[TableRow], corpus: str) -> str:
    """Draw the runs on one corpus; return the SVG.

    Args:
        rows: the rows of all corpora, since a row's index decides its color and marker.
    """
    axes = create_axes(
        "rate: KL, nats per sentence", "distortion: reconstruction, nats", width=5.2, height=4.2
    )
    own_rows = [(index, row) for index, row in enumerate(rows) if row.corpus == corpus]
    for index, row in own_rows:
        if not _is_language_model(row):
            axes.scatter(
                row.defined_values("kl"),
                row.defined_values("reconstruction"),
                s=45,
                color=pick_color(index),
                marker=pick_marker(index),
                alpha=0.85,
                linewidths=0,
            )
    # The points decide the limits; lines are drawn within them.
    _equalize_axes(axes)
    _draw_equal_elbo_lines(axes)
    for index, row in own_rows:
        elbo = row.mean("elbo")
        if _is_language_model(row) and elbo is not None:
            label = f"language model {-elbo:.1f}"
            _draw_line(axes, -elbo, label, 0.6, color=pick_color(index), linewidth=2)
    return render_svg(axes, f"rate and distortion on {corpus}")


def _is_language_model(row: TableRow) -> bool:
    """Return whether a row's model has no latent."""
    return row.mean("latent_dim") == 0


def _equalize_axes(axes: "Axes") -> None:
    """Let both axes span the same number of nats, so that diagonals look alike in all pictures."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    size = 1.15 * max(right - left, high - low, 1.0)
    # The points are in the middle, unless the axis of the KL would then begin far below 0.
    start = max(-0.04 * size, (left + right - size) / 2)
    axes.set_xlim(start, start + size)
    axes.set_ylim((low + high - size) / 2, (low + high + size) / 2)


def _draw_equal_elbo_lines(axes: "Axes") -> None:
    """Draw dotted lines of constant -ELBO, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    for level in MaxNLocator(10).tick_values(left + low, right + high):
        if left + low < level < right + high:
            _draw_line(
                axes,
                float(level),
                f"{level:g}",
                0.97,
                color=PLACEHOLDER_COLOR,
                linewidth=0.8,
                linestyle=":",
                alpha=0.6,
            )


def _draw_line(
    axes: "Axes", level: float, label: str, position: float, color: str, **style: Any
) -> None:
    """Draw the line on which KL + reconstruction = level, with a label along it.

    Args:
        level: -ELBO, in nats per sentence.
        position: where along the line the label ends, from 0 to 1.
        style: further arguments of matplotlib's `plot`.
    """
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    # The KLs at which the line enters and leaves the picture.
    start = max(left, level - high)
    end = min(right, level - low)
    axes.plot(
        [start, end], [level - start, level - end], color=color, scalex=False, scaley=False, **style
    )
    # A line that crosses only a corner has no room for a label.
    if end - start > 0.25 * (right - left):
        x = start + position * (end - start)
        # As a dict: matplotlib's type stubs do not know `transform_rotates_text`.
        rotation: dict[str, Any] = {
            "rotation": -45,
            "rotation_mode": "anchor",
            "transform_rotates_text": True,
        }
        axes.text(
            x,
            level - x,
            label,
            fontsize=8,
            color=color,
            ha="right",
            va="bottom",
            clip_on=True,
            **rotation,
        )
