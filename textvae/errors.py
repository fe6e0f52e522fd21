"""User-facing errors. Each message says what came, what was expected, and how to fix it.

TextVAEError
├── ConfigError       a setting is unknown, of the wrong type or out of range
├── DataError         a corpus or an input text cannot be used
├── CheckpointError   a run folder is missing, damaged, or not a run of textvae
├── OutputError       the output already exists, or cannot be written
├── ShapeError        tensors do not fit together
├── TrainingError     training cannot continue (the loss is not a number, a process died)
└── StoppedError      the first process of the launch has failed and reports the reason itself
"""

import difflib
from collections.abc import Iterable

from textvae.terminal import MAX_MESSAGE_LENGTH, escape_controls, shorten


class TextVAEError(Exception):
    """Base class of all errors that textvae raises on purpose."""

    def __str__(self) -> str:
        """Return the message: one line of bounded length, without control characters.

        A message quotes names, keys and values from files that anybody may have written.
        """
        return shorten(escape_controls(super().__str__()))


class ConfigError(TextVAEError, ValueError):
    """A setting is unknown, of the wrong type, or out of range.

    It is a `ValueError` as well, so that pydantic collects those that validators
    raise instead of stopping at the first. With several arguments, each is the
    message of one wrong setting.
    """

    def __str__(self) -> str:
        """Return the message, or a line for each of several messages, as far as there is room."""
        if len(self.args) < 2:
            return super().__str__()
        messages = [shorten(escape_controls(str(message))) for message in self.args]
        lines = [f"{len(messages)} settings are wrong:"]
        room = MAX_MESSAGE_LENGTH
        for number, message in enumerate(messages):
            room -= len(message)
            if room < 0 and number > 0:
                lines.append(f"  and {len(messages) - number} more.")
                break
            lines.append(f"  {message}")
        return "\n".join(lines)


class DataError(TextVAEError):
    """A corpus or an input text cannot be used."""


class CheckpointError(TextVAEError):
    """A run folder is missing, damaged, or not a run of textvae."""


class OutputError(TextVAEError):
    """The output already exists, or cannot be written."""


class ShapeError(TextVAEError):
    """Tensors do not fit together."""


class TrainingError(TextVAEError):
    """Training cannot continue."""


class StoppedError(TextVAEError):
    """The first process of the launch has failed and reports the reason itself."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean ...? " with the most similar known name, or "" if none is similar."""
    # Its time grows with the square of the length, and no name is that long.
    near = difflib.get_close_matches(str(name)[:100], list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}? " if near else ""
