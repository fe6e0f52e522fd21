"""The style of a report's pictures: small SVGs in colors that color-blind readers can distinguish.

Text and axes take the color of the page's text, so that a picture is readable on
light and on dark pages. Legends are part of the page: inside a picture they would
cover it, or be too small on a phone.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Stands for the color of the page's text. `render_svg` replaces it by CSS's `currentColor`, which
# matplotlib does not know.
PLACEHOLDER_COLOR = "#123456"

# The colors of Okabe & Ito 2008, without yellow, which is hard to see on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

# Matplotlib's markers, each with a character of the same shape for the legend.
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖"}

PLOT_STYLE = {
    "svg.fonttype": "none",  # text stays text, in the font of the page
    "svg.hashsalt": "textvae",  # the same numbers give the same file
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.15,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"),
        PLACEHOLDER_COLOR,
    ),
    "grid.color": PLACEHOLDER_COLOR,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}

LegendEntry = tuple[str, str, str]  # color, sign, words


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        svg: an SVG element.
        note: details, shown next to the title in smaller letters.
        legend: the entries below the picture.
    """

    svg: str
    title: str
    note: str = ""
    legend: Sequence[LegendEntry] = ()


def pick_color(index: int) -> str:
    """Return the color of a row of the table, by the row's index."""
    return COLORS[index % len(COLORS)]


def pick_marker(index: int) -> str:
    """Return the marker of a row of the table, by the row's index.

    There are 6 colors and 7 markers, so their pairs distinguish 42 rows.
    """
    return list(MARKERS)[index % len(MARKERS)]


def build_legend(names: Sequence[str]) -> list[LegendEntry]:
    """Return the legend of the rows of a table."""
    return [
        (pick_color(index), MARKERS[pick_marker(index)], name) for index, name in enumerate(names)
    ]


def create_axes(x_label: str, y_label: str, width: float = 4.4, height: float = 3.1) -> "Axes":
    """Return empty axes in a figure of their own; width and height are in inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Figure, not pyplot, which would keep every figure in memory. The style is set in a context,
    # because it must not change the plots of the caller's program.
    with rc_context(PLOT_STYLE):
        axes = Figure((width, height), layout="constrained").add_subplot()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return axes


def render_svg(axes: "Axes", alt_text: str) -> str:
    """Return a figure, given by its axes, as an SVG element; `alt_text` is for screen readers."""
    from matplotlib import rc_context

    text = StringIO()
    figure: Any = axes.figure
    with rc_context(PLOT_STYLE):
        figure.savefig(text, format="svg", dpi=160)
    # The metadata contain the date, which would make every file different.
    document = re.sub(r"<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)
    element = document[document.index("<svg") :].replace(PLACEHOLDER_COLOR, "currentColor")
    # The text contains names of corpora, which may have quotes and markup in them.
    label = html.escape(alt_text, quote=True)
    return element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
