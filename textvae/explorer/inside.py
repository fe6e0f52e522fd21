"""Look inside: dimensions, neighbors, surprisal and anomaly of one sentence."""

from typing import TypedDict

import torch

from textvae.data.tokenization import decode_batch
from textvae.errors import ConfigError, DataError
from textvae.explorer.latent_map import NORMAL_SETTINGS, LatentMap, Sentences, score_sentences
from textvae.explorer.walk import SCORE_SAMPLES, Place, decode_places
from textvae.inference.encode import posterior, tokenize_and_truncate
from textvae.uses.anomaly import conformal_p_values
from textvae.vae import TextVAE

REACH = 3.0  # standard deviations to either side in a traversal
END_TOKEN = "(end)"


class Dimension(TypedDict):
    """One dimension of the latent.

    Attributes:
        dimension: its number, counted from 0.
        kl: nats per sentence; None if the KL is not a sum over dimensions.
        spread: the standard deviation of the posterior mean.
    """

    dimension: int
    kl: float | None
    spread: float


class NearSentence(TypedDict):
    """A sentence of the map that is near to a text.

    Attributes:
        text: the sentence.
        similarity: the cosine between the two posterior means, -1 to 1.
        index: its number on the map, counted from 0.
    """

    text: str
    similarity: float
    index: int


class Token(TypedDict):
    """A token of a sentence.

    Attributes:
        text: the token; `(end)` for the end of the sentence.
        nats: its surprisal, -log p(token | z, tokens before it).
    """

    text: str
    nats: float


class Surprisal(TypedDict):
    """What a sentence costs, in nats.

    Attributes:
        tokens: the surprisal of each token.
        reconstruction: their sum.
        kl: KL(q(z | x) || p(z)); None without a density.
        log_likelihood: log p(x); None without a density.
    """

    tokens: list[Token]
    reconstruction: float
    kl: float | None
    log_likelihood: float | None


class AnomalyGauge(TypedDict):
    """How unusual a sentence is among held-out sentences of the run.

    Attributes:
        score: nats per token, the end token included; higher is more anomalous.
        p_value: (1 + k) / (1 + n), where k of the n held-out sentences are at least as anomalous.
        normal: the 5th, 50th and 95th percentile of their scores.
        sentences: their number.
    """

    score: float
    p_value: float
    normal: list[float]
    sentences: int


def list_dimensions(latent_map: LatentMap) -> list[Dimension]:
    """Return the dimensions, the one with the highest KL first."""
    spread = latent_map.spread.tolist()
    kl: list[float | None] = [*latent_map.kl.tolist()] or [None] * len(spread)
    rows: list[Dimension] = [
        {"dimension": number, "kl": kl[number], "spread": spread[number]}
        for number in range(len(spread))
    ]
    return sorted(rows, key=lambda row: (-(row["kl"] or 0.0), -row["spread"]))


def traverse_dimension(
    vae: TextVAE, latent_map: LatentMap, text: str, dimension: int, steps: int
) -> list[Place]:
    """Decode a sentence while one dimension moves by `REACH` standard deviations to either side.

    Raises:
        ConfigError: the model has no such dimension.
    """
    if not 0 <= dimension < vae.latent_dim:
        raise ConfigError(
            f"dimension = {dimension}: expected 0 to {vae.latent_dim - 1}, the dimensions of z."
        )
    z = posterior(vae.bundle, [text]).mean.repeat(steps, 1)
    z[:, dimension] += torch.linspace(-REACH, REACH, steps) * latent_map.spread[dimension]
    return decode_places(vae, z, latent_map)


def find_nearest(vae: TextVAE, latent_map: LatentMap, text: str, k: int) -> list[NearSentence]:
    """Return the `k` nearest sentences of the map, nearest first."""
    z = posterior(vae.bundle, [text]).mean
    similarity = torch.nn.functional.cosine_similarity(latent_map.z, z)
    found = similarity.topk(min(k, len(latent_map)))
    rows = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    texts = latent_map.sentences.texts
    return [{"text": texts[row], "similarity": value, "index": row} for row, value in rows]


def measure_surprisal(vae: TextVAE, text: str) -> Surprisal:
    """Return what a sentence costs, token by token.

    Raises:
        DataError: it has no tokens.
    """
    (record,) = vae.score([text], samples=SCORE_SAMPLES, seed=0)
    (ids,) = tokenize_and_truncate(vae.bundle, [text])
    nats = record["surprisal"]
    if nats is None or record["reconstruction"] is None:
        raise DataError("this sentence has no tokens to score.")
    names = [*decode_batch(vae.tokenizer, [[number] for number in ids]), END_TOKEN]
    tokens: list[Token] = [
        {"text": name, "nats": value} for name, value in zip(names, nats, strict=False)
    ]
    return {
        "tokens": tokens,
        "reconstruction": record["reconstruction"],
        "kl": record["kl"],
        "log_likelihood": None if record["iw_nll"] is None else -record["iw_nll"],
    }


def measure_anomaly(
    vae: TextVAE, latent_map: LatentMap, text: str, label: str | None = None
) -> AnomalyGauge:
    """Return how unusual a sentence is, compared with held-out sentences of the run."""
    labels = None if label is None else [label]
    score = score_sentences(vae, Sentences([text], labels), NORMAL_SETTINGS).double()
    normal = latent_map.normal.double()
    return {
        "score": float(score),
        "p_value": float(conformal_p_values(normal.numpy(), score.numpy())[0]),
        "normal": normal.quantile(torch.tensor([0.05, 0.5, 0.95]).double()).tolist(),
        "sentences": len(normal),
    }
