"""How good neighbors in the latent are, and how fast a million of them answer.

    python experiments/neighbors.py RUN TEXTS LABELS ASKED ASKED_LABELS

Each file holds one sentence or one label a line. Printed: the share of the ten
nearest sentences that have the label of the one asked, by the direction of the
posterior means, by their distance, and by TF-IDF; and, with `--million`, time
and size of an index over the same means with noise, a million of them.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from datasets import Dataset
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from textvae.uses.neighbors import normalize_vectors
from textvae.vae import TextVAE

K = 10


def lines(file):
    """Return a file's lines."""
    return Path(file).read_text(encoding="utf-8").splitlines()


def precision(known, asked, labels, wanted, metric):
    """Return the share of the K nearest that have the wanted label."""
    found = (
        NearestNeighbors(n_neighbors=K, metric=metric)
        .fit(known)
        .kneighbors(asked, return_distance=False)
    )
    return float((np.asarray(labels)[found] == np.asarray(wanted)[:, None]).mean())


def million(means, factory):
    """Return seconds to build and to answer a thousand questions, and megabytes on disk."""
    random = np.random.default_rng(0)
    vectors = normalize_vectors(
        means[random.integers(len(means), size=10**6)]
        + 0.1 * random.normal(size=(10**6, means.shape[1]))
    )
    dataset = Dataset.from_dict({"vector": vectors.astype(np.float32)}).with_format("numpy")
    start = time.perf_counter()
    dataset.add_faiss_index("vector", string_factory=factory, metric_type=0)
    built = time.perf_counter() - start
    asked = vectors[:1000].astype(np.float32)
    start = time.perf_counter()
    dataset.search_batch("vector", asked, k=K)
    answered = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        dataset.save_faiss_index("vector", f"{folder}/index")
        return built, answered, Path(folder, "index").stat().st_size / 2**20


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "texts", "labels", "asked", "asked_labels"):
        parser.add_argument(name)
    parser.add_argument("--million", action="store_true")
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run)
    known, asked = vae.encode(lines(options.texts)), vae.encode(lines(options.asked))
    names = lines(options.labels), lines(options.asked_labels)
    words = TfidfVectorizer().fit(lines(options.texts))
    print(f"| neighbors by | precision@{K} |\n|---|---|")
    print(
        f"| direction of the posterior mean | {precision(normalize_vectors(known), normalize_vectors(asked), *names, 'euclidean'):.3f} |"
    )
    print(
        f"| distance of the posterior mean | {precision(known, asked, *names, 'euclidean'):.3f} |"
    )
    found = words.transform(lines(options.texts)), words.transform(lines(options.asked))
    print(f"| TF-IDF, cosine | {precision(*found, *names, 'cosine'):.3f} |")
    if options.million:
        print(
            "\n| index of a million | s to build | ms a question | MB | peak MB |\n|---|---|---|---|---|"
        )
        for factory in ("Flat", "HNSW32"):
            built, answered, size = million(known, factory)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            print(f"| {factory} | {built:.1f} | {answered:.2f} | {size:.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
