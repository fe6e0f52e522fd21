"""Bulk work on the command line: when the options ask for it, and what they pass on."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textvae.bulk.reading import names_many_files
from textvae.bulk.verbs import VERBS
from textvae.bulk.work import run
from textvae.cli.settings import collect_settings
from textvae.errors import ConfigError
from textvae.uses.records import BulkRecord

_TABLE = ("file", "text_column", "quoting")


_OPTIONS = {"generate": (), "encode": _TABLE, "score": _TABLE}


_PARAMETERS = {"file": "corpus"}  # options that `textvae.bulk.work.run` calls otherwise


def asks_for_shards(options: Namespace) -> bool:
    """Return whether --output is a folder: an existing one, or a name without a suffix.

    Raises:
        ConfigError: another option asks for bulk work, but --output is not a folder.
    """
    output = options.output
    if output and (Path(output).is_dir() or output.endswith("/") or not Path(output).suffix):
        return True
    reads_many_files = options.verb != "generate" and names_many_files(options.file)
    is_bulk = "engine" in options or "shard_rows" in options or reads_many_files
    # `encode` may write one file of vectors; the others print, so a file is a mistake there.
    if is_bulk or (output and options.verb != "encode"):
        problem = f"--output {output} is a file" if output else "--output is missing"
        raise ConfigError(f"{problem}: shards go to a folder; name one, without a suffix.")
    return False


def run_in_shards(options: Namespace) -> BulkRecord | None:
    """Do the bulk work of a verb; return its record, or None in all processes but the first."""
    names = _OPTIONS[options.verb]
    arguments = {_PARAMETERS.get(name, name): getattr(options, name) for name in names}
    for name in ("n", "engine", "shard_rows"):
        if name in options:
            arguments[name] = getattr(options, name)
    return run(
        options.verb,
        options.run,
        options.output,
        device=options.device,
        progress=not options.json,
        **arguments,
        **collect_settings(options, VERBS[options.verb].Settings),
    )


def format_shard_summary(record: Mapping[str, Any]) -> str:
    """Return a line on what the folder holds now."""
    return (
        f"{record['output']}: {record['rows']:,} rows in {record['shards']:,} shards, "
        f"{record['written_now']:,} of them written now, in {record['seconds']:.1f} s"
    )
