"""Notes on standard error about blank rows, which are skipped, and long texts, which are cut."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from textvae.messages import print_note

_MAX_LISTED_ROWS = 10  # numbers of rows that a message lists

LEFT_OUT = "left out"  # what happens to blank rows, for a note

# How to fix texts of which some are blank, for an error message.
LEAVE_OUT = "leave them out: [text for text in texts if text.strip()]."

_Answer = TypeVar("_Answer")


class RowNumbers:
    """Counts rows or lines, and remembers the numbers of the first ones.

    Args:
        what: what is counted, as a singular noun.

    Attributes:
        count: how many rows were added.
        first: the first of them, each a number counted from 1, or a file and a number.
    """

    def __init__(self, what: str = "row") -> None:
        self.count = 0
        self.first: list[int | str] = []
        self._what = what

    def add(self, number: int | str) -> None:
        """Count a row and, if it is one of the first, remember its number."""
        self.count += 1
        if len(self.first) < _MAX_LISTED_ROWS:
            self.first.append(number)

    def __str__(self) -> str:
        """Return the rows as a message lists them, such as `rows 2, 4`."""
        what = f"{self._what}s" if self.count > 1 else self._what
        listed = ", ".join(map(str, self.first))
        rest = self.count - len(self.first)
        if rest:
            return f"{what} {listed} and {rest:,} more"
        return f"{what} {listed}"


def find_texts(texts: Sequence[str], fate: str = LEFT_OUT, name: str = "texts") -> list[int]:
    """Return the positions of the texts that are not blank; print a note about the blank ones.

    Args:
        fate: what happens to the blank ones, for the note.
        name: where the texts come from, for the note.

    Returns:
        Positions in `texts`, from 0.
    """
    blank = RowNumbers()
    positions = []
    for position, text in enumerate(texts):
        if text.strip():
            positions.append(position)
        else:
            blank.add(position + 1)  # messages count rows from 1, as editors do
    report_blank_rows(name, blank, len(texts), fate)
    return positions


def answer_non_blank(
    texts: Sequence[str],
    answer: Callable[[list[int]], Sequence[_Answer]],
    blank: Callable[[], _Answer],
    fate: str = "None in the result",
) -> list[_Answer]:
    """Return one answer per text, in order, and print a note about blank texts.

    Args:
        answer: returns the answers for the texts at the positions it receives.
        blank: returns the answer for a blank text.
        fate: what the answer for a blank text is, for the note.
    """
    positions = find_texts(texts, fate)
    # One call for all texts, so that `answer` can work in batches.
    answers = dict(zip(positions, answer(positions), strict=True))
    return [answers[i] if i in answers else blank() for i in range(len(texts))]


def report_blank_rows(name: str, blank: RowNumbers, count: int, fate: str = LEFT_OUT) -> None:
    """Print how many of `count` rows are blank and what happens to them, if any are.

    Args:
        name: where the rows come from.
        blank: the blank ones.
        count: the number of all rows.
        fate: what happens to the blank ones.
    """
    if not blank.count:
        return
    rows = "row" if count == 1 else "rows"
    verb = "is" if blank.count == 1 else "are"
    print_note(f"{name}: {blank.count:,} of {count:,} {rows} {verb} blank ({blank}): {fate}.")


def report_cut_texts(name: str, cut: RowNumbers) -> None:
    """Print how many texts are longer than the model reads, if any are; `name` is their source."""
    if not cut.count:
        return
    texts = "text is" if cut.count == 1 else "texts are"
    print_note(
        f"{name}: {cut.count:,} {texts} longer than the model reads ({cut}): "
        "only the beginning is used."
    )


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 row` or `2 rows`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}s"


def shorten_list(names: Sequence[str], most: int) -> str:
    """Return names as a message lists them: all of them, or the first ones and a count."""
    listed = ", ".join(names[:most])
    rest = len(names) - most
    if rest > 0:
        return f"{listed} and {rest:,} more"
    return listed
