"""A small corpus with several kinds of files, and helpers that read shards."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.tiny_run import SENTENCES
from textvae import bulk

ROWS = 7  # per shard


def write_files(folder: Path) -> Path:
    """Write the sentences to three files; the third row of the first one is blank."""
    folder.mkdir()
    (folder / "a.txt").write_text("\n".join([*SENTENCES[:2], "", *SENTENCES[2:20]]) + "\n")
    (folder / "b.txt.gz").write_bytes(gzip.compress("\n".join(SENTENCES[20:45]).encode()))
    lines = [json.dumps({"text": text}) + "\n" for text in SENTENCES[45:60]]
    (folder / "c.jsonl").write_text("".join(lines))
    (folder / "notes.md").write_text("not read\n")
    return folder


def rows_in(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all shards of a folder, which pyarrow reads as one table."""
    rows: list[dict[str, Any]] = pq.read_table(folder).to_pylist()
    return rows


def work(
    verb: str, model: Path, output: Path, corpus: Path | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Run a bulk job on the CPU with small shards and return all rows."""
    source = {} if corpus is None else {"corpus": str(corpus)}
    settings: dict[str, Any] = {"shard_rows": ROWS, **source, **options}
    bulk.run(verb, model, output, device="cpu", **settings)
    return rows_in(output)
