"""The verb `shell`: a model stays loaded, and each line that is read is answered.

A line is a verb and its text, such as `complete a man`. Every verb is a method of `TextVAE`
and takes the options that `set` has set, as far as it has them. An error is printed and
the next line is read. From a pipe, the exit code says whether any line failed.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from textvae.cli.arguments import Command, Subparsers, add_label, add_run, add_verb
from textvae.cli.loading import load_vae
from textvae.cli.output import (
    format_certainty,
    format_fill,
    format_neighbor,
    format_score,
    format_step,
    format_text,
    format_variation,
    print_records,
)
from textvae.cli.settings import parse_value
from textvae.errors import ConfigError, TextVAEError, did_you_mean
from textvae.inference.settings import DecodingSettings, SingleDecodingSettings
from textvae.runtime.memory import describe_lack_of_memory
from textvae.schema import StrictSettings, validate_settings
from textvae.terminal import escape_controls
from textvae.uses.settings import (
    INFILL_SAMPLING_OPTIONS,
    CompleteSettings,
    EditSettings,
    GenerateSettings,
    InfillSettings,
    InterpolateSettings,
    NeighborsSettings,
    RefineSettings,
    ScoreSettings,
    TraverseSettings,
    UncertaintySettings,
    VarySettings,
)

if TYPE_CHECKING:
    from textvae.vae import TextVAE

_WRONG_INPUT_EXIT_CODE = 2
_PROMPT = "textvae> "
_SEPARATOR = "|"

_Records = Sequence[Mapping[str, Any]]
_Options = dict[str, Any]


class _AttributeSettings(StrictSettings):
    """What `edit` needs."""

    attribute: str


class _DimensionSettings(StrictSettings):
    """What `traverse` needs."""

    dimension: int = Field(ge=0)


class _Verb(NamedTuple):
    """A verb of the shell.

    Attributes:
        usage: how it is written.
        summary: what it does.
        answer: from the model, the rest of the line and the options to records.
        format: formats a record as text.
        settings: the classes whose fields are its options.
    """

    usage: str
    summary: str
    answer: Callable[["TextVAE", str, _Options], _Records]
    format: Callable[[Mapping[str, Any]], str]
    settings: tuple[type[StrictSettings], ...]


def add(verbs: Subparsers) -> None:
    """Add the verb."""
    shell = add_verb(verbs, "shell", "keep a model loaded, and answer one line after another")
    add_run(shell)
    add_label(shell)
    shell.description = (
        f"{shell.description} Lines are read from standard input; `help` lists what they may be."
    )


def _shell(options: Namespace) -> int:
    """Answer the lines of standard input; return whether any line of a pipe failed.

    Raises:
        ConfigError: standard input is closed.
    """
    if sys.stdin is None:
        raise ConfigError(
            "standard input is closed; run the shell at a terminal, or pipe lines in, such as "
            "`generate 3`."
        )
    vae = load_vae(options)
    is_terminal = sys.stdin.isatty()
    shell = _Shell(vae, as_json=options.json, is_terminal=is_terminal)
    shell.answer_all(_read_terminal() if is_terminal else _read_pipe())
    # At a terminal, the errors have been seen.
    return _WRONG_INPUT_EXIT_CODE if shell.has_failed and not is_terminal else 0


def _read_pipe() -> Iterator[str]:
    """Yield the lines of standard input."""
    try:
        yield from sys.stdin
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"standard input is not UTF-8 at byte {error.start}; convert it first."
        ) from error


def _read_terminal() -> Iterator[str]:
    """Yield the lines that a user types, with a history; Ctrl-C gives up a line, Ctrl-D ends."""
    with suppress(ImportError):  # Windows has no readline
        import readline  # noqa: F401  # importing it gives `input` its history

    while True:
        try:
            yield input(_PROMPT)
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()


class _Shell:
    """Answers lines with one model, and remembers the options that are set.

    Attributes:
        has_failed: whether any line was wrong.
    """

    def __init__(self, vae: "TextVAE", *, as_json: bool, is_terminal: bool) -> None:
        self.vae = vae
        self.as_json = as_json
        self.is_terminal = is_terminal
        self.options: _Options = {}
        self.has_failed = False

    def answer_all(self, lines: Iterator[str]) -> None:
        """Answer lines until there are no more, or one of them is `quit`."""
        for number, line in enumerate(lines, start=1):
            word, _, rest = line.strip().partition(" ")
            if word in ("quit", "exit"):
                return
            if word and not word.startswith("#"):
                self._answer_safely(number, word, rest.strip())

    def _answer_safely(self, number: int, word: str, rest: str) -> None:
        """Answer a line; print an error, or that the user has interrupted the work."""
        try:
            self._answer(word, rest)
        except TextVAEError as error:
            self._report(number, str(error))
        except (MemoryError, RuntimeError) as error:
            lack = describe_lack_of_memory(error)
            if lack is None:
                raise
            self._report(number, f"the memory is not enough: {lack}")
        except KeyboardInterrupt:
            if not self.is_terminal:
                raise
            self._report(number, "interrupted")

    def _report(self, number: int, message: str) -> None:
        """Print an error on standard error, and remember it."""
        self.has_failed = True
        place = "" if self.is_terminal else f"line {number}: "
        print(f"textvae shell: {place}{escape_controls(message)}", file=sys.stderr, flush=True)

    def _answer(self, word: str, rest: str) -> None:
        """Answer a line.

        Raises:
            TextVAEError: the line is wrong.
        """
        if word == "help":
            self._help()
        elif word == "set":
            self._set(rest)
        elif word == "unset":
            self._unset(rest)
        elif word in _VERBS:
            verb = _VERBS[word]
            records = verb.answer(self.vae, rest, self._select_options(verb))
            print_records(records, self.as_json, verb.format)
        else:
            known = [*_VERBS, "help", "set", "unset", "quit"]
            raise ConfigError(
                f"{word!r} is not a verb of the shell: {did_you_mean(word, known)}"
                "`help` lists them."
            )

    def _select_options(self, verb: _Verb) -> _Options:
        """Return the options that are set and that a verb has."""
        names = {name for settings in verb.settings for name in settings.model_fields}
        return {name: value for name, value in self.options.items() if name in names}

    def _help(self) -> None:
        """Print what lines may be."""
        lines = [(verb.usage, verb.summary) for verb in _VERBS.values()]
        lines += [
            ("set NAME VALUE", "set an option of the verbs, such as temperature 0.7"),
            ("set", "print the options that are set"),
            ("unset NAME", "use the default of an option again"),
            ("quit", "end the shell"),
        ]
        records = [{"line": usage, "meaning": meaning} for usage, meaning in lines]
        print_records(
            records, self.as_json, lambda record: f"{record['line']:28}{record['meaning']}"
        )

    def _set(self, rest: str) -> None:
        """Set an option, or print those that are set.

        Raises:
            ConfigError: no verb has the option, or the value does not fit.
        """
        name, _, text = rest.partition(" ")
        if not name:
            records = [{"name": name, "value": value} for name, value in self.options.items()]
            print_records(
                records, self.as_json, lambda record: f"{record['name']} {record['value']}"
            )
            return
        if not text.strip():
            raise ConfigError(f"set {name}: expected a value, such as `set temperature 0.7`.")
        value = parse_value(text.strip())
        problems = []
        classes = _find_settings(name)
        for settings in classes:
            try:
                validate_settings(settings, {name: value}, "set")
            except ConfigError as problem:
                problems.append(problem)
        # Verbs may have different choices for one name; each refuses those that it does not have.
        if len(problems) == len(classes):
            raise problems[0]
        self.options[name] = value

    def _unset(self, name: str) -> None:
        """Forget an option.

        Raises:
            ConfigError: it is not set.
        """
        if name not in self.options:
            hint = did_you_mean(name, self.options)
            raise ConfigError(f"unset {name}: it is not set; {hint}`set` lists those that are.")
        del self.options[name]


def _find_settings(name: str) -> list[type[StrictSettings]]:
    """Return the classes of settings that have an option.

    Raises:
        ConfigError: none has it.
    """
    every = {settings for verb in _VERBS.values() for settings in verb.settings}
    classes = sorted(every, key=lambda settings: settings.__name__)
    found = [settings for settings in classes if name in settings.model_fields]
    if not found:
        known = sorted({field for settings in classes for field in settings.model_fields})
        raise ConfigError(
            f"set {name}: no verb of the shell has this option; {did_you_mean(name, known)}"
            f"Choose from {', '.join(known)}."
        )
    return found


def _split(rest: str, least: int, most: int | None, usage: str) -> list[str]:
    """Return the texts of a line that are separated by "|".

    Raises:
        ConfigError: there are too few or too many, or one is blank.
    """
    texts = [text.strip() for text in rest.split(_SEPARATOR)]
    if not all(texts) or len(texts) < least or (most is not None and len(texts) > most):
        raise ConfigError(f"expected {usage}, with a text before and after each |.")
    return texts


def _generate(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Write sentences from samples of the prior; the line may say how many."""
    if rest:
        options = {**options, "n": parse_value(rest)}
    return [{"text": text} for text in vae.generate(**options)]


