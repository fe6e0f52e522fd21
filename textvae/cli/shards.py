"""The command line of bulk work: when it is meant, and what it then passes on."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from textvae.bulk.reading import names_many_files
from textvae.bulk.work import run
from textvae.errors import ConfigError

_TABLE = ("file", "text_column", "quoting")


def asks_for_shards(options: Namespace) -> bool:
    """Whether --output is a folder: one that stands, or a name without a suffix.

    Raises:
        ConfigError: something else asks for bulk work, but no folder is named.
    """
    output = options.output
    if output and (Path(output).is_dir() or output.endswith("/") or not Path(output).suffix):
        return True
    is_bulk = (
        options.engine
        or options.shard_rows
        or (options.verb != "generate" and names_many_files(options.file))
    )
    if is_bulk or (output and options.verb != "encode"):
        given = f"--output {output} is a file" if output else "--output is missing"
        raise ConfigError(f"{given}: shards go to a folder; name one, without a suffix.")
    return False


def run_in_shards(options: Namespace, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Do the bulk work of a verb and return its record; `settings` are decoding options."""
    asked = {"generate": ("n",), "encode": _TABLE, "score": (*_TABLE, "samples", "seed")}
    names = {"n": "count", "file": "corpus"}
    given = {names.get(name, name): getattr(options, name) for name in asked[options.verb]}
    return run(
        options.verb,
        options.run,
        options.output,
        engine=options.engine or "accelerate",
        shard_rows=options.shard_rows,
        device=options.device,
        progress=not options.json,
        **given,
        **settings,
    )


def format_shard_summary(record: dict[str, Any]) -> str:
    """Show what stands at the end."""
    words = "{output}: {rows:,} rows in {shards:,} shards, {written_now:,} of them written now, in {seconds:.1f} s"
    return words.format(**record)
