"""Which rows of an input were blank and which texts were cut: counted, and reported on standard error."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from tqdm import tqdm

_MAX_LISTED_ROWS = 10  # places that a message lists
LEFT_OUT = "left out"
LEAVE_OUT = "leave them out: [text for text in texts if text.strip()]."
T = TypeVar("T")


class RowNumbers:
    """Counts rows or lines, and remembers the first of them.

    Attributes:
        count: how many there are.
        first: the first ones: a number counted from 1, or a file and a number.
    """

    def __init__(self, what: str = "row") -> None:
        self.count = 0
        self.first: list[int | str] = []
        self._what = what

    def add(self, place: int | str) -> None:
        """Count a place."""
        self.count += 1
        if len(self.first) < _MAX_LISTED_ROWS:
            self.first.append(place)

    def __str__(self) -> str:
        """Return the places as a message lists them."""
        rest = (
            f" and {self.count - _MAX_LISTED_ROWS:,} more" if self.count > _MAX_LISTED_ROWS else ""
        )
        return f"{self._what}{'s' * (self.count > 1)} {', '.join(map(str, self.first))}{rest}"


def find_texts(texts: Sequence[str], fate: str = LEFT_OUT, name: str = "texts") -> list[int]:
    """Return the places, from 0, of texts that are not blank; say how many are, and what becomes of these."""
    blank, filled = RowNumbers(), []
    for place, text in enumerate(texts):
        if text.strip():
            filled.append(place)
        else:
            blank.add(place + 1)
    report_blank_rows(name, blank, len(texts), fate)
    return filled


def answer_non_blank(
    texts: Sequence[str],
    answer: Callable[[list[int]], Sequence[T]],
    blank: Callable[[], T],
    fate: str = "None in the result",
) -> list[T]:
    """Return an answer for each text, in order; what `blank` makes for a blank one, and a note says so.

    Args:
        answer: answers the texts at these places.
    """
    places = find_texts(texts, fate)
    answers = dict(zip(places, answer(places), strict=True))
    return [answers[place] if place in answers else blank() for place in range(len(texts))]


def report_blank_rows(name: str, blank: RowNumbers, count: int, fate: str = LEFT_OUT) -> None:
    """Say how many of a number of rows are blank, and what becomes of them; nothing where none is."""
    if blank.count:
        what = "row is" if count == 1 else "rows is" if blank.count == 1 else "rows are"
        print_note(f"{name}: {blank.count:,} of {count:,} {what} blank ({blank}): {fate}.")


def report_cut_texts(name: str, cut: RowNumbers) -> None:
    """Say how many texts are longer than the model reads; nothing where none is."""
    if cut.count:
        what = "text is" if cut.count == 1 else "texts are"
        print_note(
            f"{name}: {cut.count:,} {what} longer than the model reads ({cut}): only the beginning is used."
        )


def print_note(message: str) -> None:
    """Print a note on standard error, without breaking a progress bar."""
    tqdm.write(f"note: {message}", file=sys.stderr)