def _interpolate(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Decode a path through sentences."""
    texts = _split(rest, 2, None, "interpolate A | B")
    return [{"text": text} for text in vae.interpolate(texts[0], texts[1], *texts[2:], **options)]


def _infill(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Fill the blanks; options of sampling were set for other verbs if the method searches."""
    if options.get("method") != "sampling":
        options = {
            name: value for name, value in options.items() if name not in INFILL_SAMPLING_OPTIONS
        }
    return vae.infill(_require(rest), **options)


def _analogy(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Write what is to C as B is to A."""
    a, b, c = _split(rest, 3, 3, "analogy A | B | C")
    return [{"text": vae.analogy(a, b, c, **options)}]


def _edit(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Rewrite a text with the attribute that is set."""
    attribute = options.pop("attribute", None)
    if attribute is None:
        raise ConfigError("edit needs an attribute: say `set attribute NAME` first.")
    return [{"text": text} for text in vae.edit([_require(rest)], attribute, **options)]


def _traverse(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Decode a text while the dimension that is set changes."""
    dimension = options.pop("dimension", None)
    if dimension is None:
        raise ConfigError("traverse needs a dimension: say `set dimension 0` first.")
    return vae.traverse(_require(rest), dimension, **options)


def _neighbors(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Find the indexed sentences that are most similar to a text."""
    return vae.neighbors([_require(rest)], **options)[0]


def _encode(vae: "TextVAE", rest: str, options: _Options) -> _Records:
    """Return the posterior mean of a text."""
    return [{"text": rest, "z": vae.encode([_require(rest)])[0].tolist()}]


def _require(rest: str) -> str:
    """Return the text of a line.

    Raises:
        ConfigError: nothing follows the verb.
    """
    if not rest:
        raise ConfigError("expected a text after the verb.")
    return rest


_VERBS = {
    "generate": _Verb(
        "generate [N]",
        "write N sentences from the prior",
        _generate,
        format_text,
        (GenerateSettings, DecodingSettings),
    ),
    "complete": _Verb(
        "complete TEXT",
        "write sentences that begin with a text",
        lambda vae, rest, options: [{"text": text} for text in vae.complete(rest, **options)],
        format_text,
        (CompleteSettings, DecodingSettings),
    ),
    "infill": _Verb(
        "infill TEXT",
        "fill the blanks ___ of a text",
        _infill,
        format_fill,
        (InfillSettings,),
    ),
    "reconstruct": _Verb(
        "reconstruct TEXT",
        "encode a text and decode it again",
        lambda vae, rest, options: [
            {"text": text} for text in vae.reconstruct([_require(rest)], **options)
        ],
        format_text,
        (RefineSettings, DecodingSettings),
    ),
    "vary": _Verb(
        "vary TEXT",
        "write sentences near a text, with their distances and log-likelihoods",
        lambda vae, rest, options: vae.vary(_require(rest), **options),
        format_variation,
        (VarySettings, SingleDecodingSettings),
    ),
    "interpolate": _Verb(
        "interpolate A | B [| C ...]",
        "decode a path through texts",
        _interpolate,
        format_text,
        (InterpolateSettings, DecodingSettings),
    ),
    "analogy": _Verb(
        "analogy A | B | C",
        "write what is to C as B is to A",
        _analogy,
        format_text,
        (EditSettings, SingleDecodingSettings),
    ),
    "edit": _Verb(
        "edit TEXT",
        "rewrite a text, after `set attribute NAME`",
        _edit,
        format_text,
        (_AttributeSettings, EditSettings, DecodingSettings),
    ),
    "traverse": _Verb(
        "traverse TEXT",
        "decode a text while a dimension changes, after `set dimension D`",
        _traverse,
        format_step,
        (_DimensionSettings, TraverseSettings, DecodingSettings),
    ),
    "score": _Verb(
        "score TEXT",
        "the negative log-likelihood of a text, in nats",
        lambda vae, rest, options: [
            {"text": rest, **record} for record in vae.score([_require(rest)], **options)
        ],
        format_score,
        (ScoreSettings,),
    ),
    "uncertainty": _Verb(
        "uncertainty TEXT",
        "how certain the model is of a text: nats per token, and its reconstruction",
        lambda vae, rest, options: [
            {"text": rest, **record} for record in vae.uncertainty([_require(rest)], **options)
        ],
        format_certainty,
        (UncertaintySettings,),
    ),
    "neighbors": _Verb(
        "neighbors TEXT",
        "the indexed sentences that are most similar to a text",
        _neighbors,
        format_neighbor,
        (NeighborsSettings,),
    ),
    "encode": _Verb(
        "encode TEXT",
        "the posterior mean of a text",
        _encode,
        lambda record: " ".join(f"{number:.4f}" for number in record["z"]),
        (),
    ),
}

COMMANDS: dict[str, Command] = {"shell": _shell}
