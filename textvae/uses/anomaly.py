"""Anomaly: whether a sentence is like those the model knows.

A score of each sentence, higher the stranger, is held against the scores of
normal ones that the model was not trained on. The conformal p-value (Vovk et al.
2005; Laxhammar & Falkman 2010) is the share of the normal ones that are at least
as strange: below `alpha` for a share `alpha` of normal sentences at most,
whatever the model.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.data.tokenization import encode_batch
from textvae.errors import ConfigError, DataError
from textvae.inference.batches import batches
from textvae.inference.bundle import Bundle
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import BATCH_TOKENS, log_weights
from textvae.runs.fitted import load_fitted, save_fitted
from textvae.runtime.processes import ALONE
from textvae.schema import StrictSettings, choose

KIND = "anomaly"


FIELDS = ("score", "p_value", "is_cut")  # of a record


FEWEST = 19  # normal sentences: with fewer no p-value is as small as 0.05


Numbers = NDArray[np.float64]


Score = Callable[[Bundle, Batch, int], Tensor]


class AnomalySettings(StrictSettings):
    """How sentences are scored."""

    score: str = "reconstruction"
    draws: int = Field(4, ge=1, description="of z, a sentence")
    seed: int = Field(0, ge=0)


def reconstruction(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return -log p(x | z) in nats, (batch,), averaged over draws of z: what the latent cannot tell of the sentence."""
    costs = [bundle.model(**batch).sentence_reconstruction for _ in range(draws)]
    return torch.stack(costs).mean(0)


def elbo(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return the negative ELBO in nats, (batch,)."""
    output = bundle.model(**batch)
    check_density(output.kl)
    cost: Tensor = reconstruction(bundle, batch, draws) + output.kl.sum(1)
    return cost


def iw_nll(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return the importance-weighted NLL in nats, (batch,)."""
    check_density(bundle.model(**batch).kl)
    return ImportanceSums.of(log_weights(bundle, batch, draws)).nll


def check_density(kl: Tensor | None) -> None:
    """Refuse a posterior that has no density, and so neither bound.

    Raises:
        ConfigError: it has none.
    """
    if kl is None:
        raise ConfigError("an autoencoder without noise gives no likelihood; take score = 'reconstruction'.")


SCORES: dict[str, Score] = {"reconstruction": reconstruction, "elbo": elbo, "iw_nll": iw_nll}


def strangeness(bundle: Bundle, texts: Sequence[str], settings: AnomalySettings, progress: bool = False) -> Numbers:
    """Return each text's score in nats a token, the end counted, (n,); longer texts than the model holds are cut.

    Raises:
        ConfigError: the score is unknown, or not defined for this model.
    """
    return scores_of(bundle, encode_batch(bundle.tokenizer, texts), settings, progress)


def scores_of(bundle: Bundle, rows: list[list[int]], settings: AnomalySettings, progress: bool = False) -> Numbers:
    """Return the same of tokenised texts."""
    score = choose(SCORES, settings.score, "score")
    ids = [row[: bundle.room] for row in rows]
    lengths = np.array([len(row) for row in ids])
    dataset = Dataset.from_dict({"input_ids": ids, "length": lengths})
    nats, bar = np.zeros(len(ids)), "scoring" if progress else None
    with torch.inference_mode():
        for places, batch in batches(bundle, dataset, settings.seed, ALONE, BATCH_TOKENS, bar):
            nats[places] = score(bundle, batch, settings.draws).double().cpu()
    scores: Numbers = nats / (lengths + 1)
    return scores


def fit_anomaly(
    bundle: Bundle, texts: Sequence[str], place: Path, settings: AnomalySettings, progress: bool = False
) -> dict[str, Any]:
    """Keep the scores of normal texts in a folder; return the settings and how many texts there were.

    Raises:
        DataError: there are too few of them.
    """
    if len(texts) < FEWEST:
        raise DataError(
            f"{len(texts)} normal sentences: wanted are {FEWEST} or more, and hundreds for small p-values; "
            "with n the smallest is 1 / (n + 1)."
        )
    normal = torch.from_numpy(np.sort(strangeness(bundle, texts, settings, progress)))
    record = {**settings.model_dump(), "texts": len(texts)}
    save_fitted(place, bundle, KIND, record, {"normal": normal})
    return record


def p_values(normal: Numbers, scores: Numbers) -> Numbers:
    """Return (1 + how many of `normal`, in rising order, are as high or higher) / (1 + how many there are), (n,)."""
    as_strange = len(normal) - np.searchsorted(normal, scores, side="left")
    p: Numbers = (1 + as_strange) / (1 + len(normal))
    return p


def anomaly(bundle: Bundle, texts: Sequence[str], place: Path) -> list[dict[str, Any]]:
    """Return `score`, in nats a token, conformal `p_value`, and `is_cut` (longer than the model holds) of each text.

    Raises:
        CheckpointError: nothing was fitted there, or on another model.
    """
    record, tensors = load_fitted(place, bundle, KIND)
    settings = AnomalySettings(**{key: record[key] for key in AnomalySettings.model_fields})
    if not texts:
        return []
    ids = encode_batch(bundle.tokenizer, texts)
    scores = scores_of(bundle, ids, settings)
    p = p_values(tensors["normal"].numpy(), scores)
    rows = zip(scores.tolist(), p.tolist(), (len(row) > bundle.room for row in ids), strict=True)
    return [{"score": score, "p_value": p_value, "is_cut": is_cut} for score, p_value, is_cut in rows]
