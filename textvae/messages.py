"""What textvae says while it works, through the logger `textvae` of Python's logging.

Notes, and the lines that a training prints at each evaluation, have the level INFO, and
warnings the level WARNING. `import textvae` gives the logger a handler that prints on
standard error, as the command line does, unless the logger has one already. So messages
can be silenced, or sent elsewhere, as those of any library:

    logging.getLogger("textvae").setLevel(logging.WARNING)  # no notes
    logging.getLogger("textvae").handlers = [logging.FileHandler("textvae.log")]

Messages do not reach the handlers of the root logger, or they would be printed twice where a
program has configured one; `logging.getLogger("textvae").propagate = True` changes that.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from textvae.terminal import escape_controls

LOGGER = logging.getLogger("textvae")

_PREFIX = "prefix"  # the attribute of a record that the terminal shows before the message


def prepare_logger() -> None:
    """Give the logger its handler and its level, unless the program has done so before."""
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.INFO)
    if not LOGGER.handlers:
        LOGGER.addHandler(_TerminalHandler())
        LOGGER.propagate = False


def print_note(message: str) -> None:
    """Log a note; by default it is printed on standard error, after `note: `."""
    LOGGER.info(escape_controls(message), extra={_PREFIX: "note: "})


def print_warning(message: str) -> None:
    """Log a warning; by default it is printed on standard error, after `warning: `."""
    LOGGER.warning(escape_controls(message), extra={_PREFIX: "warning: "})


def print_lines(text: str) -> None:
    """Log a line or several, such as those of an evaluation; by default they are printed as they are."""
    LOGGER.info(text)


@contextmanager
def quiet(is_quiet: bool = True) -> Iterator[None]:
    """Leave out all messages inside the block that are no warnings, if `is_quiet`."""
    level = LOGGER.level
    if is_quiet:
        LOGGER.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        LOGGER.setLevel(level)


class _TerminalHandler(logging.Handler):
    """Prints messages on what standard error is at that moment, without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message.

        Raises:
            OSError: standard error is closed.
        """
        from tqdm import tqdm  # not needed by a program that prints nothing

        prefix = record.__dict__.get(_PREFIX, "")
        tqdm.write(f"{prefix}{self.format(record)}", file=sys.stderr)
