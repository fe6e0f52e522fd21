"""Measure how well anomalies are separated from normal sentences, by the area under the ROC curve.

    python experiments/anomaly.py RUN LM_RUN TRAIN NORMAL STRANGE

RUN is a text VAE, and LM_RUN a language model of the same sizes, trained on the
same sentences. Each file has one sentence per line: TRAIN those the models were
trained on, NORMAL and STRANGE held-out sentences to separate. The baselines on
the VAE's latents are the distance to the nearest training sentence, and to the
nearest of 150 k-means centers.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from textvae.uses.anomaly import SCORE_FUNCTIONS, anomaly_scores
from textvae.uses.settings import AnomalySettings
from textvae.vae import TextVAE

CENTERS = 150
Scores = dict[str, NDArray[np.floating]]  # by name; each is (n,)


def read_lines(file: str) -> list[str]:
    """Return a file's lines that are not blank."""
    return [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]


def score_by_models(vae: TextVAE, model: TextVAE, texts: list[str]) -> Scores:
    """Return the scores of the VAE and of the language model, by name; each is (n,)."""
    scores: Scores = {}
    for name in SCORE_FUNCTIONS:
        settings = AnomalySettings(score=name)
        scores[f"`{name}`, nats per token"] = anomaly_scores(vae.bundle, texts, settings)
    # A language model has no latent, so one draw gives its exact likelihood.
    per_token = anomaly_scores(model.bundle, texts, AnomalySettings(draws=1))
    ids = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
    tokens = np.array([len(row) + 1 for row in ids])  # + 1: the end of the sentence
    scores["language model, nats per token"] = per_token
    scores["language model, nats per sentence"] = per_token * tokens
    return scores


def score_by_distance(train_z: NDArray[np.float32], z: NDArray[np.float32]) -> Scores:
    """Return the scores of the baselines on the latents, by name; each is (n,)."""
    scores: Scores = {}
    for metric in ("euclidean", "cosine"):
        nearest = NearestNeighbors(n_neighbors=1, metric=metric).fit(train_z)
        scores[f"nearest latent, {metric}"] = nearest.kneighbors(z)[0][:, 0]
    centers = KMeans(CENTERS, n_init=2, random_state=0).fit(train_z)
    scores[f"k-means on the latents, {CENTERS} centers"] = centers.transform(z).min(1)
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "lm_run", "train", "normal", "strange"):
        parser.add_argument(name)
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run)
    model = TextVAE.from_pretrained(options.lm_run)
    normal = read_lines(options.normal)
    strange = read_lines(options.strange)
    texts = normal + strange
    is_strange = np.repeat([0, 1], [len(normal), len(strange)])
    table = {
        **score_by_models(vae, model, texts),
        **score_by_distance(vae.encode(read_lines(options.train)), vae.encode(texts)),
        "length in words": np.array([len(text.split()) for text in texts]),
    }
    print(f"{len(normal)} normal, {len(strange)} strange\n\n| score | AUROC |\n|---|---|")
    for name, scores in table.items():
        print(f"| {name} | {roc_auc_score(is_strange, scores):.3f} |")


if __name__ == "__main__":
    main()
