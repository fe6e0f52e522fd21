"""Arguments that several verbs share.

Results go to standard output, everything else to standard error. With `--json`
each line of standard output is one JSON object.
"""

from argparse import (
    SUPPRESS,
    Action,
    ArgumentParser,
    BooleanOptionalAction,
    Namespace,
    _SubParsersAction,
)
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple, TypeAlias, cast, get_args

from textvae.bulk.defaults import DEFAULT_ENGINE, DEFAULT_SHARD_ROWS
from textvae.cli.examples import EXAMPLES
from textvae.cli.settings import add_settings, collect_settings
from textvae.cli.verbs import VERBS
from textvae.data.tables import Quoting, TableOptions, TableSettings
from textvae.inference.settings import (
    SAMPLING_OPTIONS,
    DecodingChoices,
    DecodingSettings,
    SingleDecodingSettings,
    draw_seed,
)
from textvae.messages import print_note

Subparsers: TypeAlias = "_SubParsersAction[ArgumentParser]"  # the parsers of all verbs

Command = Callable[[Namespace], int | None]  # returns the exit code; None is 0

# Ends the help of verbs that take settings.
_SETTINGS_HELP = (
    "section.key=value is a setting, such as training.epochs=3. `textvae settings` lists and "
    "explains all of them, `textvae settings training` those of one section."
)

# The attribute of an option in which `suggest` keeps what it was given.
_SUGGESTIONS = "suggestions"

_TABLE_SETTINGS = ("format", "separator", "encoding", "member")  # options with the field's help
# The options that are most often used come first in the help text.
_COMMON_DECODING_OPTIONS = (
    "temperature",
    "top_p",
    "top_k",
    "num_beams",
    "max_new_tokens",
    "num_return_sequences",
    "seed",
)


class Requirement(NamedTuple):
    """Optional packages that a verb needs.

    Attributes:
        extra, what, packages: see `check_installed`.
        applies: whether a verb with these options needs them.
    """

    extra: str
    what: str
    packages: tuple[str, ...]
    applies: Callable[[Namespace], bool]


def add_verb(verbs: Subparsers, name: str, summary: str) -> ArgumentParser:
    """Add a verb and return its parser.

    Args:
        summary: what the verb does, as a phrase: the list of verbs shows it, and the
            verb's own help begins with it.
    """
    description = f"{summary[0].upper()}{summary[1:]}."
    command = verbs.add_parser(name, help=summary, description=description)
    full_name = command.prog.removeprefix("textvae ")  # of two words, such as `prior fit`
    command.epilog = _describe_end(full_name)
    command.add_argument(
        "--quiet",
        action="store_true",
        default=SUPPRESS,  # or `fit` would overwrite what `prior --quiet fit` has set
        help="print no notes and no progress bars on standard error; warnings and errors remain",
    )
    return command


def _describe_end(verb: str) -> str:
    """Return the end of the help of a verb: how to write settings, and examples."""
    parts = []
    if verb in VERBS and VERBS[verb].takes_settings:
        parts.append(_SETTINGS_HELP)
    if verb in EXAMPLES:
        parts.append("\n".join(["examples:", *(f"  {line}" for line in EXAMPLES[verb])]))
    return "\n\n".join(parts)


def add_run(command: ArgumentParser, without: str = "", *, has_revision: bool = True) -> None:
    """Add the arguments of every verb that works on a trained run.

    Args:
        without: what the verb does without RUN, for the help text; RUN is then optional.
        has_revision: whether --revision is that of RUN on the hub.
    """
    what = "folder of a trained run, or the name of a model on the Hugging Face Hub (owner/name)"
    if without:
        command.add_argument("run", metavar="RUN", nargs="?", help=f"{what} (default: {without})")
    else:
        command.add_argument("run", metavar="RUN", help=what)
    if has_revision:
        command.add_argument(
            "--revision",
            metavar="NAME",
            help="branch, tag or commit of a model on the hub (default: its main branch)",
        )
    add_device(command)
    add_json(command)
    # Loading a run reads these options, which verbs without them must have too.
    command.set_defaults(label=None, revision=None, needs_model=True)


