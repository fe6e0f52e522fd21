"""Measure how good neighbors in latent space are, and how fast an index of a million vectors is.

    python experiments/neighbors.py RUN TEXTS LABELS QUERIES QUERY_LABELS [--encoder NAME]

Each file has one sentence or one label per line. The script prints the share of the
ten nearest sentences that have the label of the query, and its standard error over
queries. Sentences are compared by

- the direction of their posterior means, as `neighbors` does, and the distance
  between these;
- the direction of the encoder's states, of which the mean is a linear map, as they are
  and whitened: centered, reduced to as many principal components as WIDTH says, each
  scaled to variance 1;
- TF-IDF; and its best approximation in as many dimensions as the latent and in WIDTH
  (latent semantic analysis), which shows what the width of a vector costs;
- the embeddings of a sentence encoder, a model of sentence-transformers, with
  --encoder.

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
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from textvae.uses.neighbors import normalize_vectors
from textvae.vae import TextVAE

K = 10  # neighbors of a query
WIDTH = 256  # dimensions of vectors that are wider than the latent
MILLION = 10**6
INDEX_QUERIES = 1000
Pair = tuple[Any, Any]  # vectors of the texts and of the queries


def read_lines(file: str) -> list[str]:
    """Return a file's lines."""
    return Path(file).read_text(encoding="utf-8").splitlines()


def measure_precision(
    vectors: Any, queries: Any, labels: list[str], query_labels: list[str], metric: str
) -> tuple[float, float]:
    """Return the share of the K nearest vectors that have the label of the query, and its error.

    Args:
        vectors, queries: (n, width) and (queries, width), arrays or sparse matrices.
    """
    nearest = NearestNeighbors(n_neighbors=K, metric=metric).fit(vectors)
    indices = nearest.kneighbors(queries, return_distance=False)
    is_right = np.asarray(labels)[indices] == np.asarray(query_labels)[:, None]
    shares = is_right.mean(1)
    return float(shares.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))


def compute_vectors(vae: TextVAE, texts: list[str], queries: list[str]) -> dict[str, Pair]:
    """Return the vectors of texts and queries that are compared by direction, by name."""
    means = (vae.encode(texts), vae.encode(queries))
    states = (vae.features(texts, "states"), vae.features(queries, "states"))
    words = TfidfVectorizer().fit(texts)
    bags = (words.transform(texts), words.transform(queries))
    latent = means[0].shape[1]
    pairs: dict[str, Pair] = {
        f"direction of the posterior mean ({latent})": means,
        f"direction of the encoder's states ({states[0].shape[1]})": states,
    }
    if states[0].shape[1] >= WIDTH:
        whitening = PCA(WIDTH, whiten=True, random_state=0).fit(states[0])
        whitened = (whitening.transform(states[0]), whitening.transform(states[1]))
        pairs[f"the same, whitened ({WIDTH})"] = whitened
    for width in (latent, WIDTH):
        reduction = TruncatedSVD(width, random_state=0).fit(bags[0])
        reduced = (reduction.transform(bags[0]), reduction.transform(bags[1]))
        pairs[f"TF-IDF, reduced by LSA ({width})"] = reduced
    pairs[f"TF-IDF ({bags[0].shape[1]:,})"] = bags
    return pairs


def embed(name: str, texts: list[str]) -> NDArray[np.float32]:
    """Return the embeddings of a sentence encoder, (n, width)."""
    from sentence_transformers import SentenceTransformer

    embeddings = SentenceTransformer(name, device="cpu").encode(texts)
    return np.asarray(embeddings, dtype=np.float32)


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
    parser.add_argument("--encoder", metavar="NAME", help="a sentence encoder to compare with")
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run)
    texts = read_lines(options.texts)
    queries = read_lines(options.queries)
    labels = (read_lines(options.labels), read_lines(options.query_labels))
    pairs = compute_vectors(vae, texts, queries)
    if options.encoder:
        embedded = (embed(options.encoder, texts), embed(options.encoder, queries))
        pairs[f"sentence encoder ({embedded[0].shape[1]})"] = embedded
    means = next(iter(pairs.values()))
    print(f"| neighbors by (dimensions) | precision@{K} |\n|---|---|")
    precision, error = measure_precision(*means, *labels, "euclidean")
    print(f"| distance of the posterior mean | {precision:.3f} ± {error:.3f} |", flush=True)
    for name, (vectors, query_vectors) in pairs.items():
        # For vectors of length 1, the nearest by distance are the nearest by direction.
        precision, error = measure_precision(
            normalize(vectors), normalize(query_vectors), *labels, "euclidean"
        )
        print(f"| {name} | {precision:.3f} ± {error:.3f} |", flush=True)
    if options.million:
        print("\n| index of a million | seconds to build | milliseconds per query | MB | peak MB |")
        print("|---|---|---|---|---|")
        for factory in ("Flat", "HNSW32"):
            build_seconds, query_seconds, size = measure_index(means[0], factory)
            # The peak memory of the process so far: the second row includes the first index.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            milliseconds = 1000 * query_seconds / INDEX_QUERIES
            print(
                f"| {factory} | {build_seconds:.1f} | {milliseconds:.2f} | {size:.0f} | "
                f"{peak:.0f} |"
            )


if __name__ == "__main__":
    main()
