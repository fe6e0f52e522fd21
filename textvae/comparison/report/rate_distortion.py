"""The rate-distortion plane: what the latent costs, and what it saves (Alemi et al. 2018, arXiv:1711.00464).

A model is a point: its KL (the rate) and its reconstruction (the distortion).
On a line from upper left to lower right -ELBO is the same, so that points on
one line predict as well, with a latent used more or less. A language model is
such a line, too: below it, the latent pays.
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


def draw_rate_distortion_pictures(rows: Sequence[TableRow]) -> list[Picture]:
    """Return a picture for each corpus."""
    return [
        Picture(
            _draw_rate_distortion(rows, corpus),
            "rate and distortion",
            _describe_picture(corpus),
            build_legend([row.name for row in rows]),
        )
        for corpus in dict.fromkeys(row.corpus for row in rows)
        if any(row.corpus == corpus and row.values("kl") for row in rows)
    ]


def _describe_picture(corpus: str) -> str:
    """Say what the picture shows."""
    return f"{corpus}, test split; a point a run; along a dotted line −ELBO is the same"


def _is_language_model(row: TableRow) -> bool:
    """Whether a row's model has no latent."""
    return row.mean("latent_dim") == 0


def _draw_rate_distortion(rows: Sequence[TableRow], corpus: str) -> str:
    """Draw the runs on one corpus."""
    drawn = create_axes("rate: KL, nats a sentence", "distortion: reconstruction, nats", 5.2, 4.2)
    places = [place for place, row in enumerate(rows) if row.corpus == corpus]
    for place in places:
        if not _is_language_model(rows[place]):
            points = rows[place].values("kl"), rows[place].values("reconstruction")
            drawn.scatter(
                *points,
                s=45,
                color=pick_color(place),
                marker=pick_marker(place),
                alpha=0.85,
                linewidths=0,
            )
    _equalize_axes(drawn)
    _draw_equal_elbo_lines(drawn)
    for place in places:
        loss = rows[place].mean("elbo")
        if _is_language_model(rows[place]) and loss is not None:
            _draw_line(
                drawn,
                -loss,
                f"language model {-loss:.1f}",
                0.6,
                color=pick_color(place),
                linewidth=2,
            )
    return render_svg(drawn, f"rate and distortion on {corpus}")


def _equalize_axes(drawn: "Axes") -> None:
    """Show as many nats on both axes, so that the lines are as steep in every picture."""
    (left, right), (low, high) = drawn.get_xlim(), drawn.get_ylim()
    size = 1.15 * max(right - left, high - low, 1.0)
    start = max(-0.04 * size, (left + right - size) / 2)
    drawn.set_xlim(start, start + size)
    drawn.set_ylim((low + high - size) / 2, (low + high + size) / 2)


def _draw_equal_elbo_lines(drawn: "Axes") -> None:
    """Draw lines of constant -ELBO, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    (left, right), (low, high) = drawn.get_xlim(), drawn.get_ylim()
    for level in MaxNLocator(10).tick_values(left + low, right + high):
        if left + low < level < right + high:
            _draw_line(
                drawn,
                float(level),
                f"{level:g}",
                0.97,
                color=PLACEHOLDER_COLOR,
                linewidth=0.8,
                linestyle=":",
                alpha=0.6,
            )


def _draw_line(
    drawn: "Axes", level: float, words: str, at: float, color: str, **style: Any
) -> None:
    """Draw KL + reconstruction = level, with words along it that end at a share of its length."""
    (left, right), (low, high) = drawn.get_xlim(), drawn.get_ylim()
    start, end = max(left, level - high), min(right, level - low)
    drawn.plot(
        [start, end], [level - start, level - end], color=color, scalex=False, scaley=False, **style
    )
    if end - start > 0.25 * (right - left):
        x = start + at * (end - start)
        turned: dict[str, Any] = {
            "rotation": -45,
            "rotation_mode": "anchor",
            "transform_rotates_text": True,
        }
        drawn.text(
            x,
            level - x,
            words,
            fontsize=8,
            color=color,
            ha="right",
            va="bottom",
            clip_on=True,
            **turned,
        )
