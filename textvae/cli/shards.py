"""Bulk work on the command line: do the work of a verb in shards if its options ask for that."""

import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textvae.cli.arguments import Command, collect_table_options
from textvae.cli.loading import find_run_folder, open_run
from textvae.cli.output import print_records
from textvae.cli.settings import collect_settings
from textvae.errors import ConfigError
from textvae.terminal import escape_controls
from textvae.uses.records import BulkRecord

_UNMATCHED_PRIOR_WARNING = (
    "warning: training did not match this run's latents to its prior, "
    "so samples from the prior do not lie where its sentences do."
)
# A prior cannot be fitted to the latents of a conditional model.
_FIT_PRIOR_ADVICE = (
    "\nFit a prior to the latents: textvae prior fit {run}; then add --prior KIND to generate"
)

# The verbs whose bulk work reads a file.
_READING_VERBS = ("encode", "score")


def allow_shards(verb: Command) -> Command:
    """Wrap a verb so that it does bulk work when the user asks for a folder of shards."""

    def dispatch(options: Namespace) -> int | None:
        _check_shard_options(options)
        _warn_of_unmatched_prior(options)
        if not _asks_for_shards(options):
            return verb(options)
        record = _run_in_shards(options)
        # Of the processes of one launch, only the first has a record.
        print_records([record] if record else [], options.json, _format_shard_summary)
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
    if "num_return_sequences" in options and options.output:
        raise ConfigError(
            "--num-return-sequences and --output cannot be combined: each row of a shard has one "
            "text. Leave one of them out."
        )
    if options.label and options.output:
        raise ConfigError(
            "--label and --output cannot be combined: "
            "bulk work cannot use one label for all texts. Leave one of them out."
        )


def _warn_of_unmatched_prior(options: Namespace) -> None:
    """Warn of `generate` with the model's own prior, if training did not match the latents to it."""
    if options.verb != "generate" or options.prior:
        return
    run = open_run(options)
    if run.is_prior_matched():
        return
    warning = _UNMATCHED_PRIOR_WARNING
    if run.read_settings().data.label is None and not options.output:  # shards have no --prior
        warning += _FIT_PRIOR_ADVICE.format(run=escape_controls(options.run))
    print(warning, file=sys.stderr)


def _asks_for_shards(options: Namespace) -> bool:
    """Return whether --output is a folder: an existing one, or a name without a suffix.

    Raises:
        ConfigError: another option asks for bulk work, but --output is not a folder.
    """
    output = options.output
    if output and (Path(output).is_dir() or output.endswith("/") or not Path(output).suffix):
        return True
    is_bulk = "engine" in options or "shard_rows" in options
    if options.verb != "generate":
        from textvae.bulk.reading import names_many_files

        is_bulk = is_bulk or names_many_files(options.file)
    # `encode` may write one file of vectors; the others print, so a file is a mistake there.
    if is_bulk or (output and options.verb != "encode"):
        problem = f"--output {output} is a file" if output else "--output is missing"
        raise ConfigError(f"{problem}: shards go to a folder; name one, without a suffix.")
    return False


def _run_in_shards(options: Namespace) -> BulkRecord | None:
    """Do the bulk work of a verb; return its record, or None in all processes but the first."""
    from textvae.bulk.verbs import VERBS
    from textvae.bulk.work import run

    arguments: dict[str, Any] = {}
    if options.verb in _READING_VERBS:
        arguments = {"corpus": options.file, "tables": collect_table_options(options)}
    for name in ("n", "engine", "shard_rows"):  # absent unless the user wrote them
        if name in options:
            arguments[name] = getattr(options, name)
    return run(
        options.verb,
        find_run_folder(options),
        options.output,
        device=options.device,
        progress=not options.json,
        **arguments,
        **collect_settings(options, VERBS[options.verb].Settings),
    )


def _format_shard_summary(record: Mapping[str, Any]) -> str:
    """Return a line on what the folder holds now."""
    return (
        f"{record['output']}: {record['rows']:,} rows in {record['shards']:,} shards, "
        f"{record['written_now']:,} of them written now, in {record['seconds']:.1f} s"
    )
