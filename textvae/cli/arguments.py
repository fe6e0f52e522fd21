"""What the verbs share: the arguments many take, loading a run, printing.

Results go to standard output, all else to standard error. With `--json` each
line of standard output is one JSON object.
"""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

from textvae.cli.output import print_records
from textvae.data.tables import Quoting
from textvae.errors import ConfigError

if TYPE_CHECKING:
    from textvae.runs.run import Run
    from textvae.vae import TextVAE

Subparsers: TypeAlias = "_SubParsersAction[ArgumentParser]"  # what a verb is added to


Command = Callable[[Namespace], int | None]  # what it returns is the exit code, if not 0


_UNMATCHED_PRIOR_WARNING = (
    "nothing drew this run's latents to its prior in training, so draws from it are not where its sentences are;\n"
    "fit one there: textvae prior fit {run}; then add --prior KIND to generate"
)


_DECODING_OPTIONS = ("temperature", "top_p", "top_k", "num_beams", "max_new_tokens", "seed")


def add_run(command: ArgumentParser) -> None:
    """Add what every verb on a trained run takes."""
    command.add_argument("run", metavar="RUN", help="a folder that `textvae train` wrote")
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")
    command.set_defaults(label=None)
    command.add_argument(
        "--json", action="store_true", help="print one JSON object a line, and nothing else"
    )


def add_decoding(command: ArgumentParser) -> None:
    """Add the decoding options, named as in transformers' `GenerationConfig`."""
    group = command.add_argument_group("decoding")
    group.add_argument("--temperature", type=float)
    group.add_argument("--top-p", type=float)
    group.add_argument("--top-k", type=int)
    group.add_argument("--num-beams", type=int)
    group.add_argument("--max-new-tokens", type=int)
    group.add_argument("--seed", type=int, default=0)


def add_table(command: ArgumentParser) -> None:
    """Add how a table is read."""
    command.add_argument(
        "--text-column", metavar="NAME", help="of tables (default: as the run was trained)"
    )
    command.add_argument(
        "--quoting",
        choices=get_args(Quoting),
        help="of a .csv or .tsv, data.quoting (default: as the run was trained)",
    )


def add_label(command: ArgumentParser) -> None:
    """Add the label of a conditional model."""
    command.add_argument(
        "--label", metavar="NAME", help="of a model trained with data.label: what the text is"
    )


def add_shards(command: ArgumentParser) -> None:
    """Add the options of bulk work."""
    group = command.add_argument_group(
        "shards, for millions of sentences: a killed run goes on with the same command"
    )
    needed = command.prog.endswith("encode")
    what = "z.npy|z.parquet|FOLDER" if needed else "FOLDER"
    group.add_argument(
        "--output",
        metavar=what,
        required=needed,
        help="FOLDER: a Parquet file each some thousand rows",
    )
    group.add_argument(
        "--engine", metavar="accelerate|ray", help="who does the work (default: accelerate)"
    )
    group.add_argument("--shard-rows", type=int, metavar="N", help="rows a file")


def describe_blank_fate(options: Namespace) -> str:
    """Return what becomes of blank rows where each row has a record, for a message."""
    return "written as null" if options.json else "written as blank lines"


def load_vae(options: Namespace) -> "TextVAE":
    """Load the run a command names."""
    from transformers.utils import logging

    from textvae.vae import TextVAE

    logging.set_verbosity_error()
    vae = TextVAE.from_pretrained(options.run, options.device)
    return vae if options.label is None else vae.with_label(options.label)


def open_run(options: Namespace) -> "Run":
    """Return the run a command names."""
    from textvae.runs.run import Run

    return Run(Path(options.run))


def collect_decoding_options(options: Namespace) -> dict[str, Any]:
    """Return the decoding options that were given."""
    return {
        name: getattr(options, name)
        for name in _DECODING_OPTIONS
        if getattr(options, name) is not None
    }


def require_positive(value: int, name: str) -> int:
    """Return a count, or refuse it.

    Raises:
        ConfigError: it is not positive.
    """
    if value < 1:
        raise ConfigError(f"{name} = {value}: wanted is a number from 1.")
    return value


def allow_shards(verb: Command) -> Command:
    """Return the verb, that does bulk work where a folder of shards is asked for."""

    def either(options: Namespace) -> int | None:
        from textvae.cli import shards as command

        if options.verb == "generate" and options.prior and options.output:
            raise ConfigError(
                "--prior and --output do not go together yet: shards come from the model's own."
            )
        if options.label and options.output:
            raise ConfigError(
                "--label and --output do not go together yet: shards have each label as often as training."
            )
        if (
            options.verb == "generate"
            and not options.prior
            and not open_run(options).is_prior_matched()
        ):
            print(_UNMATCHED_PRIOR_WARNING.format(run=options.run), file=sys.stderr)
        if not command.asks_for_shards(options):
            return verb(options)
        record = command.run_in_shards(
            options, collect_decoding_options(options) if options.verb == "generate" else {}
        )
        print_records([record] if record else [], options.json, command.format_shard_summary)
        return None

    return either
