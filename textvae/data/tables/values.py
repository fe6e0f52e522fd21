"""Values of cells: labels as text, and numbers that keep their spelling."""

import math
import re

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")


def as_label(value: object) -> str:
    """Return a label as text without surrounding blanks; a missing one is an empty string."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def as_number(value: object) -> object:
    """Return the number that the cell of a .csv or .tsv file spells, or the value itself."""
    if isinstance(value, str) and is_number(value):
        return SpelledNumber(value)
    return value


def is_number(text: str) -> bool:
    """Whether a text spells a finite decimal number; `nan` and `1_000`, say, do not."""
    return _NUMBER.fullmatch(text) is not None


class SpelledNumber(float):
    """A number that remembers how it was written, so that `1.50` stays `1.50` as text."""

    def __new__(cls, spelling: str) -> "SpelledNumber":
        """Return the number of a spelling; the truth values of JSON are 1 and 0."""
        number = super().__new__(cls, {"true": 1, "false": 0}.get(spelling, spelling))
        number.spelling = spelling
        return number

    spelling: str

    def __str__(self) -> str:
        """Return the number as it was written."""
        return self.spelling

    __repr__ = __str__
