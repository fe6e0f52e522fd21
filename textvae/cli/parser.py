"""The parser of the command line: it imports the modules of the verbs that it is asked for."""

import argparse
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from textvae.cli.verbs import SYNONYMS, VERBS
from textvae.errors import did_you_mean
from textvae.terminal import escape_controls, shorten
from textvae.version import DOCUMENTATION, __version__

if TYPE_CHECKING:
    from textvae.cli.arguments import Command, Subparsers

WRONG_INPUT_EXIT_CODE = 2

_DESCRIPTION = """\
Train variational autoencoders of text, and use them. Begin with `textvae train captions`,
which writes a run to the folder runs/vae, and then `textvae generate runs/vae`.
"""
_WRONG_CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)' \(choose from (?P<choices>.*)\)")


def build_parser(verbs: Iterable[str] = VERBS) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Args:
        verbs: the verbs whose modules are imported, so that their arguments can be parsed;
            the others are only listed in the help.
    """
    parser = _TopParser(prog="textvae", usage="textvae VERB [argument ...]")
    parser.add_argument(
        "--version",
        action="version",
        version=f"textvae {__version__}",
        help="print the version of textvae and exit",
    )
    parsers: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        dest="verb", metavar="VERB", prog="textvae", parser_class=CommandParser
    )
    # Verbs may share a module, which adds all that it has.
    one_of_each_module = {VERBS[name].module: name for name in verbs}
    for name in one_of_each_module.values():
        import_verb(name).add(parsers)
    return parser


def list_steps(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the verbs of a parser by name, or the steps of a verb such as `prior fit`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


class HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs as argparse does, and leaves indented lines, such as examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Return a description or an epilog."""
        parts = []
        for line in text.split("\n"):
            is_literal = line.startswith("  ") or not line
            parts.append(line if is_literal else super()._fill_text(line, width, indent))
        return "\n".join(parts)


