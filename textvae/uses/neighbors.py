"""Neighbors: the sentences of a corpus whose latents are nearest to a text's.

An index is a folder: the sentences with their posterior means in an Arrow file,
mapped and not loaded, and FAISS's index over them (Johnson et al. 2017,
arXiv:1702.08734), both by way of `datasets`. It belongs to the model that made it.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, disable_progress_bars

from textvae.data.arrow import write_record_batches
from textvae.errors import CheckpointError, ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import check_not_blank, encode, iterate_posteriors
from textvae.runs.fitted import read_fitted_record, stage_fitted_folder
from textvae.runtime.extras import check_installed

_INDEX_KIND = "index"


ROWS_FILE, FAISS_FILE = "rows.arrow", "vectors.faiss"


_INNER_PRODUCT_METRIC = 0  # faiss.METRIC_INNER_PRODUCT: of unit vectors, the cosine


_EXACT_FACTORY = "Flat"  # every vector is compared; for the others see FAISS's index factory


_MAX_TRAINING_VECTORS = 2**18  # the most vectors that an index which must be trained is trained on


def index(
    bundle: Bundle,
    texts: Iterable[str],
    folder: str | Path,
    factory: str = _EXACT_FACTORY,
    progress: bool = False,
) -> int:
    """Index texts as they come, by the direction of their posterior means; return how many there are.

    Each keeps its row, the place among `texts` counted from 1. Blank texts have no meaning to be near to, and are
    left out.

    Args:
        factory: the kind of index in FAISS's own words: exact, or `HNSW32` for many millions.

    Raises:
        ConfigError: FAISS is not installed, or does not know the factory.
        DataError: there is no text, or too few for the factory.
        OutputError: something else stands in the folder's place.
    """
    check_installed("uses", "indices", "faiss")
    record: dict[str, Any] = {"factory": factory, "latent_dim": int(bundle.model.config.latent_dim)}
    _check_factory(factory, record["latent_dim"])
    with stage_fitted_folder(folder, bundle, _INDEX_KIND, record) as staging:
        write_record_batches(
            _iterate_index_rows(bundle, texts, progress),
            staging / ROWS_FILE,
            _build_index_schema(record["latent_dim"]),
        )
        dataset = Dataset.from_file(str(staging / ROWS_FILE))
        if not len(dataset):
            raise DataError("there is no text to index; give at least one.")
        disable_progress_bars()  # there is one of ours already
        dataset = dataset.with_format("numpy")
        try:
            learners = min(len(dataset), _MAX_TRAINING_VECTORS)
            dataset.add_faiss_index(
                "vector",
                string_factory=factory,
                metric_type=_INNER_PRODUCT_METRIC,
                train_size=learners,
            )
        except RuntimeError:
            raise DataError(
                f"factory = {factory!r}: FAISS cannot build it from {len(dataset)} texts; give more, or take {_EXACT_FACTORY}."
            ) from None
        dataset.save_faiss_index("vector", str(staging / FAISS_FILE))
        record["sentences"] = len(dataset)
    return int(record["sentences"])


def _check_factory(factory: str, latent: int) -> None:
    """Refuse a kind of index before anything is read.

    Raises:
        ConfigError: FAISS knows none such.
    """
    import faiss

    try:
        faiss.index_factory(latent, factory, _INNER_PRODUCT_METRIC)
    except RuntimeError:
        raise ConfigError(
            f"factory = {factory!r} is no index that FAISS makes of {latent} numbers: Flat is exact, HNSW32 or "
            "IVF1024,Flat are for many millions."
        ) from None


def _build_index_schema(latent: int) -> pa.Schema:
    """Return the columns of an index: a text, its row and its unit vector."""
    return pa.schema(
        {"row": pa.int64(), "text": pa.string(), "vector": pa.list_(pa.float32(), latent)}
    )


def _iterate_index_rows(
    bundle: Bundle, texts: Iterable[str], progress: bool
) -> Iterator[pa.RecordBatch]:
    """Yield blocks of texts with their unit vectors."""
    latent, count = int(bundle.model.config.latent_dim), 0
    for block, q in iterate_posteriors(bundle, texts, progress=progress):
        places = [place for place, text in enumerate(block) if text.strip()]
        numbers = pa.array([count + place + 1 for place in places], pa.int64())
        flat = pa.array(normalize_vectors(q.mean.numpy()[places]).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, latent)
        yield pa.record_batch(
            [numbers, pa.array([block[place] for place in places]), vectors],
            _build_index_schema(latent),
        )
        count += len(block)


def normalize_vectors(vectors: Any) -> Any:
    """Return vectors, (n, latent), of length one: neighbors are those of like direction."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)


class NeighborIndex:
    """An index that stands on disk, ready to be asked.

    Raises:
        CheckpointError: it is missing, damaged, or was built by another model.
    """

    def __init__(self, bundle: Bundle, folder: str | Path) -> None:
        check_installed("uses", "indices", "faiss")
        self.bundle, path = bundle, Path(folder)
        self.count = int(read_fitted_record(path, bundle, _INDEX_KIND)["sentences"])
        try:
            self.dataset = Dataset.from_file(str(path / ROWS_FILE)).with_format("numpy")
            self.dataset.load_faiss_index("vector", str(path / FAISS_FILE))
        except (OSError, RuntimeError, pa.ArrowInvalid) as error:
            raise CheckpointError(
                f"{path}: is damaged ({str(error).splitlines()[0]}); build it again."
            ) from error
        if "row" not in self.dataset.column_names:
            raise CheckpointError(
                f"{path}: was built by an earlier version, without rows; build it again."
            )

    def neighbors(self, texts: Sequence[str], k: int = 5) -> list[list[dict[str, Any]]]:
        """Return the `k` nearest sentences of each text, nearest first: `row`, `text` and cosine `similarity`.

        Raises:
            ConfigError: `k` is not from 1 to the number of sentences.
            DataError: a text is blank.
        """
        if not 1 <= k <= self.count:
            raise ConfigError(
                f"k = {k}: this index holds {self.count} sentences; wanted is a number from 1 to that."
            )
        if not texts:
            return []
        check_not_blank(*texts)
        asked = normalize_vectors(encode(self.bundle, texts))
        scores, found = self.dataset.get_nearest_examples_batch("vector", asked, k=k)
        return [
            [
                {"row": int(row), "text": str(text), "similarity": float(score)}
                for row, text, score in zip(near["row"], near["text"], close, strict=True)
            ]
            for near, close in zip(found, scores, strict=True)
        ]
