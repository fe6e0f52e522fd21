"""Small corpora for tests: sentences in files of every format, and their prepared splits."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from datasets import Dataset

from textvae.data.corpus import open_split, prepare_splits
from textvae.data.settings import DataSettings
from textvae.data.sources import RowSource, find_splits
from textvae.data.tables import TableSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.schema import validate_settings

ANIMALS = ["cat", "dog", "bird", "old horse", "small grey mouse"]
SENTENCES = [f"the {animal} number {n} sleeps" for n in range(4) for animal in ANIMALS]
TRICKY = [
    "a 👩‍👩‍👧 at “home”",
    "שלום עולם, 42",
    "مرحبا بالعالم",
    "naïve café – déjà vu",
    "tabs, 'quotes' and \\n",
]
LINES = "\n".join(SENTENCES) + "\n"


def write(file: Path, content: str | bytes) -> str:
    """Write a file and its folder; gzip it if its name ends in .gz."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return str(file)


def write_table(file: Path, sentences: list[str], **columns: list[Any]) -> str:
    """Write sentences and further columns as a table, in the format of the file's name."""
    rows = [
        dict(zip(["text", *columns], row, strict=True))
        for row in zip(sentences, *columns.values(), strict=True)
    ]
    kind = file.suffixes[0]
    if kind == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), file)
        return str(file)
    if kind == ".jsonl":
        return write(file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    if kind == ".json":
        return write(file, json.dumps(rows))
    sign, quote = ("\t", "") if kind == ".tsv" else (",", '"')
    lines = [
        sign.join(rows[0]),
        *(sign.join(f"{quote}{value}{quote}" for value in row.values()) for row in rows),
    ]
    return write(file, "\n".join(lines) + "\n")


def texts(corpus: str, split: str = "train", **settings: Any) -> list[str]:
    """Return the raw texts of one split of a corpus, read as the settings of tables say."""
    return [row["text"] for row in find_splits(corpus, TableSettings(**settings))[split]()]


def prepared(
    folder: Path,
    corpus: str | None,
    kind: str = "byte",
    seed: int = 1,
    splits: Mapping[str, RowSource] | None = None,
    **settings: Any,
) -> tuple[dict[str, Any], dict[str, Dataset]]:
    """Prepare a corpus in `folder`; return its counts and splits."""
    data = validate_settings(DataSettings, {"corpus": corpus, **settings}, "data")
    tokenizer_settings = TokenizerSettings(kind=kind, min_frequency=1)
    _, counts = prepare_splits(
        data, seed, folder, lambda sentences: build_tokenizer(tokenizer_settings, sentences), splits
    )
    return counts, {split: open_split(folder, split) for split in ("train", "validation", "test")}
