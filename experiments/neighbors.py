"""Measure how good neighbors in the latent are, and how fast an index of a million answers.

    python experiments/neighbors.py RUN TEXTS LABELS QUERIES QUERY_LABELS

Each file holds one sentence or one label per line. Printed is the share of the ten
nearest sentences that have the label of the query, by the direction of the
posterior means, by their distance, and by TF-IDF. With `--million`, the time and
the size of an index of a million vectors are printed, too: the same means with noise.
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

K = 10
MILLION = 10**6
QUESTIONS = 1000


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
    """Return the seconds to build an index and to answer all questions, and its MB on disk."""
    random = np.random.default_rng(0)
    copies = means[random.integers(len(means), size=MILLION)]
    noise = 0.1 * random.normal(size=(MILLION, means.shape[1]))
    vectors = normalize_vectors(copies + noise)
    dataset = Dataset.from_dict({"vector": vectors.astype(np.float32)}).with_format("numpy")
    start = time.perf_counter()
    # Metric 0 is the inner product; the vectors are normalized, so it is the cosine.
    dataset.add_faiss_index("vector", string_factory=factory, metric_type=0)
    build_seconds = time.perf_counter() - start
    questions = vectors[:QUESTIONS].astype(np.float32)
    start = time.perf_counter()
    dataset.search_batch("vector", questions, k=K)
    answer_seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        dataset.save_faiss_index("vector", f"{folder}/index")
        return build_seconds, answer_seconds, Path(folder, "index").stat().st_size / 2**20


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "texts", "labels", "queries", "query_labels"):
        parser.add_argument(name)
    parser.add_argument("--million", action="store_true")
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
        print("\n| index of a million | s to build | ms per question | MB | peak MB |")
        print("|---|---|---|---|---|")
        for factory in ("Flat", "HNSW32"):
            build_seconds, answer_seconds, size = measure_index(means, factory)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            milliseconds = 1000 * answer_seconds / QUESTIONS
            seconds = f"{build_seconds:.1f} | {milliseconds:.2f}"
            print(f"| {factory} | {seconds} | {size:.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
