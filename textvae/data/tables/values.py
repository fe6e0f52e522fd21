"""Values of cells: labels as text, and numbers that keep their spelling."""

import math
import re

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")

_CODE = re.compile(r"\s*[+-]?0\d")


def as_label(value: object) -> str:
    """Return a label as text without white space around it; a missing one is an empty string."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def as_number(value: object) -> object:
    """Return a number if the value is a text that spells one, else the value unchanged."""
    if isinstance(value, str) and is_number(value):
        return SpelledNumber(value)
    return value


def is_number(text: str) -> bool:
    """Return whether a text spells a decimal number; `nan` and `1_000`, for example, do not."""
    return _NUMBER.fullmatch(text) is not None


def is_amount(text: str) -> bool:
    """Return whether a text spells a number and not a code: codes such as `007` begin with 0."""
    return is_number(text) and _CODE.match(text) is None


class SpelledNumber(float):
    """A number that remembers how it was written, so that `1.50` stays `1.50` as text."""

    spelling: str

    def __new__(cls, spelling: str) -> "SpelledNumber":
        """Return the number with this spelling; the truth values of JSON count as 1 and 0."""
        number = super().__new__(cls, {"true": 1, "false": 0}.get(spelling, spelling))
        number.spelling = spelling
        return number

    def __str__(self) -> str:
        """Return the number as it was written."""
        return self.spelling

    __repr__ = __str__
