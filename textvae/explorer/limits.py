"""Bounds on what one action of the explorer takes, so that no user can occupy the machine.

The same checks hold in the page and for the API, and their messages are shown in the page.
"""

import math
from contextlib import suppress

from textvae.data.texts import require_text
from textvae.errors import ConfigError, DataError
from textvae.terminal import quote_value

MAX_CHARACTERS = 2_000  # of one text
MAX_POINTS = 50_000  # of the map
MIN_LIMIT = 10  # as many as the actions write by default
MAX_LIMIT = 1_000  # texts that one action writes


def require_sentence(text: object, name: str = "the sentence") -> str:
    """Return a text that is not blank and not too long, without blanks at its ends.

    Args:
        name: what the text is, for the message.

    Raises:
        DataError: it is blank, too long, or no text at all.
    """
    if text is None or (isinstance(text, str) and not text.strip()):
        raise DataError(f"{name} is empty; write at least one word.")
    checked = require_text(text, name)
    if len(checked) > MAX_CHARACTERS:
        raise DataError(
            f"{name} has {len(checked):,} characters; expected at most {MAX_CHARACTERS:,}. "
            "Shorten it."
        )
    return checked.strip()


def require_count(value: object, name: str, at_most: int, at_least: int = 1) -> int:
    """Return a whole number within bounds; a page sends numbers as floats.

    Raises:
        ConfigError: it is out of bounds, or is no whole number.
    """
    number = require_number(value, name, at_least, at_most)
    if number != int(number):
        raise ConfigError(f"{name} = {number}: expected a whole number.")
    return int(number)


def require_number(value: object, name: str, at_least: float, at_most: float) -> float:
    """Return a number within bounds.

    Raises:
        ConfigError: it is out of bounds, or is no number.
    """
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):  # an integer of hundreds of digits
            number = float(value)
    if not at_least <= number <= at_most:  # NaN is refused as well
        raise ConfigError(
            f"{name} = {quote_value(value)}: expected a number from {at_least:,} to {at_most:,}."
        )
    return number


def require_choice(value: object, name: str, choices: tuple[str, ...]) -> str:
    """Return one of several words.

    Raises:
        ConfigError: it is none of them.
    """
    if value not in choices:
        raise ConfigError(f"{name} = {quote_value(value)}: choose from {', '.join(choices)}.")
    return str(value)


def split_sentences(text: object, at_most: int) -> list[str]:
    """Return the lines of a text that are not blank, each as a checked sentence.

    Raises:
        DataError: no sentence was given, there are too many, or one is too long.
    """
    if text is None or not require_text(text, "the sentences").strip():
        raise DataError("the sentences are empty; write one or more, each on a line of its own.")
    lines = [line for line in str(text).splitlines() if line.strip()]
    if len(lines) > at_most:
        raise DataError(f"got {len(lines):,} sentences; expected at most {at_most:,}.")
    return [require_sentence(line, f"sentence {row}") for row, line in enumerate(lines, start=1)]
