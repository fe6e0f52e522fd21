"""The verbs of bulk jobs (encode, score, generate): each turns a unit into a table."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from textvae.bulk.reading import UnitReader
from textvae.bulk.units import Unit, derive_unit_seed
from textvae.data.tokenization import encode_texts
from textvae.data.vector_files import build_vector_column
from textvae.inference.settings import BulkDecodingSettings
from textvae.schema import StrictSettings
from textvae.uses.settings import ScoreSettings
from textvae.vae import TextVAE

# Turns a unit into the table of its shard. The reader is not used where sentences are generated.
_UnitFunction = Callable[[TextVAE, Unit, UnitReader, StrictSettings], pa.Table]

_FLOAT_SCORE_KEYS = (
    "elbo",
    "elbo_stderr",
    "reconstruction",
    "kl",
    "iw_nll",
    "iw_nll_stderr",
    "iw_ess",
)

_SCORE_SCHEMA = pa.schema(
    [
        *((name, pa.float64()) for name in _FLOAT_SCORE_KEYS),
        ("surprisal", pa.list_(pa.float32())),
        ("words", pa.int32()),
        ("tokens", pa.int32()),
        ("is_cut", pa.bool_()),
    ]
)


class EncodeSettings(StrictSettings):
    """`encode` has no settings."""


def _encode_unit(
    vae: TextVAE, unit: Unit, reader: UnitReader, settings: StrictSettings
) -> pa.Table:
    """Return file, row, text, `z` and `is_cut` of each sentence.

    `z` is the posterior mean; `is_cut` marks sentences longer than the model
    reads, of which only the beginning is encoded.
    """
    columns, texts = _read_unit_rows(unit, reader)
    is_cut = [len(ids) > vae.bundle.max_text_tokens for ids in encode_texts(vae.tokenizer, texts)]
    return pa.table(
        {
            **columns,
            "z": build_vector_column(vae.encode(texts)),
            "is_cut": pa.array(is_cut, pa.bool_()),
        }
    )


def _score_unit(vae: TextVAE, unit: Unit, reader: UnitReader, settings: StrictSettings) -> pa.Table:
    """Return file, row, text and the result of `TextVAE.score` for each sentence."""
    assert isinstance(settings, ScoreSettings)
    columns, texts = _read_unit_rows(unit, reader)
    # Each sentence has a seed of its own, so a sentence has one score, in whatever unit it is.
    # Without the schema, a column whose values are all null would have another type in this
    # shard than in the others.
    scores = pa.Table.from_pylist(
        vae.score(texts, samples=settings.samples, seed=settings.seed), schema=_SCORE_SCHEMA
    )
    return pa.table({**columns, **dict(zip(_SCORE_SCHEMA.names, scores.columns, strict=True))})


def _generate_unit(
    vae: TextVAE, unit: Unit, reader: UnitReader, settings: StrictSettings
) -> pa.Table:
    """Return row, seed and text of each sentence generated with the unit's seed."""
    assert isinstance(settings, BulkDecodingSettings)
    seed = derive_unit_seed(unit, settings.seed)
    texts = vae.generate(unit.rows, **{**settings.model_dump(), "seed": seed})
    numbers = range(unit.first_row + 1, unit.first_row + unit.rows + 1)
    return pa.table(
        {
            "row": pa.array(numbers, pa.int64()),
            "seed": pa.array([seed] * unit.rows, pa.int64()),
            "text": pa.array(texts, pa.string()),
        }
    )


def _read_unit_rows(unit: Unit, reader: UnitReader) -> tuple[dict[str, pa.Array], list[str]]:
    """Return the columns file, row and text of a unit, and its sentences as a list."""
    rows = reader(unit)
    numbers = [number for number, _ in rows]
    texts = [text for _, text in rows]
    columns = {
        "file": pa.array([unit.file] * len(rows), pa.string()),
        "row": pa.array(numbers, pa.int64()),
        "text": pa.array(texts, pa.string()),
    }
    return columns, texts


@dataclass(frozen=True)
class _BulkVerb:
    """A verb that can run as a bulk job.

    Attributes:
        function: makes the table of a unit.
        Settings: the class of the verb's settings.
        reads_files: whether the verb needs a corpus.
        format: the format of the shards. In format 1, rows were counted from 0 and there was no
            `is_cut`. In format 2, scores had neither `elbo_stderr` nor `iw_ess`, and their noise
            depended on the unit.
    """

    function: _UnitFunction
    Settings: type[StrictSettings]
    reads_files: bool = True
    format: int = 2


VERBS: dict[str, _BulkVerb] = {
    "encode": _BulkVerb(_encode_unit, EncodeSettings),
    "score": _BulkVerb(_score_unit, ScoreSettings, format=3),
    "generate": _BulkVerb(_generate_unit, BulkDecodingSettings, reads_files=False),
}
