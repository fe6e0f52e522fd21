"""Entry point of the command line: `textvae VERB`. The verbs are listed in `textvae.cli.verbs`.

Nothing heavy is imported before the arguments are parsed, so `--help` is fast.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from io import StringIO, TextIOWrapper
from typing import Any, NoReturn

from textvae.cli.verbs import COMMANDS, VERB_MODULES
from textvae.errors import StoppedError, TextVAEError
from textvae.runtime.launch import has_several_processes, is_first_process
from textvae.runtime.memory import describe_lack_of_memory
from textvae.schema import did_you_mean
from textvae.terminal import escape_controls, shorten
from textvae.version import __version__

_WRONG_INPUT_EXIT_CODE = 2
_INTERRUPTED_EXIT_CODE = 130  # 128 + SIGINT, as shells have it

# How to go on after Ctrl-C, by the verb. Training says it itself, as it knows what was saved.
_REPEAT = "; to continue, repeat the command"
_REPEAT_SHARDS = "; to continue work in shards (--output FOLDER), repeat the command"
_INTERRUPTED_ADVICE = {
    "compare": _REPEAT,
    "encode": _REPEAT_SHARDS,
    "score": _REPEAT_SHARDS,
    "generate": _REPEAT_SHARDS,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _accept_all_characters()
    # Under torchrun, many processes parse the same arguments: only the first reports what is wrong.
    with nullcontext() if is_first_process() else redirect_stderr(StringIO()):
        options = _parse_arguments(build_parser(), arguments)
    try:
        return COMMANDS[options.verb](options) or 0
    except StoppedError:  # the first process of the launch reports the reason
        return _WRONG_INPUT_EXIT_CODE
    except TextVAEError as error:
        _print_error(f"textvae {options.verb}: {error}")
        return _WRONG_INPUT_EXIT_CODE
    except BrokenPipeError:  # the program that reads our output has ended, as `head` does
        # At exit, Python flushes standard output again and would report the same error there.
        sys.stderr.close()
        return 0
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        message = f"{error.filename or 'a file'} cannot be written or read: {reason}"
        _print_error(f"textvae {options.verb}: {_make_printable(message)}")
        return _WRONG_INPUT_EXIT_CODE
    except (MemoryError, RuntimeError) as error:
        lack = describe_lack_of_memory(error)
        if lack is None:
            raise
        _print_error(
            f"textvae {options.verb}: the memory is not enough: {lack}. "
            "Ask for fewer samples or texts, shorter texts, or a smaller model."
        )
        return _WRONG_INPUT_EXIT_CODE
    except KeyboardInterrupt as error:
        explanation = str(error) or "interrupted" + _INTERRUPTED_ADVICE.get(options.verb, "")
        _print_error(f"\n{escape_controls(explanation)}")
        return _INTERRUPTED_EXIT_CODE


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = _CommandParser(
        prog="textvae",
        description="Train variational autoencoders of text, and use them. Begin with "
        "`textvae train captions`, which writes a run to the folder runs/vae, and then "
        "`textvae generate runs/vae`.",
        epilog="See `textvae VERB --help` for the arguments of a verb.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"textvae {__version__}",
        help="print the version of textvae and exit",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for module in VERB_MODULES:
        module.add(verbs)
    return parser


class _CommandParser(argparse.ArgumentParser):
    """A parser that takes no abbreviated options, and reports an error in one line."""

    def __init__(self, **arguments: Any) -> None:
        # An abbreviation is a guess: `--num 3` would be read as `--num-beams 3`.
        super().__init__(**{**arguments, "allow_abbrev": False})

    def parse_known_args(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments; an unknown option is refused with the most similar known one."""
        parsed, rest = super().parse_known_args(*arguments, **options)
        for word in rest:
            name = word.partition("=")[0]
            known = set(re.findall(r"--[a-z][a-z-]*", self.format_help()))
            # A beginning of an option is more likely meant than a similar one.
            longer = {option for option in known if option.startswith(name)}
            hint = did_you_mean(name, sorted(longer or known)) if name.startswith("--") else ""
            if hint:
                self.error(f"unknown argument: {word}; {hint.strip()}")
        return parsed, rest

    def error(self, message: str) -> NoReturn:
        """Exit with the code of wrong input, without printing the usage."""
        message = _make_printable(message)
        end = "" if message.endswith(("?", ".")) else "."
        self.exit(_WRONG_INPUT_EXIT_CODE, f"{self.prog}: {message}{end} See {self.prog} --help\n")


def _make_printable(message: str) -> str:
    """Return a message as one line of bounded length, without control characters."""
    return shorten(escape_controls(message))


def _accept_all_characters() -> None:
    """Let standard output print any text: what its encoding lacks is printed as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parse_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """Parse the arguments, or exit with a message.

    The settings of `train`, `compare` and `tune` may be anywhere among their options.
    argparse does not know them, so they are among the words that it leaves over.
    """
    options, rest = parser.parse_known_args(arguments)
    takes_settings = options.verb in ("train", "compare", "tune")
    unknown = []
    for word in rest:
        is_setting = takes_settings and "=" in word and not word.startswith("-")
        if not is_setting:
            unknown.append(word)
    if unknown:
        command = f"textvae {options.verb}"
        words = _make_printable(" ".join(unknown))
        parser.exit(
            _WRONG_INPUT_EXIT_CODE,
            f"{command}: unknown argument: {words}. See {command} --help\n",
        )
    options.settings = rest
    return options


def _print_error(message: str) -> None:
    """Print a message on standard error; of several processes of one launch, only one does."""
    if has_several_processes():
        # Any process may meet the error first, so they agree on which of them reports it.
        from textvae.runtime.processes import claim_error_report

        if not claim_error_report():
            return
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
