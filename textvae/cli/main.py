"""The command line: `textvae VERB`. The verbs and their arguments stand in `textvae.cli.verbs`.

Nothing heavy is imported before the arguments are understood.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from io import StringIO
from typing import NoReturn

from textvae.cli.verbs import COMMANDS, GROUPS
from textvae.errors import StoppedError, TextVAEError
from textvae.version import __version__

WRONG_INPUT = 2  # the exit code


HELP = "What it takes:"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes of one launch
    with nullcontext() if is_first else redirect_stderr(StringIO()):
        options = understood(parser(), arguments)
    try:
        code = COMMANDS[options.verb](options)
    except StoppedError:  # the first process of the launch says why
        return WRONG_INPUT
    except TextVAEError as error:
        tell(f"textvae {options.verb}: {error}")
        return WRONG_INPUT
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has left, as `head` does
            sys.stderr.close()
            return 0
        tell(f"textvae {options.verb}: {error.filename or 'a file'} cannot be written or read: {error.strerror}")
        return WRONG_INPUT
    except KeyboardInterrupt:
        tell("\ninterrupted; training goes on with --resume, work in shards and comparisons with the same command")
        return 130
    return code or 0


def tell(message: str) -> None:
    """Print a message on standard error; of the processes of one launch, one does."""
    if "RANK" in os.environ:
        from textvae.runtime.processes import is_to_speak

        if not is_to_speak():
            return
    print(message, file=sys.stderr, flush=True)


def understood(top: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; settings of `train` and `compare` may stand anywhere among their options."""
    options, rest = top.parse_known_args(arguments)
    is_setting = [options.verb in ("train", "compare") and "=" in word and not word.startswith("-") for word in rest]
    if not all(is_setting):
        unknown = [word for word, known in zip(rest, is_setting, strict=True) if not known]
        top.exit(
            WRONG_INPUT, f"textvae {options.verb}: unknown: {' '.join(unknown)}. {HELP} textvae {options.verb} --help\n"
        )
    options.settings = rest
    return options


class Parser(argparse.ArgumentParser):
    """Says in one line what it does not understand."""

    def error(self, message: str) -> NoReturn:
        """End with the code of wrong input."""
        self.exit(WRONG_INPUT, f"{self.prog}: {message}. {HELP} {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = Parser(prog="textvae", description="Variational autoencoders of text.")
    top.add_argument("--version", action="version", version=f"textvae {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for group in GROUPS:
        group.add(verbs)
    return top


if __name__ == "__main__":
    sys.exit(main())
