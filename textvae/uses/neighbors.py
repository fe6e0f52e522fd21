"""Neighbors: find the sentences of a corpus that are nearest to a text in the model's view.

What is compared is the direction of posterior means, or of the encoder's pooled states,
which are wider. An index is a folder with two files: the sentences with their vectors in an
Arrow file, which is memory-mapped and not loaded, and a FAISS index over the vectors
(Johnson et al. 2017, arXiv:1702.08734). `datasets` reads and writes both. An index
belongs to the model that built it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
from datasets import Dataset
from tqdm import tqdm

from textvae.data.arrow import write_record_batches
from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import check_not_blank, require_latent
from textvae.messages import print_note
from textvae.runs.fitted import explain_damage, read_fitted_record, stage_fitted_folder
from textvae.runtime.extras import check_installed
from textvae.runtime.files import compute_checksum
from textvae.runtime.libraries import hide_datasets_bars
from textvae.terminal import is_bar_hidden, quote_value
from textvae.uses.features import FEATURES, features
from textvae.uses.records import Neighbor
from textvae.uses.settings import IndexedVectors, IndexSettings

INDEX_KIND = "index"

ROWS_FILE = "rows.arrow"
_DAMAGED = "this index is damaged"
FAISS_FILE = "vectors.faiss"

_INNER_PRODUCT_METRIC = 0  # faiss.METRIC_INNER_PRODUCT; for unit vectors it is the cosine
_EXACT_FACTORY = "Flat"  # compares with every vector; FAISS's index factory lists the others
_MAX_TRAINING_VECTORS = 2**18  # for the kinds of index that must be trained
_SENTENCES_PER_BLOCK = 4096  # encoded and written together

_ORIGIN_OF_ERROR = re.compile(r"^Error in .* at \S+:\d+: ", re.DOTALL)  # in FAISS's messages


def index(
    bundle: Bundle,
    texts: Iterable[str],
    folder: str | Path,
    settings: IndexSettings,
    progress: bool = False,
) -> int:
    """Index texts by the direction of their vectors; return how many were indexed.

    Texts are read as a stream. Each keeps its row, which is its position among `texts`
    counted from 1. Blank texts are left out because they have no meaning to compare.

    Raises:
        ConfigError: FAISS is not installed, does not know the factory or cannot add vectors to
            such an index, or the model is a language model.
        DataError: there is no text, or there are too few for the factory.
        OutputError: the folder exists and is not an index.
    """
    check_installed("neighbors", "indices", "faiss")
    require_latent(bundle)
    width = FEATURES[settings.vectors].width(bundle.model)
    record: dict[str, Any] = {**settings.model_dump(), "width": width}
    _check_factory(settings.factory, width)
    with stage_fitted_folder(folder, bundle, INDEX_KIND, record) as staging:
        rows = _iterate_index_rows(bundle, texts, settings.vectors, width, progress)
        write_record_batches(rows, staging / ROWS_FILE, _build_index_schema(width))
        dataset = Dataset.from_file(str(staging / ROWS_FILE))
        if not len(dataset):
            raise DataError("there is no text to index; give at least one that is not blank.")
        _write_faiss_index(dataset, settings.factory, staging / FAISS_FILE)
        # The record is written when the block ends, so it may still change here.
        record["sentences"] = len(dataset)
        record["checksum"] = compute_checksum(staging / FAISS_FILE)
    return int(record["sentences"])


class NeighborIndex:
    """An index on disk, opened for searching.

    Attributes:
        sentence_count: how many sentences it contains.

    Raises:
        CheckpointError: it is missing, damaged, or was built by another model.
    """

    folder: Path

    def __init__(self, bundle: Bundle, folder: str | Path) -> None:
        check_installed("neighbors", "indices", "faiss")
        self.bundle = bundle
        path = Path(folder)
        self.folder = path
        record = read_fitted_record(path, bundle, INDEX_KIND)
        with explain_damage(path, _DAMAGED):
            self.sentence_count = int(record["sentences"])
            self._factory = record.get("factory", _EXACT_FACTORY)
            # An index of an earlier version does not say, and has the means.
            self.vectors: IndexedVectors = record.get("vectors", "mean")
            if self.vectors not in get_args(IndexedVectors):
                raise ValueError("its record names unknown vectors")
            self.dataset = Dataset.from_file(str(path / ROWS_FILE)).with_format("numpy")
            # FAISS would believe the sizes in a damaged file, and allocate them. An index of an
            # earlier version has no checksum.
            checksum = compute_checksum(path / FAISS_FILE)
            if record.get("checksum", checksum) != checksum:
                raise ValueError(f"{FAISS_FILE} has changed")
            self.dataset.load_faiss_index("vector", str(path / FAISS_FILE))
            self._check_files()

    def _check_files(self) -> None:
        """Check that record, rows and index belong together.

        Raises:
            ValueError: they differ in columns, number of sentences or size of the vectors.
        """
        width = FEATURES[self.vectors].width(self.bundle.model)
        expected = _build_index_schema(width)
        found = self.dataset.features.arrow_schema.remove_metadata()
        if found.names != expected.names or found.types != expected.types:
            raise ValueError(f"{ROWS_FILE} has other columns than expected")
        searched = self.dataset.get_index("vector").faiss_index
        counts = {len(self.dataset), self.sentence_count, int(searched.ntotal)}
        if len(counts) > 1 or searched.d != width:
            raise ValueError("its files do not belong together")

    def neighbors(self, texts: Sequence[str], k: int = 5) -> list[list[Neighbor]]:
        """Return the `k` nearest sentences of each text, nearest first.

        Keys: `row` (counted from 1), `text` and `similarity` (the cosine of the vectors). An
        index that is not exact may find fewer; a note says so.

        Raises:
            ConfigError: `k` is not from 1 to the number of sentences.
            DataError: a text is blank.
        """
        if not 1 <= k <= self.sentence_count:
            raise ConfigError(
                f"k = {k}: this index contains {self.sentence_count} sentences; "
                "expected a number from 1 to that."
            )
        if not texts:
            return []
        check_not_blank(*texts)
        queries = normalize_vectors(features(self.bundle, texts, self.vectors))
        # A damaged index may name rows that do not exist.
        with explain_damage(self.folder, _DAMAGED):
            neighbors = []
            for query, indices in zip(queries, self._search(queries, k), strict=True):
                examples = self.dataset[indices[indices >= 0].tolist()]
                neighbors.append(_build_neighbor_records(examples, query))
        self._report_missing(neighbors, k)
        return neighbors

    def _search(self, queries: Any, k: int) -> Any:
        """Return the indices, (n, k), of the vectors nearest to each query.

        An inverted file compares a query with the vectors of the few nearest clusters only. Where
        these are fewer than k, more clusters are searched. Indices are -1 where FAISS finds none.
        """
        import faiss

        searched = self.dataset.get_index("vector").faiss_index
        _, rows = searched.search(queries, k)
        inverted = faiss.try_extract_index_ivf(searched)  # None for other kinds of index
        if inverted is None:
            return rows
        usual = inverted.nprobe
        try:
            # Only the queries that need it, so that a text's neighbors do not depend on others.
            while inverted.nprobe < inverted.nlist and (rows < 0).any():
                inverted.nprobe = min(2 * inverted.nprobe, inverted.nlist)
                short = np.flatnonzero((rows < 0).any(1))
                _, rows[short] = searched.search(queries[short], k)
        finally:
            inverted.nprobe = usual
        return rows

    def _report_missing(self, neighbors: Sequence[Sequence[Neighbor]], k: int) -> None:
        """Print how many texts have fewer than k neighbors, if any have."""
        short = sum(len(nearest) < k for nearest in neighbors)
        if short:
            print_note(
                f"found fewer than k = {k} neighbors of {short:,} of {len(neighbors):,} texts: "
                f"an index of the kind {quote_value(self._factory)} is not exact; build one with "
                f"the factory {_EXACT_FACTORY} to find all."
            )


def normalize_vectors(vectors: Any) -> Any:
    """Return vectors, (n, width), scaled to length one."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-12)


