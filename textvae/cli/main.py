"""Entry point of the command line: `textvae VERB`. The verbs are listed in `textvae.cli.verbs`.

Only the module of the verb is imported, and nothing heavy before the arguments are parsed.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from io import StringIO, TextIOWrapper

from textvae.cli.parser import (
    WRONG_INPUT_EXIT_CODE,
    build_parser,
    import_verb,
    make_printable,
    refuse_unknown_verb,
)
from textvae.cli.verbs import ALIASES, VERBS
from textvae.errors import StoppedError, TextVAEError
from textvae.runtime.launch import has_several_processes, is_first_process
from textvae.runtime.memory import describe_lack_of_memory
from textvae.terminal import bars_hidden, escape_controls

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
        options = _parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        # Imported here, because --help needs none of it.
        from textvae.cli.checks import check_arguments
        from textvae.messages import quiet

        with quiet(options.quiet), bars_hidden(options.quiet):
            check_arguments(options)
            return import_verb(options.verb).COMMANDS[options.verb](options) or 0
    except StoppedError:  # the first process of the launch reports the reason
        return WRONG_INPUT_EXIT_CODE
    except TextVAEError as error:
        _print_error(f"textvae {options.verb}: {error}")
        return WRONG_INPUT_EXIT_CODE
    except BrokenPipeError:  # the program that reads our output has ended, as `head` does
        # At exit, Python flushes standard output again and would report the same error there.
        sys.stderr.close()
        return 0
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        message = f"{error.filename or 'a file'} cannot be written or read: {reason}"
        _print_error(f"textvae {options.verb}: {make_printable(message)}")
        return WRONG_INPUT_EXIT_CODE
    except (MemoryError, RuntimeError) as error:
        lack = describe_lack_of_memory(error)
        if lack is None:
            raise
        _print_error(
            f"textvae {options.verb}: the memory is not enough: {lack}. "
            "Ask for fewer samples or texts, shorter texts, or a smaller model."
        )
        return WRONG_INPUT_EXIT_CODE
    except KeyboardInterrupt as error:
        explanation = str(error) or "interrupted" + _INTERRUPTED_ADVICE.get(options.verb, "")
        _print_error(f"\n{escape_controls(explanation)}")
        return _INTERRUPTED_EXIT_CODE


def _accept_all_characters() -> None:
    """Let standard output print any text: what its encoding lacks is printed as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments, or exit with a message.

    The settings of verbs that take them may be anywhere among their options.
    argparse does not know them, so they are among the words that it leaves over.
    """
    words = list(arguments)
    verb = None
    for place, word in enumerate(words):
        if not word.startswith("-"):
            verb = words[place] = ALIASES.get(word, word)
            break
    parser = build_parser([verb] if verb in VERBS else [])
    if verb is not None and verb not in VERBS:
        refuse_unknown_verb(parser, verb)
    options, rest = parser.parse_known_args(words)
    if options.verb is None:
        parser.error("expected a verb")
    rest = _find_corpus_behind_settings(options, rest)
    _refuse_unknown_words(parser, options.verb, rest)
    options.settings = rest
    options.quiet = "quiet" in options
    return options


def _find_corpus_behind_settings(options: argparse.Namespace, words: list[str]) -> list[str]:
    """Set the corpus to the first word that is no setting; return the other words.

    argparse, which does not know settings, takes the first word for the corpus.

    Args:
        words: those that argparse has left over.
    """
    corpus = getattr(options, "corpus", None)
    if not corpus or "=" not in corpus:
        return words
    from textvae.cli.training_checks import is_setting  # it reads YAML

    if not is_setting(corpus):
        return words
    words = [corpus, *words]
    places = [
        place
        for place, word in enumerate(words)
        if not word.startswith("-") and not is_setting(word)
    ]
    options.corpus = words.pop(places[0]) if places else None
    return words


def _refuse_unknown_words(parser: argparse.ArgumentParser, verb: str, words: Sequence[str]) -> None:
    """Exit with a message if there are words that are neither arguments nor settings of a verb."""
    takes_settings = VERBS[verb].takes_settings
    unknown = []
    for word in words:
        is_setting = takes_settings and "=" in word and not word.startswith("-")
        if not is_setting:
            unknown.append(word)
    if unknown:
        command = f"textvae {verb}"
        shown = make_printable(" ".join(unknown))
        hint = ""
        if takes_settings and not unknown[0].startswith("-"):
            hint = (
                "A setting needs a value (training.epochs=3), and for a corpus of several files "
                "name their folder or a pattern in quotes. "
            )
        parser.exit(
            WRONG_INPUT_EXIT_CODE,
            f"{command}: unknown argument: {shown}. {hint}See {command} --help\n",
        )


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
