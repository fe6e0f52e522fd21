"""What may be printed: one line, without control characters, of bounded length."""

import json
import math

import numpy as np
import pytest

from textvae.errors import ConfigError, DataError
from textvae.terminal import (
    MAX_MESSAGE_LENGTH,
    escape_controls,
    format_json,
    quote_value,
    shorten,
)

TITLE = "\x1b]0;title\x07"  # sets the title of a terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, "\\x1b]0;title\\x07"),
        ("a\nb\r\n", "a\\nb\\r\\n"),
        ("\x9b31m", "\\x9b31m"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\ud800", "\\ud800"),
        ("\0\x7f", "\\x00\\x7f"),
        ("a\tb", "a\tb"),
        ("café 狗 👩‍👧 \\n", "café 狗 👩‍👧 \\n"),
    ],
)
def test_control_characters_are_escaped_and_other_text_is_kept(text, shown):
    """A tab, letters of all scripts and joined emoji are harmless."""
    assert escape_controls(text) == shown


def test_json_keeps_every_character_without_printing_controls():
    """A program that reads the line gets the text back."""
    text = f"{TITLE}\x9b\u2028 café\n"
    line = format_json({"text": text})
    assert json.loads(line) == {"text": text}
    assert escape_controls(line) == line
    assert "café" in line


def test_json_has_null_for_numbers_that_are_not_finite():
    """JSON has neither NaN nor Infinity, and a strict reader refuses them."""
    nan = float("nan")
    record = {"a": nan, "b": [1.5, -math.inf], "c": {"d": np.float64(nan)}, "e": (True, 2, "NaN")}
    expected = {"a": None, "b": [1.5, None], "c": {"d": None}, "e": [True, 2, "NaN"]}
    assert json.loads(format_json(record)) == expected


def test_a_long_text_keeps_its_beginning_and_its_end():
    """The end of a message says how to fix it."""
    text = shorten(f"first {'x' * 10_000} last")
    assert text.startswith("first ")
    assert text.endswith(" last")
    assert len(text) < MAX_MESSAGE_LENGTH + 10
    assert shorten("short") == "short"


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, [[["x"] * 100] * 100] * 100, 10**5000, TITLE],
    ids=["a long text", "nested lists", "a long number", "a control sequence"],
)
def test_a_value_is_quoted_on_one_short_line(value):
    """Python refuses to print an integer of 5,000 digits, so its type is named."""
    shown = quote_value(value)
    assert len(shown) <= 120
    assert shown.isprintable()


def test_a_message_is_short_and_printable_whatever_it_quotes():
    """It holds for every error of ours, in Python as on the command line."""
    message = str(DataError(f"{TITLE}: {'x' * 10**6}\nnext line. Fix it."))
    assert message.isprintable()
    assert len(message) < 2_000
    assert message.endswith("Fix it.")


def test_many_wrong_settings_are_listed_as_far_as_there_is_room():
    """The number of the others is said."""
    error = ConfigError(*(f"key{number} is not a setting: {'x' * 300}" for number in range(50)))
    lines = str(error).split("\n")
    assert lines[0] == "50 settings are wrong:"
    assert lines[1].startswith("  key0 ")
    assert lines[-1] == f"  and {50 - (len(lines) - 2)} more."
    assert len(str(error)) < 2_000
