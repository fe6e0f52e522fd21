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

from textvae.cli.verbs import COMMANDS, VERB_MODULES
from textvae.errors import StoppedError, TextVAEError
from textvae.version import __version__

_WRONG_INPUT_EXIT_CODE = 2  # the exit code


_HELP_HINT = "What it takes:"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes of one launch
    with nullcontext() if is_first else redirect_stderr(StringIO()):
        options = _parse_arguments(build_parser(), arguments)
    try:
        code = COMMANDS[options.verb](options)
    except StoppedError:  # the first process of the launch says why
        return _WRONG_INPUT_EXIT_CODE
    except TextVAEError as error:
        _print_error(f"textvae {options.verb}: {error}")
        return _WRONG_INPUT_EXIT_CODE
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has left, as `head` does
            sys.stderr.close()
            return 0
        _print_error(
            f"textvae {options.verb}: {error.filename or 'a file'} cannot be written or read: {error.strerror}"
        )
        return _WRONG_INPUT_EXIT_CODE
    except KeyboardInterrupt:
        _print_error(
            "\ninterrupted; training goes on with --resume, work in shards and comparisons with the same command"
        )
        return 130
    return code or 0


def _print_error(message: str) -> None:
    """Print a message on standard error; of the processes of one launch, one does."""
    if "RANK" in os.environ:
        from textvae.runtime.processes import claim_error_report

        if not claim_error_report():
            return
    print(message, file=sys.stderr, flush=True)


def _parse_arguments(
    top: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Parse the arguments; settings of `train` and `compare` may stand anywhere among their options."""
    options, rest = top.parse_known_args(arguments)
    is_setting = [
        options.verb in ("train", "compare") and "=" in word and not word.startswith("-")
        for word in rest
    ]
    if not all(is_setting):
        unknown = [word for word, known in zip(rest, is_setting, strict=True) if not known]
        top.exit(
            _WRONG_INPUT_EXIT_CODE,
            f"textvae {options.verb}: unknown: {' '.join(unknown)}. {_HELP_HINT} textvae {options.verb} --help\n",
        )
    options.settings = rest
    return options


class _CommandParser(argparse.ArgumentParser):
    """Says in one line what it does not understand."""

    def error(self, message: str) -> NoReturn:
        """End with the code of wrong input."""
        self.exit(
            _WRONG_INPUT_EXIT_CODE, f"{self.prog}: {message}. {_HELP_HINT} {self.prog} --help\n"
        )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = _CommandParser(prog="textvae", description="Variational autoencoders of text.")
    top.add_argument("--version", action="version", version=f"textvae {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for group in VERB_MODULES:
        group.add(verbs)
    return top


if __name__ == "__main__":
    sys.exit(main())
