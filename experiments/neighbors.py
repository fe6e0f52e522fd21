"""Measure how good neighbors in latent space are, and how fast an index of a million vectors is.

    python experiments/neighbors.py RUN TEXTS LABELS QUERIES QUERY_LABELS

Each file has one sentence or one label per line. The script prints the share of the
ten nearest sentences that have the label of the query. Sentences are compared by the
direction of their posterior means, by the distance between these, and by TF-IDF.
With `--million`, it also prints the time and the size of indexes of a million
vectors, which are copies of the posterior means with noise.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from textvae.uses.neighbors import normalize_vectors
from textvae.vae import TextVAE

K = 10  # neighbors of a query
MILLION = 10**6
INDEX_QUERIES = 1000


def read_lines(file: str) -> list[str]:
    """Return a file's lines."""
    return Path(file).read_text(encoding="utf-8").splitlines()


def measure_precision(
    vectors: Any, queries: Any, labels: list[str], query_labels: list[str], metric: str
) -> float:
    """Return the share of the K nearest vectors that have the label of the query.

    Args:
        vectors, queries: (n, width) and (queries, width), arrays or sparse matrices.
    """
    nearest = NearestNeighbors(n_neighbors=K, metric=metric).fit(vectors)
    indices = nearest.kneighbors(queries, return_distance=False)
    return float((np.asarray(labels)[indices] == np.asarray(query_labels)[:, None]).mean())


def measure_index(means: NDArray[np.float32], factory: str) -> tuple[float, float, float]:
    """Measure an index of a million vectors.

    Args:
        means: posterior means to make the vectors from, (n, latent).
        factory: the kind of index, as FAISS's `index_factory` names it.

    Returns:
        The seconds to build the index, the seconds for all queries, and its MB on disk.
    """
    random = np.random.default_rng(0)
    copies = means[random.integers(len(means), size=MILLION)]
    noise = 0.1 * random.normal(size=(MILLION, means.shape[1]))
    vectors = normalize_vectors(copies + noise)
    dataset = Dataset.from_dict({"vector": vectors.astype(np.float32)}).with_format("numpy")
    start = time.perf_counter()
    # Metric 0 is the inner product; the vectors are normalized, so it is the cosine.
    dataset.add_faiss_index("vector", string_factory=factory, metric_type=0)
    build_seconds = time.perf_counter() - start
    queries = vectors[:INDEX_QUERIES].astype(np.float32)
    start = time.perf_counter()
    dataset.search_batch("vector", queries, k=K)
    query_seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        dataset.save_faiss_index("vector", f"{folder}/index")
        return build_seconds, query_seconds, Path(folder, "index").stat().st_size / 2**20


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "texts", "labels", "queries", "query_labels"):
        parser.add_argument(name)
    parser.add_argument(
        "--million", action="store_true", help="also measure indexes of a million vectors"
    )
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run)
    texts = read_lines(options.texts)
    queries = read_lines(options.queries)
    labels = (read_lines(options.labels), read_lines(options.query_labels))
    means = vae.encode(texts)
    query_means = vae.encode(queries)
    directions = (normalize_vectors(means), normalize_vectors(query_means))
    words = TfidfVectorizer().fit(texts)
    bags = (words.transform(texts), words.transform(queries))
    # For vectors of length 1, the nearest by distance are the nearest by direction.
    precisions = {
        "direction of the posterior mean": measure_precision(*directions, *labels, "euclidean"),
        "distance of the posterior mean": measure_precision(
            means, query_means, *labels, "euclidean"
        ),
        "TF-IDF, cosine": measure_precision(*bags, *labels, "cosine"),
    }
    print(f"| neighbors by | precision@{K} |\n|---|---|")
    for name, precision in precisions.items():
        print(f"| {name} | {precision:.3f} |")
    if options.million:
        print("\n| index of a million | seconds to build | milliseconds per query | MB | peak MB |")
        print("|---|---|---|---|---|")
        for factory in ("Flat", "HNSW32"):
            build_seconds, query_seconds, size = measure_index(means, factory)
            # The peak memory of the process so far: the second row includes the first index.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            milliseconds = 1000 * query_seconds / INDEX_QUERIES
            print(
                f"| {factory} | {build_seconds:.1f} | {milliseconds:.2f} | {size:.0f} | "
                f"{peak:.0f} |"
            )


if __name__ == "__main__":
    main()