class CommandParser(argparse.ArgumentParser):
    """A parser that takes no abbreviated options, and reports an error in one line."""

    def __init__(self, **arguments: Any) -> None:
        # An abbreviation is a guess: `--num 3` would be read as `--num-beams 3`.
        fixed = {"allow_abbrev": False, "formatter_class": HelpFormatter}
        super().__init__(**{**arguments, **fixed})

    def parse_known_args(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments; an unknown option is refused with the most similar known one."""
        parsed, rest = super().parse_known_args(*arguments, **options)
        rest = self._take_late_words(parsed, rest)
        for place, word in enumerate(rest):
            hint = (
                self._suggest_setting(rest[place:])
                or self._answer_trainer_name(word)
                or self._find_similar_option(word)
            )
            if hint:
                self.error(f"unknown argument: {word}; {hint.strip()}")
        return parsed, rest

    def _suggest_setting(self, words: list[str]) -> str:
        """Return how to write an unknown option that is a setting, such as `--epochs 5`, or ""."""
        verb = self.prog.removeprefix("textvae ")
        if not words[0].startswith("--") or verb not in VERBS or not VERBS[verb].takes_settings:
            return ""
        from textvae.settings.reference import find_keys

        option, equals_sign, value = words[0].partition("=")
        keys = find_keys(option.removeprefix("--").replace("-", "_"))
        if not keys:
            return ""
        if not equals_sign:
            value = next((word for word in words[1:2] if not word.startswith("-")), "VALUE")
        section = keys[0].partition(".")[0]
        return f"it is a setting: write {keys[0]}={value} (textvae settings {section} explains it)."

    def _take_late_words(self, parsed: argparse.Namespace, rest: list[str]) -> list[str]:
        """Add words after options to the sentences of the verb; return the words that remain.

        argparse fills arguments that may be missing before it reads the first option, and leaves
        over all words that follow.
        """
        name = self.get_default("late_words")
        words = [word for word in rest if not word.startswith("-")]
        if name is None or not words:
            return rest
        found = getattr(parsed, name)
        if isinstance(found, list):
            setattr(parsed, name, found + words)
        elif found is None and len(words) == 1:
            setattr(parsed, name, words[0])
        else:
            return rest
        return [word for word in rest if word.startswith("-")]

    def _answer_trainer_name(self, word: str) -> str:
        """Return what an option of transformers' Trainer is called here, or ""."""
        verb = self.prog.removeprefix("textvae ")
        if not word.startswith("--") or verb not in VERBS or not VERBS[verb].takes_settings:
            return ""
        from textvae.settings.trainer_names import describe_trainer_option

        return describe_trainer_option(word.partition("=")[0]) or ""

    def _find_similar_option(self, word: str) -> str:
        """Return "did you mean ...? " with the most similar option, or "" if none is similar."""
        name = word.partition("=")[0]
        if not name.startswith("--"):
            return ""
        help_text = self.format_help()
        if name[1:] in re.findall(r"(?<![\w-])-[a-z]\b", help_text):
            return f"did you mean {name[1:]!r}? "
        known = re.findall(r"--[a-z][a-z-]*", help_text)
        # A beginning of an option is more likely meant than a similar one.
        longer = [option for option in known if option.startswith(name)]
        return did_you_mean(name, sorted(set(longer or known)))

    def error(self, message: str) -> NoReturn:
        """Exit with the code of wrong input, without printing the usage."""
        choice = _WRONG_CHOICE.search(message)
        if choice:
            hint = did_you_mean(choice["word"], re.findall(r"[^', ]+", choice["choices"]))
            if hint:
                message = message.replace(" (choose from", f"; {hint}(choose from")
        message = make_printable(message)
        end = "" if message.endswith(("?", ".")) else "."
        self.exit(WRONG_INPUT_EXIT_CODE, f"{self.prog}: {message}{end} See {self.prog} --help\n")


class _TopParser(CommandParser):
    """The parser of `textvae` itself, whose help lists the verbs in groups."""

    def format_help(self) -> str:
        """Return the help: all verbs with what they do, without importing them."""
        options = self._get_formatter()
        options.start_section("options")
        options.add_arguments(self._optionals._group_actions)
        options.end_section()
        end = (
            "`textvae VERB --help` explains the arguments of a verb, `textvae settings` the "
            "settings of training, and `textvae docs` prints the documentation.\n"
            f"Homepage: {DOCUMENTATION}\n"
        )
        parts = [self.format_usage(), _DESCRIPTION, *_format_groups(), options.format_help(), end]
        return "\n".join(parts)


def _format_groups() -> Iterator[str]:
    """Yield each group of verbs, with its heading, as a block of lines."""
    width = max(map(len, VERBS))
    for group in dict.fromkeys(verb.group for verb in VERBS.values()):
        lines = [f"{group}:"]
        for name, verb in VERBS.items():
            if verb.group == group:
                lines.append(f"  {name:{width}}  {verb.summary}")
        yield "\n".join(lines) + "\n"


def refuse_unknown_verb(parser: argparse.ArgumentParser, name: str) -> NoReturn:
    """Exit with a message that names the verb that was most likely meant."""
    hint = did_you_mean(name, VERBS)
    if name in SYNONYMS:
        hint = f"did you mean {SYNONYMS[name]!r}?"
    parser.error(f"unknown verb: {name!r}{'; ' if hint else ''}{hint.strip()}")


def make_printable(message: str) -> str:
    """Return a message as one line of bounded length, without control characters."""
    return shorten(escape_controls(message))


class VerbModule(Protocol):
    """What every module of verbs has."""

    COMMANDS: "dict[str, Command]"

    def add(self, verbs: "Subparsers") -> None:
        """Add the parsers of the module's verbs."""


def import_verb(name: str) -> VerbModule:
    """Return the module that has a verb."""
    return cast(VerbModule, import_module(f"textvae.cli.{VERBS[name].module}"))