def require_extra(
    command: ArgumentParser,
    extra: str,
    what: str,
    *packages: str,
    applies: Callable[[Namespace], bool] = lambda _: True,
) -> None:
    """Let a verb refuse to begin without optional packages.

    Args:
        extra: the extra of textvae that installs the packages.
        what: what needs them; it begins the message and takes a plural verb.
        packages: the names they are imported by.
        applies: whether the verb needs them with these options; by default, it always does.
    """
    requirement = Requirement(extra, what, packages, applies)
    earlier = command.get_default("requirements") or ()
    command.set_defaults(requirements=(*earlier, requirement))


def suggest(option: Action, list_words: Callable[[], Iterable[str]]) -> None:
    """Let shells complete the value of an option with words that are not its only values.

    Args:
        list_words: is called when the script for a shell is printed.
    """
    setattr(option, _SUGGESTIONS, list_words)


def list_suggestions(option: Action) -> list[str]:
    """Return the words that `suggest` has given an option."""
    list_words = getattr(option, _SUGGESTIONS, None)
    return list(list_words()) if list_words else []


def add_device(command: ArgumentParser) -> None:
    """Add the option that chooses the device."""
    command.add_argument(
        "--device",
        metavar="cpu|cuda|mps",
        help="device to compute on; mps is the GPU of an Apple computer "
        "(default: cuda if a GPU is available, else cpu)",
    )


def add_json(command: ArgumentParser) -> None:
    """Add the option that switches to JSON output."""
    command.add_argument(
        "--json",
        action="store_true",
        help="print JSON, one object per line, and no other text",
    )


def add_sentences(command: ArgumentParser, default: str = "") -> None:
    """Add a file of sentences, and the options that say how it is read if it is a table.

    Args:
        default: what is read without FILE, for the help text; FILE is then optional.
    """
    what = "file of sentences; - is standard input"
    if default:
        what += f" (default: {default})"
        command.add_argument("file", metavar="FILE|-", nargs="?", help=what)
    else:
        command.add_argument("file", metavar="FILE|-", help=what)
    add_table(command)


def add_labelled_table(command: ArgumentParser) -> None:
    """Add a table of texts and labels, and the options that say how it is read."""
    command.add_argument(
        "file",
        metavar="TABLE",
        help=".csv, .tsv, .jsonl or .parquet file with a column of texts and one of labels",
    )
    add_table(command)
    command.add_argument(
        "--label-column",
        default="label",
        metavar="NAME",
        help="column of the labels (default: %(default)s)",
    )


def add_table(command: ArgumentParser) -> None:
    """Add the options that say how a table is read."""
    group = command.add_argument_group("how the file is read")
    group.add_argument(
        "--text-column",
        metavar="NAME",
        help="column of the texts, if the file is a table: its name, or its number, counted from 1 "
        "(default: as in training)",
    )
    group.add_argument(
        "--join-column",
        action="append",
        dest="join_columns",
        metavar="NAME",
        help="column whose text is joined with those of the others, instead of --text-column; to "
        "be repeated (default: as in training)",
    )
    group.add_argument(
        "--quoting",
        choices=get_args(Quoting),
        help="whether double quotes delimit the cells of a .csv or .tsv; with auto, they do in "
        "a .csv only (default: as in training)",
    )
    group.add_argument(
        "--header",
        action=BooleanOptionalAction,
        help="whether the first line of a .csv or .tsv names its columns (default: it must name "
        "the column of the texts)",
    )
    add_settings(group, TableSettings, *_TABLE_SETTINGS)


def collect_table_options(options: Namespace) -> TableOptions:
    """Return the options of `add_table` that the user wrote."""
    values = vars(options)
    # Not all fields of `TableSettings`: another option of the verb may have the name of one.
    names = ("text_column", "join_columns", "quoting", "header", *_TABLE_SETTINGS)
    written = {name: values[name] for name in names if values.get(name) is not None}
    return cast(TableOptions, written)


def add_label(command: ArgumentParser, default: str = "") -> None:
    """Add the label of a conditional model.

    Args:
        default: which labels are used without --label, for the help text.
    """
    what = "one label for all texts, for a model that was trained with labels"
    what += f" (default: {default or 'none, which a model without labels expects'})"
    command.add_argument("--label", metavar="NAME", help=what)