def _check_factory(factory: str, width: int) -> None:
    """Refuse an unknown kind of index, or one that finds other vectors, before any text is read.

    Raises:
        ConfigError: FAISS does not know it, or it centres the vectors.
    """
    import faiss

    try:
        built = faiss.index_factory(width, factory, _INNER_PRODUCT_METRIC)
    except (RuntimeError, TypeError, MemoryError):  # a TypeError for what is not UTF-8
        raise ConfigError(
            f"factory = {quote_value(factory)}: FAISS cannot build such an index for vectors of {width} "
            "numbers; use Flat (exact), or HNSW32 or IVF1024,Flat for many millions of texts."
        ) from None
    transforms: Any = getattr(faiss.downcast_index(built), "chain", None)
    count = transforms.size() if transforms else 0
    steps = [faiss.downcast_VectorTransform(transforms.at(index)) for index in range(count)]
    if any(isinstance(step, faiss.PCAMatrix | faiss.CenteringTransform) for step in steps):
        raise ConfigError(
            f"factory = {quote_value(factory)}: it centres the vectors, whose products are then no "
            "cosines; use OPQ or RR in place of PCA, or Flat."
        )


@hide_datasets_bars()  # `index` shows a progress bar of its own
def _write_faiss_index(dataset: Dataset, factory: str, file: Path) -> None:
    """Build a FAISS index over the vectors of a data set and write it to a file.

    Raises:
        ConfigError: vectors cannot be added to this kind of index.
        DataError: there are too few vectors to train this kind of index.
    """
    import faiss

    dataset = dataset.with_format("numpy")
    training_vectors = dataset[:_MAX_TRAINING_VECTORS]["vector"]
    built = faiss.index_factory(training_vectors.shape[1], factory, _INNER_PRODUCT_METRIC)
    try:
        built.train(training_vectors)
    except RuntimeError:
        raise DataError(
            f"factory = {factory!r}: FAISS cannot build it from {len(dataset)} texts; "
            f"give more, or use {_EXACT_FACTORY}."
        ) from None
    try:
        dataset.add_faiss_index("vector", custom_index=built)
    except RuntimeError as error:
        reason = " ".join(_ORIGIN_OF_ERROR.sub("", str(error)).split())
        raise ConfigError(
            f"factory = {factory!r}: FAISS cannot add texts to such an index ({reason}); "
            f"use {_EXACT_FACTORY}, or another factory."
        ) from None
    dataset.save_faiss_index("vector", str(file))


