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
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runs.fitted import load_fitted, save_fitted
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.schema import StrictSettings, choose

ANOMALY_KIND = "anomaly"


FIELDS = ("score", "p_value", "is_cut")  # of a record


_MIN_NORMAL_SENTENCES = 19  # normal sentences: with fewer no p-value is as small as 0.05


_Float64Array = NDArray[np.float64]


_ScoreFunction = Callable[[Bundle, Batch, int], Tensor]


class AnomalySettings(StrictSettings):
    """How sentences are scored."""

    score: str = "reconstruction"
    draws: int = Field(4, ge=1, description="of z, a sentence")
    seed: int = Field(0, ge=0)


def _reconstruction(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return -log p(x | z) in nats, (batch,), averaged over draws of z: what the latent cannot tell of the sentence."""
    costs = [bundle.model(**batch).sentence_reconstruction for _ in range(draws)]
    return torch.stack(costs).mean(0)


def _negative_elbo(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return the negative ELBO in nats, (batch,)."""
    output = bundle.model(**batch)
    _require_density(output.kl)
    cost: Tensor = _reconstruction(bundle, batch, draws) + output.kl.sum(1)
    return cost


def _iw_nll(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return the importance-weighted NLL in nats, (batch,)."""
    _require_density(bundle.model(**batch).kl)
    return ImportanceSums.from_log_weights(sample_log_weights(bundle, batch, draws)).nll


def _require_density(kl: Tensor | None) -> None:
    """Refuse a posterior that has no density, and so neither bound.

    Raises:
        ConfigError: it has none.
    """
    if kl is None:
        raise ConfigError(
            "an autoencoder without noise gives no likelihood; take score = 'reconstruction'."
        )


SCORE_FUNCTIONS: dict[str, _ScoreFunction] = {
    "reconstruction": _reconstruction,
    "elbo": _negative_elbo,
    "iw_nll": _iw_nll,
}


def anomaly_scores(
    bundle: Bundle, texts: Sequence[str], settings: AnomalySettings, progress: bool = False
) -> _Float64Array:
    """Return each text's score in nats a token, the end counted, (n,); longer texts than the model holds are cut.

    Raises:
        ConfigError: the score is unknown, or not defined for this model.
    """
    return _score_token_ids(bundle, encode_batch(bundle.tokenizer, texts), settings, progress)


def _score_token_ids(
    bundle: Bundle, rows: list[list[int]], settings: AnomalySettings, progress: bool = False
) -> _Float64Array:
    """Return the same of tokenised texts."""
    score = choose(SCORE_FUNCTIONS, settings.score, "score")
    ids = [row[: bundle.max_text_tokens] for row in rows]
    lengths = np.array([len(row) for row in ids])
    dataset = Dataset.from_dict({"input_ids": ids, "length": lengths})
    nats, bar = np.zeros(len(ids)), "scoring" if progress else None
    with torch.inference_mode():
        for places, batch in iterate_batches(
            bundle, dataset, settings.seed, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS, bar
        ):
            nats[places] = score(bundle, batch, settings.draws).double().cpu()
    scores: _Float64Array = nats / (lengths + 1)
    return scores


def fit_anomaly(
    bundle: Bundle,
    texts: Sequence[str],
    place: Path,
    settings: AnomalySettings,
    progress: bool = False,
) -> dict[str, Any]:
    """Keep the scores of normal texts in a folder; return the settings and how many texts there were.

    Raises:
        DataError: there are too few of them.
    """
    if len(texts) < _MIN_NORMAL_SENTENCES:
        raise DataError(
            f"{len(texts)} normal sentences: wanted are {_MIN_NORMAL_SENTENCES} or more, and hundreds for small p-values; "
            "with n the smallest is 1 / (n + 1)."
        )
    normal = torch.from_numpy(np.sort(anomaly_scores(bundle, texts, settings, progress)))
    record = {**settings.model_dump(), "texts": len(texts)}
    save_fitted(place, bundle, ANOMALY_KIND, record, {"normal": normal})
    return record


def conformal_p_values(normal: _Float64Array, scores: _Float64Array) -> _Float64Array:
    """Return (1 + how many of `normal`, in rising order, are as high or higher) / (1 + how many there are), (n,)."""
    as_strange = len(normal) - np.searchsorted(normal, scores, side="left")
    p: _Float64Array = (1 + as_strange) / (1 + len(normal))
    return p


def anomaly(bundle: Bundle, texts: Sequence[str], place: Path) -> list[dict[str, Any]]:
    """Return `score`, in nats a token, conformal `p_value`, and `is_cut` (longer than the model holds) of each text.

    Raises:
        CheckpointError: nothing was fitted there, or on another model.
    """
    record, tensors = load_fitted(place, bundle, ANOMALY_KIND)
    settings = AnomalySettings(**{key: record[key] for key in AnomalySettings.model_fields})
    if not texts:
        return []
    ids = encode_batch(bundle.tokenizer, texts)
    scores = _score_token_ids(bundle, ids, settings)
    p = conformal_p_values(tensors["normal"].numpy(), scores)
    rows = zip(
        scores.tolist(), p.tolist(), (len(row) > bundle.max_text_tokens for row in ids), strict=True
    )
    return [
        {"score": score, "p_value": p_value, "is_cut": is_cut} for score, p_value, is_cut in rows
    ]