def add_name(command: ArgumentParser, what: str) -> None:
    """Add the name under which a verb saves something with the run, and another verb finds it.

    Args:
        what: what has the name, for the help text.
    """
    command.add_argument(
        "--name",
        default="default",
        metavar="NAME",
        help=f"name of the {what}, for a run that has several (default: %(default)s)",
    )


def add_decoding(command: ArgumentParser, samples: bool = False, *, single: bool = False) -> None:
    """Add the decoding options, named as in transformers' `GenerationConfig`.

    Args:
        samples: the verb samples tokens by default, instead of decoding greedily.
        single: the verb writes one text from each latent, and has no `num_return_sequences`.
    """
    if samples:
        by_default = (
            "tokens are sampled by default; with --num-beams and no option of sampling, "
            "beam search is used instead"
        )
    else:
        by_default = (
            "greedy by default; --do-sample and each option that samples (--temperature, --top-p, "
            "--top-k, --min-p ...) turn on sampling"
        )
    settings = SingleDecodingSettings if single else DecodingSettings
    common = [name for name in _COMMON_DECODING_OPTIONS if name in settings.model_fields]
    add_settings(command.add_argument_group("decoding", by_default), settings, *common)
    add_more_decoding(command)


def add_more_decoding(command: ArgumentParser) -> None:
    """Add the decoding options that are less often used."""
    group = command.add_argument_group(
        "more decoding options",
        "those of transformers' GenerationConfig; JSON is written in single quotes",
    )
    rest = [name for name in DecodingChoices.model_fields if name not in _COMMON_DECODING_OPTIONS]
    add_settings(group, DecodingChoices, *rest)


def collect_decoding_options(options: Namespace) -> dict[str, Any]:
    """Return the decoding options that the user wrote.

    If they ask for sampling without a seed, a new seed is added to them and printed.
    """
    written = collect_settings(options, DecodingSettings)
    asks_to_sample = any(name in written for name in SAMPLING_OPTIONS)
    if "seed" not in written and (asks_to_sample or written.get("do_sample")):
        # Set in the arguments, because a verb may collect them for each part of a file.
        options.seed = written["seed"] = draw_seed()
        print_new_seed(options.seed)
    return written


def iterate_decoding_options(options: Namespace) -> Iterator[dict[str, Any]]:
    """Yield the decoding options for one part of a file after the other.

    Each part has a seed of its own, since the same seed would give the same random numbers again.
    """
    from textvae.runtime.seeds import Stream, derive_seed  # late, since it imports numpy

    written = collect_decoding_options(options)
    yield written
    for part in count(1):
        if "seed" not in written:
            yield written
        else:
            yield {**written, "seed": derive_seed(written["seed"], Stream.ROWS, part)}


def print_new_seed(seed: int) -> None:
    """Print a seed that the user has not written, so that the same texts can be had again."""
    print_note(f"seed {seed}: with --seed, it gives the same texts again.")


def add_shards(command: ArgumentParser) -> None:
    """Add the options of bulk work."""
    group = command.add_argument_group(
        "shards",
        "for millions of sentences; after an interruption, the same command continues the work",
    )
    require_extra(command, "ray", "jobs on Ray", "ray", applies=_chooses_ray)
    verb = command.prog.split()[-1]
    is_encode = verb == "encode"
    shards = "folder to fill with shards: Parquet files of some thousand rows each"
    if is_encode:
        metavar = "z.npy|z.parquet|FOLDER"
        what = f"file to write the vectors to, or {shards}"
    else:
        metavar = "FOLDER"
        what = f"{shards}; by default, the results are printed"
    group.add_argument("--output", metavar=metavar, required=is_encode, help=what)
    # The two options below are absent unless the user writes them: `textvae.cli.shards`
    # refuses them where no shards are written.
    group.add_argument(
        "--engine",
        default=SUPPRESS,
        metavar="accelerate|ray",
        help=f"library that distributes the work (default: {DEFAULT_ENGINE})",
    )
    group.add_argument(
        "--shard-rows",
        type=int,
        default=SUPPRESS,
        metavar="N",
        help=f"rows per shard (default: {DEFAULT_SHARD_ROWS[verb]})",
    )


def _chooses_ray(options: Namespace) -> bool:
    """Return whether Ray distributes the work."""
    return bool(vars(options).get("engine", DEFAULT_ENGINE) == "ray")
