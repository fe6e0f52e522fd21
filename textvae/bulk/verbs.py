"""What is done with a unit: its rows in, a table out."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from textvae.bulk.reading import UnitReader
from textvae.bulk.units import Unit, derive_unit_seed
from textvae.data.tokenization import encode_batch
from textvae.data.vector_files import build_vector_column
from textvae.inference.decoding import DecodingSettings
from textvae.schema import StrictSettings
from textvae.uses.score import ScoreSettings
from textvae.vae import TextVAE

_UnitFunction = Callable[[TextVAE, Unit, UnitReader, StrictSettings], pa.Table]


class EncodeSettings(StrictSettings):
    """Nothing to set."""


def _read_unit_rows(unit: Unit, reader: UnitReader) -> tuple[dict[str, pa.Array], list[str]]:
    """Return the columns that say where each sentence comes from, and the sentences."""
    rows = reader(unit)
    numbers, texts = [number for number, _ in rows], [text for _, text in rows]
    files = pa.array([unit.file] * len(rows), pa.string())
    return {
        "file": files,
        "row": pa.array(numbers, pa.int64()),
        "text": pa.array(texts, pa.string()),
    }, texts


def _encode_unit(
    vae: TextVAE, unit: Unit, reader: UnitReader, settings: StrictSettings
) -> pa.Table:
    """Return file, row, text, `z`, the posterior mean, and `is_cut`: whether only the beginning was read."""
    columns, texts = _read_unit_rows(unit, reader)
    is_cut = [len(ids) > vae.bundle.max_text_tokens for ids in encode_batch(vae.tokenizer, texts)]
    return pa.table(
        {
            **columns,
            "z": build_vector_column(vae.encode(texts)),
            "is_cut": pa.array(is_cut, pa.bool_()),
        }
    )


_FLOAT_SCORE_KEYS = ("elbo", "reconstruction", "kl", "iw_nll", "iw_nll_stderr")


_SCORE_SCHEMA = pa.schema(
    [
        *((name, pa.float64()) for name in _FLOAT_SCORE_KEYS),
        ("surprisal", pa.list_(pa.float32())),
        ("words", pa.int32()),
        ("tokens", pa.int32()),
        ("is_cut", pa.bool_()),
    ]
)


def _score_unit(vae: TextVAE, unit: Unit, reader: UnitReader, settings: StrictSettings) -> pa.Table:
    """Return file, row, text and what `TextVAE.score` says of each; draws are the unit's own."""
    assert isinstance(settings, ScoreSettings)
    columns, texts = _read_unit_rows(unit, reader)
    records = pa.Table.from_pylist(
        vae.score(texts, settings.samples, derive_unit_seed(unit, settings.seed)),
        schema=_SCORE_SCHEMA,
    )
    return pa.table({**columns, **dict(zip(_SCORE_SCHEMA.names, records.columns, strict=True))})


def _generate_unit(
    vae: TextVAE, unit: Unit, reader: UnitReader, settings: StrictSettings
) -> pa.Table:
    """Return row, the unit's seed and text: what `TextVAE.generate` writes with that seed."""
    assert isinstance(settings, DecodingSettings)
    seed = derive_unit_seed(unit, settings.seed)
    texts = vae.generate(unit.rows, **{**settings.model_dump(), "seed": seed})
    rows = pa.array(range(unit.first + 1, unit.first + unit.rows + 1), pa.int64())
    return pa.table(
        {
            "row": rows,
            "seed": pa.array([seed] * unit.rows, pa.int64()),
            "text": pa.array(texts, pa.string()),
        }
    )


@dataclass(frozen=True)
class _BulkVerb:
    """A kind of bulk work.

    Attributes:
        shard_rows: rows in a shard by default: some seconds to some minutes of work.
    """

    work: _UnitFunction
    Settings: type[StrictSettings]
    shard_rows: int
    reads_files: bool = True


VERBS: dict[str, _BulkVerb] = {
    "encode": _BulkVerb(_encode_unit, EncodeSettings, 32_768),
    "score": _BulkVerb(_score_unit, ScoreSettings, 1024),
    "generate": _BulkVerb(_generate_unit, DecodingSettings, 8192, reads_files=False),
}
