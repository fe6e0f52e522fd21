"""How well anomalies are told from normal sentences: the area under the ROC curve.

    python experiments/anomaly.py RUN LM_RUN TRAIN NORMAL STRANGE

Each file holds a sentence a line: TRAIN those the models were trained on, NORMAL
and STRANGE held-out ones to tell apart. RUN is a text VAE, LM_RUN a language
model of the same sizes, trained on the same sentences. The baselines on the
VAE's latents are the distance to the nearest of the training sentences, and to
the nearest of 150 centres by k-means.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from textvae.uses.anomaly import SCORE_FUNCTIONS, AnomalySettings, anomaly_scores
from textvae.vae import TextVAE

CENTRES = 150


def lines(file):
    """Return a file's sentences."""
    return [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "lm_run", "train", "normal", "strange"):
        parser.add_argument(name)
    options = parser.parse_args()
    vae, model = TextVAE.from_pretrained(options.run), TextVAE.from_pretrained(options.lm_run)
    normal, strange = lines(options.normal), lines(options.strange)
    texts = normal + strange
    is_strange = np.repeat([0, 1], [len(normal), len(strange)])
    words = np.array([len(text.split()) for text in texts])
    known, asked = vae.encode(lines(options.train)), vae.encode(texts)
    exact = anomaly_scores(model.bundle, texts, AnomalySettings(draws=1))
    tokens = np.array(
        [len(row) + 1 for row in model.tokenizer(texts, add_special_tokens=False)["input_ids"]]
    )
    table = {
        f"`{name}`, nats a token": anomaly_scores(vae.bundle, texts, AnomalySettings(score=name))
        for name in SCORE_FUNCTIONS
    }
    table["language model, nats a token"] = exact
    table["language model, nats a sentence"] = exact * tokens
    for metric in ("euclidean", "cosine"):
        nearest = NearestNeighbors(n_neighbors=1, metric=metric).fit(known)
        table[f"nearest latent, {metric}"] = nearest.kneighbors(asked)[0][:, 0]
    centres = KMeans(CENTRES, n_init=2, random_state=0).fit(known)
    table[f"k-means on the latents, {CENTRES} centres"] = centres.transform(asked).min(1)
    table["length in words"] = words
    print(f"{len(normal)} normal, {len(strange)} strange\n\n| score | AUROC |\n|---|---|")
    for name, scores in table.items():
        print(f"| {name} | {roc_auc_score(is_strange, scores):.3f} |")


if __name__ == "__main__":
    main()
