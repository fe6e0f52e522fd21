"""Values of cells: labels as text, and numbers that keep their spelling."""

import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from numbers import Number

from textvae.errors import DataError

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")

_CODE = re.compile(r"\s*[+-]?0\d")


# The missing values of pandas, and that of numpy's masked arrays: comparing one raises an error,
# or gives another missing value.
_MISSING_CLASSES = ("NAType", "NaTType", "MaskedConstant")

_MAX_SHOWN_CHARACTERS = 60  # of a value in a message


def as_label(value: object) -> str:
    """Return a label as text without white space around it; a missing one is an empty string.

    A label keeps its spelling, whichever library's object holds it: `01` stays `01`, and the
    number 1.0 is `1.0`.

    Raises:
        DataError: the value is a list, a table or the like, and not one label.
    """
    # Again after unwrapping: numpy's masked value is an array, and an array may hold NaN.
    plain = None if is_missing(value) else _unwrap(value)
    if is_missing(plain):
        return ""
    if isinstance(plain, bytes):
        return _decode_label(plain)
    if isinstance(plain, list | tuple | set | frozenset | Mapping) or _is_array(plain):
        raise DataError(
            f"{_shorten(plain)} is not one label: expected a name or a number. "
            "Choose one of several, or join them into one name."
        )
    return str(plain).strip()


def is_missing(value: object) -> bool:
    """Return whether a value is None, NaN, or what a library has for a missing value."""
    if value is None or type(value).__name__ in _MISSING_CLASSES:
        return True
    if isinstance(value, Number | Decimal) or _is_of(value, "numpy", "generic"):
        return bool(value != value)  # only NaN, and NaT of numpy, differ from themselves
    return False


def _unwrap(value: object) -> object:
    """Return the plain value of an enumeration's member, or of an array without dimensions."""
    if isinstance(value, Enum):
        return value.value
    if _is_array(value) and value.ndim == 0:  # type: ignore[attr-defined]
        return value.item()  # type: ignore[attr-defined]
    return value


def _is_array(value: object) -> bool:
    """Return whether a value is an array of numpy or a tensor."""
    return _is_of(value, "numpy", "ndarray") or _is_of(value, "torch", "Tensor")


def _is_of(value: object, library: str, name: str) -> bool:
    """Return whether a value is an instance of a library's class.

    The library is not imported: if nobody has done so, no value is of its classes.
    """
    candidate = getattr(sys.modules.get(library), name, None)
    return isinstance(candidate, type) and isinstance(value, candidate)


def _decode_label(value: bytes) -> str:
    """Return a label that numpy or a database holds as bytes.

    Raises:
        DataError: the bytes are not UTF-8.
    """
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        raise DataError(
            f"the label {_shorten(value)} is bytes that are not UTF-8; decode it first."
        ) from None


def _shorten(value: object) -> str:
    """Return a value as a message shows it."""
    shown = " ".join(repr(value).split())
    if len(shown) <= _MAX_SHOWN_CHARACTERS:
        return shown
    return f"{shown[: _MAX_SHOWN_CHARACTERS - 3]}..."


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
