"""A small corpus of several kinds of files, and the rows that shards hold."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq

from tests.tiny_run import SENTENCES
from textvae import bulk

ROWS = 7  # a shard


def write_files(folder: Path) -> Path:
    """Write the sentences to three files; the first has a blank line in its third row."""
    folder.mkdir()
    (folder / "a.txt").write_text("\n".join([*SENTENCES[:2], "", *SENTENCES[2:20]]) + "\n")
    (folder / "b.txt.gz").write_bytes(gzip.compress("\n".join(SENTENCES[20:45]).encode()))
    (folder / "c.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in SENTENCES[45:60])
    )
    (folder / "notes.md").write_text("not read\n")
    return folder


def rows_in(folder: Path) -> list[dict]:
    """Return the rows of all shards; the folder reads as one table."""
    return pq.read_table(folder).to_pylist()


def work(verb: str, model: Path, output: Path, corpus: Path | None = None, **more) -> list[dict]:
    """Do bulk work on the CPU in small shards and return all rows."""
    given = {} if corpus is None else {"corpus": str(corpus)}
    bulk.run(verb, model, output, device="cpu", **{"shard_rows": ROWS, **given, **more})
    return rows_in(output)
