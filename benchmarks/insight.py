"""Score how much single dimensions of the latent tell of columns, beside axes drawn by chance.

    python benchmarks/insight.py RUN TABLE --column NAME ...

TABLE holds texts with columns beside them. The posterior means are scored as they are, turned by random orthogonal
matrices (mean and standard deviation over several), and beside them as many principal components of a bag of words.
"""

import argparse

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from textvae import TextVAE
from textvae.labelled import read_columns
from textvae.uses.insight import LENGTH
from textvae.uses.insight.columns import Column
from textvae.uses.insight.disentanglement import disentanglement

KEYS = ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("table")
    parser.add_argument("--column", action="append", default=[])
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    texts, given = read_columns(options.table, options.text_column, options.column)
    lengths = {LENGTH: [len(text.split()) for text in texts]}
    columns = [Column.of(name, values, len(texts)) for name, values in {**lengths, **given}.items()]
    means = TextVAE.from_pretrained(options.run).encode(texts).astype(np.float64)
    random, size = np.random.default_rng(0), means.shape[1]
    turns = [np.linalg.qr(random.normal(size=(size, size)))[0] for _ in range(options.turns)]
    words = TfidfVectorizer(token_pattern=r"\S+").fit_transform(texts)
    print(f"{len(texts)} texts; columns: {', '.join(column.name for column in columns)}\n")
    print("| axes | MIG | SAP | D | C | I |\n|---|---|---|---|---|---|")
    show("the model's", [disentanglement(means, columns)])
    show("turned at random", [disentanglement(means @ turn, columns) for turn in turns])
    show("of a bag of words", [disentanglement(TruncatedSVD(size, random_state=0).fit_transform(words), columns)])


def show(name: str, scores: list[dict[str, float]]) -> None:
    """Print a row: the scores, or their mean and standard deviation."""
    cells = []
    for key in KEYS:
        values = np.array([seen[key] for seen in scores], dtype=np.float64)
        cells.append(f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""))
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
