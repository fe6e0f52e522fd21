"""What is done with a unit: its rows in, a table out."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from textvae.bulk.reading import Reader
from textvae.bulk.units import Unit, seed_of
from textvae.data.tokenization import encode_batch
from textvae.data.vector_files import vector_column
from textvae.inference.decoding import Decoding
from textvae.schema import StrictSettings
from textvae.uses.score import ScoreSettings
from textvae.vae import TextVAE

Work = Callable[[TextVAE, Unit, Reader, StrictSettings], pa.Table]


class EncodeSettings(StrictSettings):
    """Nothing to set."""


def rows_of_unit(unit: Unit, reader: Reader) -> tuple[dict[str, pa.Array], list[str]]:
    """Return the columns that say where each sentence comes from, and the sentences."""
    rows = reader(unit)
    numbers, texts = [number for number, _ in rows], [text for _, text in rows]
    files = pa.array([unit.file] * len(rows), pa.string())
    return {"file": files, "row": pa.array(numbers, pa.int64()), "text": pa.array(texts, pa.string())}, texts


def encode(vae: TextVAE, unit: Unit, reader: Reader, settings: StrictSettings) -> pa.Table:
    """Return file, row, text, `z`, the posterior mean, and `is_cut`: whether only the beginning was read."""
    columns, texts = rows_of_unit(unit, reader)
    is_cut = [len(ids) > vae.bundle.room for ids in encode_batch(vae.tokenizer, texts)]
    return pa.table({**columns, "z": vector_column(vae.encode(texts)), "is_cut": pa.array(is_cut, pa.bool_())})


NUMBERS = ("elbo", "reconstruction", "kl", "iw_nll", "iw_nll_stderr")


SCORES = pa.schema(
    [
        *((name, pa.float64()) for name in NUMBERS),
        ("surprisal", pa.list_(pa.float32())),
        ("words", pa.int32()),
        ("tokens", pa.int32()),
        ("is_cut", pa.bool_()),
    ]
)


def score(vae: TextVAE, unit: Unit, reader: Reader, settings: StrictSettings) -> pa.Table:
    """Return file, row, text and what `TextVAE.score` says of each; draws are the unit's own."""
    assert isinstance(settings, ScoreSettings)
    columns, texts = rows_of_unit(unit, reader)
    records = pa.Table.from_pylist(vae.score(texts, settings.samples, seed_of(unit, settings.seed)), schema=SCORES)
    return pa.table({**columns, **dict(zip(SCORES.names, records.columns, strict=True))})


def generate(vae: TextVAE, unit: Unit, reader: Reader, settings: StrictSettings) -> pa.Table:
    """Return row, the unit's seed and text: what `TextVAE.generate` writes with that seed."""
    assert isinstance(settings, Decoding)
    seed = seed_of(unit, settings.seed)
    texts = vae.generate(unit.rows, **{**settings.model_dump(), "seed": seed})
    rows = pa.array(range(unit.first + 1, unit.first + unit.rows + 1), pa.int64())
    return pa.table(
        {"row": rows, "seed": pa.array([seed] * unit.rows, pa.int64()), "text": pa.array(texts, pa.string())}
    )


@dataclass(frozen=True)
class Verb:
    """A kind of bulk work.

    Attributes:
        shard_rows: rows in a shard by default: some seconds to some minutes of work.
    """

    work: Work
    Settings: type[StrictSettings]
    shard_rows: int
    reads_files: bool = True


VERBS: dict[str, Verb] = {
    "encode": Verb(encode, EncodeSettings, 32_768),
    "score": Verb(score, ScoreSettings, 1024),
    "generate": Verb(generate, Decoding, 8192, reads_files=False),
}
