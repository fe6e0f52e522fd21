r"""What may be printed on a terminal: no control characters, and no endless messages.

A file name, a column or a sentence may contain the sequences that steer a terminal: they
set its title, move the cursor or hide what was printed. A line break inside a record would
look like another record. Both are printed as escapes, such as `\x1b` and `\n`.
"""

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_HIDES_BARS = "TQDM_DISABLE"  # the variable with which tqdm's users hide all progress bars

MAX_MESSAGE_LENGTH = 1_500  # characters

_MAX_VALUE_LENGTH = 120  # characters of a value in a message

# Control characters except the tab, the line separators of Unicode, and halves of surrogate
# pairs, which cannot be encoded.
_UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def escape_controls(text: str) -> str:
    """Return a text as one line, with control characters as escapes."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    """Return a character as Python's `repr` writes it."""
    return match[0].encode("unicode_escape").decode("ascii")


def format_json(record: Any) -> str:
    """Return a record as one line of JSON, with control characters as escapes of JSON.

    Numbers that are not finite are written as null, because JSON has no others.
    """
    text = json.dumps(_replace_undefined(record), ensure_ascii=False, allow_nan=False)
    # These occur in strings only, where JSON allows to write any character as an escape.
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _replace_undefined(value: Any) -> Any:
    """Return a record, or a value in it, with None for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _replace_undefined(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_undefined(part) for part in value]
    return value


def shorten(text: str, length: int = MAX_MESSAGE_LENGTH) -> str:
    """Return a text without its middle if it is too long.

    The beginning of a message says what is wrong, and the end how to fix it.
    """
    if len(text) <= length:
        return text
    end = length // 3
    start = length - end
    return f"{text[:start]} ... {text[-end:]}"


def quote_value(value: object, length: int = _MAX_VALUE_LENGTH) -> str:
    """Return a value as a message shows it: on one line, and shortened if it is long."""
    try:
        shown = repr(value)
    except Exception:  # an integer of too many digits, or a class with a faulty __repr__
        shown = f"a value of the type {type(value).__name__}"
    if len(shown) > length:
        shown = f"{shown[: length - 3]}..."
    return escape_controls(shown)


def is_bar_hidden(is_wanted: bool = True) -> bool:
    """Return whether a progress bar is hidden: nobody wants it, or TQDM_DISABLE is set.

    tqdm itself reads the variable only when it is imported, and where `disable` is not given.
    """
    return not is_wanted or os.environ.get(_HIDES_BARS, "") not in ("", "0")


@contextmanager
def bars_hidden(is_hidden: bool = True) -> Iterator[None]:
    """Hide all progress bars inside the block, those of child processes too, if `is_hidden`."""
    before = os.environ.get(_HIDES_BARS)
    if is_hidden:
        os.environ[_HIDES_BARS] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_HIDES_BARS, None)
        else:
            os.environ[_HIDES_BARS] = before
