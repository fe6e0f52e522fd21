"""How the pictures of a report look: small SVGs, in colours that the colour-blind can tell apart.

Text and axes take the colour of the page's own text, so that a picture is
readable on light and dark. Legends are the page's too: inside a picture they
would cover it, or be too small on a phone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORT_REQUIREMENTS = (
    "report",
    "reports",
    "matplotlib",
    "jinja2",
)  # the extra, what wants it, its packages


PLACEHOLDER_COLOR = "#123456"  # becomes the page's own


COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)  # Okabe & Ito 2008, without yellow


MARKERS = {
    "o": "●",
    "s": "■",
    "^": "▲",
    "D": "◆",
    "v": "▼",
    "P": "✚",
    "X": "✖",
}  # and as the legend writes them


PLOT_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "textvae",  # the same picture from the same numbers
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


@dataclass(frozen=True)
class Picture:
    """A picture of a page: an SVG, what it shows, and its legend of (colour, sign, words)."""

    svg: str
    title: str
    note: str = ""
    legend: Sequence[tuple[str, str, str]] = ()


def pick_color(place: int) -> str:
    """Return the colour of the row at a place of the table."""
    return COLORS[place % len(COLORS)]


def pick_marker(place: int) -> str:
    """Return the marker of the row at a place of the table; with the colour it tells 42 rows apart."""
    return list(MARKERS)[place % len(MARKERS)]


def build_legend(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return the legend of the rows of a table."""
    return [
        (pick_color(place), MARKERS[pick_marker(place)], name) for place, name in enumerate(names)
    ]


def create_axes(x: str, y: str, width: float = 4.4, height: float = 3.1) -> "Axes":
    """Return empty axes, of a figure of their own, in inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(PLOT_STYLE):
        drawn = Figure((width, height), layout="constrained").add_subplot()
        drawn.set_xlabel(x)
        drawn.set_ylabel(y)
    return drawn


def render_svg(drawn: "Axes", alternative: str) -> str:
    """Return axes as an SVG element for a page, `alternative` being what it says to those who do not see it."""
    from matplotlib import rc_context

    text = StringIO()
    figure: Any = drawn.figure
    with rc_context(PLOT_STYLE):
        figure.savefig(text, format="svg", dpi=160)
    whole = re.sub(r"<metadata>.*?</metadata>", "", text.getvalue(), flags=re.DOTALL)
    element = whole[whole.index("<svg") :].replace(PLACEHOLDER_COLOR, "currentColor")
    return element.replace("<svg", f'<svg role="img" aria-label="{alternative}"', 1)
