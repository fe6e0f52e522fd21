"""Arguments that several verbs share, and helpers that act on the parsed ones.

Results go to standard output, everything else to standard error. With `--json`
each line of standard output is one JSON object.
"""

import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from textvae.bulk.defaults import DEFAULT_ENGINE, DEFAULT_SHARD_ROWS
from textvae.cli.output import print_records
from textvae.cli.settings import add_settings, collect_settings
from textvae.data.row_report import LEFT_OUT
from textvae.data.tables import Quoting
from textvae.errors import ConfigError
from textvae.inference.settings import DecodingSettings

if TYPE_CHECKING:
    from textvae.cli.input import InputRows
    from textvae.runs.run import Run
    from textvae.vae import TextVAE

Subparsers: TypeAlias = "_SubParsersAction[ArgumentParser]"  # a verb is added to it


Command = Callable[[Namespace], int | None]  # returns the exit code; None is 0


_UNMATCHED_PRIOR_WARNING = (
    "warning: training did not match this run's latents to its prior, "
    "so samples from the prior do not lie where its sentences do.\n"
    "Fit a prior to the latents: textvae prior fit {run}; then add --prior KIND to generate"
)


_DECODING_OPTIONS = ("temperature", "top_p", "top_k", "num_beams", "max_new_tokens", "seed")


def add_run(command: ArgumentParser, is_optional: bool = False, without: str = "") -> None:
    """Add the arguments of every verb that works on a trained run.

    Args:
        without: what the verb does without RUN where it is optional, for the help text.
    """
    what = "folder of a trained run, as written by `textvae train`"
    if is_optional:
        command.add_argument("run", metavar="RUN", nargs="?", help=f"{what}; {without}")
    else:
        command.add_argument("run", metavar="RUN", help=what)
    add_device(command)
    add_json(command)
    command.set_defaults(label=None)  # for verbs without --label


def add_device(command: ArgumentParser) -> None:
    """Add the option that chooses the device."""
    command.add_argument(
        "--device",
        metavar="cpu|cuda",
        help="device to compute on (default: cuda if a GPU is available, else cpu)",
    )


def add_json(command: ArgumentParser) -> None:
    """Add the option that switches to JSON output."""
    command.add_argument(
        "--json",
        action="store_true",
        help="print JSON, one object per line, and no other text",
    )


def collect_decoding_options(options: Namespace) -> dict[str, Any]:
    """Return the decoding options that the user wrote."""
    return collect_settings(options, DecodingSettings)


def add_decoding(command: ArgumentParser, samples: bool = False) -> None:
    """Add the decoding options, named as in transformers' `GenerationConfig`.

    Args:
        samples: the verb samples tokens by default, instead of decoding greedily.
    """
    if samples:
        habit = "tokens are sampled by default; --num-beams alone searches instead"
    else:
        habit = "greedy by default; --temperature, --top-p and --top-k each turn on sampling"
    group = command.add_argument_group("decoding", habit)
    add_settings(group, DecodingSettings, *_DECODING_OPTIONS)


def add_table(command: ArgumentParser) -> None:
    """Add the options that say how a table is read."""
    command.add_argument(
        "--text-column",
        metavar="NAME",
        help="column of a table that holds the texts (default: data.text_column of the run)",
    )
    command.add_argument(
        "--quoting",
        choices=get_args(Quoting),
        help="whether cells of a .csv or .tsv are quoted (default: data.quoting of the run)",
    )


def add_label(command: ArgumentParser) -> None:
    """Add the label of a conditional model."""
    command.add_argument(
        "--label",
        metavar="NAME",
        help="label of all texts, for a model trained with data.label",
    )


def add_label_column(command: ArgumentParser) -> None:
    """Add the column of a table that holds the labels."""
    command.add_argument(
        "--label-column",
        default="label",
        metavar="NAME",
        help="column of the table that holds the labels (default: %(default)s)",
    )


def add_shards(command: ArgumentParser) -> None:
    """Add the options of bulk work."""
    group = command.add_argument_group(
        "shards",
        "for millions of sentences; after an interruption, the same command continues the work",
    )
    verb = command.prog.split()[-1]
    is_encode = verb == "encode"
    shards = "a folder for Parquet files of some thousand rows each"
    if is_encode:
        what, metavar = f"a file for the vectors, or {shards}", "z.npy|z.parquet|FOLDER"
    else:
        what, metavar = shards, "FOLDER"
    group.add_argument("--output", metavar=metavar, required=is_encode, help=what)
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
        help=f"rows per file (default: {DEFAULT_SHARD_ROWS[verb]})",
    )


def describe_blank_fate(options: Namespace) -> str:
    """Return what becomes of blank rows where each row has a record, for a message."""
    return "written as null" if options.json else "written as blank lines"


def load_vae(options: Namespace) -> "TextVAE":
    """Load the run that a command names."""
    from transformers.utils import logging

    from textvae.vae import TextVAE

    logging.set_verbosity_error()
    vae = TextVAE.from_pretrained(options.run, options.device)
    if options.label is None:
        return vae
    return vae.with_label(options.label)


def open_run(options: Namespace) -> "Run":
    """Return the run that a command names."""
    from textvae.runs.run import Run

    return Run(Path(options.run))


def open_input(
    options: Namespace,
    vae: "TextVAE",
    file: str | None = None,
    *,
    label_column: str | None = None,
    columns: Sequence[str] = (),
    fate: str = LEFT_OUT,
) -> "InputRows":
    """Return the rows of a verb's file, read as its options say.

    Args:
        file: another file than the verb's `file` argument.
        label_column, columns, fate: see `InputRows`.
    """
    from textvae.cli.input import InputRows

    return InputRows(
        options.file if file is None else file,
        open_run(options),
        options.text_column,
        quoting=options.quoting,
        bundle=vae.bundle,
        label_column=label_column,
        columns=columns,
        fate=fate,
    )


def allow_shards(verb: Command) -> Command:
    """Wrap a verb so that it does bulk work when the user asks for a folder of shards."""

    def dispatch(options: Namespace) -> int | None:
        from textvae.cli import shards

        is_generate = options.verb == "generate"
        _check_shard_options(options)
        if is_generate and not options.prior and not open_run(options).is_prior_matched():
            print(_UNMATCHED_PRIOR_WARNING.format(run=options.run), file=sys.stderr)
        if not shards.asks_for_shards(options):
            return verb(options)
        record = shards.run_in_shards(options)
        # Of the processes of one launch, only the first has a record.
        print_records([record] if record else [], options.json, shards.format_shard_summary)
        return None

    return dispatch


def _check_shard_options(options: Namespace) -> None:
    """Refuse options that bulk work does not have.

    Raises:
        ConfigError: one of them is combined with --output.
    """
    if options.verb == "generate" and options.prior and options.output:
        raise ConfigError(
            "--prior and --output cannot be combined: "
            "shards are sampled from the model's own prior. Leave one of them out."
        )
    if options.label and options.output:
        raise ConfigError(
            "--label and --output cannot be combined: "
            "shards have each label as often as the training data. Leave one of them out."
        )
