"""Measure how well scores separate anomalous from normal sentences: the area under the ROC curve.

    python experiments/anomaly.py RUN LM_RUN TRAIN NORMAL ANOMALOUS

RUN is a text VAE, and LM_RUN a language model of the same sizes, trained on the same
sentences. The files have one sentence per line: TRAIN has those that the models were
trained on, NORMAL and ANOMALOUS have held-out sentences to separate.

For comparison, there are two baselines on the VAE's latents: the distance to the
nearest training sentence, and the distance to the nearest of 150 k-means centers.
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

CENTERS = 150  # of k-means; CLINC150 has as many intents
Scores = dict[str, NDArray[np.floating]]  # by name; each is (n,)


def read_lines(file: str) -> list[str]:
    """Return a file's lines that are not blank."""
    return [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]


def score_by_models(vae: TextVAE, model: TextVAE, texts: list[str]) -> Scores:
    """Return the scores of the VAE and of the language model (higher is more anomalous)."""
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
    """Return the scores of the baselines on the latents (higher is more anomalous).

    Args:
        train_z: of the training sentences, (training sentences, latent).
        z: of the sentences to score, (n, latent).
    """
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
    for name in ("run", "lm_run", "train", "normal", "anomalous"):
        parser.add_argument(name)
    options = parser.parse_args()
    vae = TextVAE.from_pretrained(options.run)
    model = TextVAE.from_pretrained(options.lm_run)
    normal = read_lines(options.normal)
    anomalous = read_lines(options.anomalous)
    texts = normal + anomalous
    is_anomalous = np.repeat([0, 1], [len(normal), len(anomalous)])
    table = {
        **score_by_models(vae, model, texts),
        **score_by_distance(vae.encode(read_lines(options.train)), vae.encode(texts)),
        "length in words": np.array([len(text.split()) for text in texts]),
    }
    print(f"{len(normal)} normal, {len(anomalous)} anomalous\n\n| score | AUROC |\n|---|---|")
    for name, scores in table.items():
        print(f"| {name} | {roc_auc_score(is_anomalous, scores):.3f} |")


if __name__ == "__main__":
    main()