def _build_index_schema(width: int) -> pa.Schema:
    """Return the columns of an index: row number, text and unit vector."""
    return pa.schema(
        {"row": pa.int64(), "text": pa.string(), "vector": pa.list_(pa.float32(), width)}
    )


def _iterate_index_rows(
    bundle: Bundle, texts: Iterable[str], kind: IndexedVectors, width: int, progress: bool
) -> Iterator[pa.RecordBatch]:
    """Yield blocks of texts that are not blank, with their rows and unit vectors."""
    schema = _build_index_schema(width)
    texts_before = 0
    iterator = iter(texts)
    with tqdm(desc="encoding", unit="sentence", disable=is_bar_hidden(progress)) as bar:
        while block := list(islice(iterator, _SENTENCES_PER_BLOCK)):
            indices = [index for index, text in enumerate(block) if text.strip()]
            nonblank_texts = [block[index] for index in indices]
            rows = pa.array([texts_before + index + 1 for index in indices], pa.int64())
            texts_before += len(block)
            bar.update(len(block))
            if not nonblank_texts:
                continue
            unit = normalize_vectors(features(bundle, nonblank_texts, kind))
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(unit.reshape(-1)), width)
            yield pa.record_batch([rows, pa.array(nonblank_texts, pa.string()), vectors], schema)


def _build_neighbor_records(examples: Any, query: Any) -> list[Neighbor]:
    """Return the neighbors of one text as records, nearest first.

    The similarities are those of the vectors themselves, which an index may have compressed.

    Args:
        examples: columns of equal length.
        query: (width,), of length one.
    """
    similarities = np.asarray(examples["vector"]).reshape(-1, len(query)) @ query
    order = np.argsort(-similarities, kind="stable")
    columns = (examples["row"], examples["text"], similarities)
    rows = zip(*(np.asarray(column)[order] for column in columns), strict=True)
    return [
        {"row": int(row), "text": str(text), "similarity": float(similarity)}
        for row, text, similarity in rows
    ]
