"""Anomaly: how unlike a set of normal sentences a sentence is.

Each sentence gets a score (higher is more anomalous), which is compared with the
scores of normal sentences that the model was not trained on. The conformal
p-value (Vovk et al. 2005; Laxhammar & Falkman 2010) is the share of normal
sentences whose score is at least as high. Whatever the model, at most a share
`alpha` of normal sentences has a p-value of `alpha` or less. The score of a sentence
depends on the sentence and the seed alone, up to rounding.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from textvae.data.batching import Batch
from textvae.data.cleaning import Cleaner
from textvae.data.tokenization import encode_texts
from textvae.errors import ConfigError, DataError
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_terms
from textvae.messages import print_note
from textvae.runs.fitted import explain_damage, load_fitted, save_fitted
from textvae.runs.run import SETTINGS_FILE, Run
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.schema import validate_settings
from textvae.terminal import quote_value
from textvae.uses.records import Anomaly, AnomalyCalibration
from textvae.uses.settings import AnomalyScore, AnomalySettings

ANOMALY_KIND = "anomaly"

_ROWS_AT_ONCE = 10_000
_MIN_NORMAL_SENTENCES = 19  # with fewer, no p-value can be as small as 0.05

_Float64Array = NDArray[np.float64]
_ScoreFunction = Callable[[Bundle, Batch, int], Tensor]


def anomaly(bundle: Bundle, texts: Sequence[str], folder: Path) -> list[Anomaly]:
    """Return a record for each text, with its score and its conformal p-value.

    Keys: `score` in nats per token (higher is more anomalous), `p_value`, and
    `is_cut`: True if the text is longer than the model can read, so that only its
    beginning was scored.

    Raises:
        CheckpointError: nothing was fitted in the folder, or on another model, or it is damaged.
        ConfigError: the normal texts were scored with another label.
    """
    record, tensors = load_fitted(folder, bundle, ANOMALY_KIND)
    _check_label(bundle, record)
    with explain_damage(folder):
        saved = {key: record[key] for key in AnomalySettings.model_fields}
        settings = validate_settings(AnomalySettings, saved, "anomaly")
        normal: _Float64Array = np.sort(tensors["normal"].double().numpy())
        if normal.ndim != 1 or not normal.size:
            raise ValueError(f"the scores of normal texts have the shape {normal.shape}")
    if not texts:
        return []
    token_ids = encode_texts(bundle.tokenizer, texts)
    scores = _score_token_ids(bundle, token_ids, settings)
    p_values = conformal_p_values(normal, scores)
    rows = zip(token_ids, scores.tolist(), p_values.tolist(), strict=True)
    return [
        {"score": score, "p_value": p_value, "is_cut": len(ids) > bundle.max_text_tokens}
        for ids, score, p_value in rows
    ]


def fit_anomaly(
    bundle: Bundle,
    texts: Sequence[str],
    folder: Path,
    settings: AnomalySettings,
    progress: bool = False,
) -> AnomalyCalibration:
    """Save the scores of normal texts in a folder; return the settings and the number of texts.

    Raises:
        DataError: there are too few texts.
    """
    if len(texts) < _MIN_NORMAL_SENTENCES:
        raise DataError(
            f"got {len(texts)} normal sentences, need at least {_MIN_NORMAL_SENTENCES}, and "
            "hundreds for small p-values: with n sentences the smallest is 1 / (n + 1)."
        )
    scores = anomaly_scores(bundle, texts, settings, progress)
    record = {**settings.model_dump(), "texts": len(texts), "label": bundle.fixed_label}
    tensors = {"normal": torch.from_numpy(np.sort(scores))}
    save_fitted(folder, bundle, ANOMALY_KIND, record, tensors)
    return cast(AnomalyCalibration, record)


def note_training_sentences(texts: Sequence[str], folder: Path) -> None:
    """Print a note if some of the normal texts are sentences that the model was trained on.

    The model gives them a better score than new sentences, whose p-values then come out too small.

    Args:
        folder: of the run; there is no note if it does not have the training sentences.
    """
    needed = (folder / SETTINGS_FILE, folder / "corpus" / "train.arrow")
    if not all(file.is_file() for file in needed):
        return
    run = Run(folder)
    cleaner = Cleaner(run.read_settings().data.model_copy(update={"drop_duplicates": False}))
    normal = Counter(map(cleaner, texts))
    training: set[str | None] = set()
    for block in run.open_split("train").select_columns(["text"]).iter(_ROWS_AT_ONCE):
        training.update(normal.keys() & set(block["text"]))
    known = sum(normal[text] for text in training)
    if known:
        print_note(
            f"{known:,} of {len(texts):,} normal sentences are training sentences of the model, so "
            "p-values come out too small: calibrate on others."
        )


def _check_label(bundle: Bundle, record: Mapping[str, object]) -> None:
    """Refuse a calibration with another label: the scores depend on the label.

    Raises:
        ConfigError: the message has both labels.
    """
    label = bundle.fixed_label
    fitted = record.get("label", label)  # calibrations of earlier versions do not record it
    if fitted != label:
        raise ConfigError(
            f"label = {quote_value(label)}: the normal texts were scored with the label "
            f"{quote_value(fitted)}. Use that label, or calibrate with this one under another name."
        )


def anomaly_scores(
    bundle: Bundle, texts: Sequence[str], settings: AnomalySettings, progress: bool = False
) -> _Float64Array:
    """Return the score of each text in nats per token, (n,); the end token counts as one.

    Texts longer than the model can read are cut.

    Raises:
        ConfigError: the score is unknown, or not defined for this model.
    """
    token_ids = encode_texts(bundle.tokenizer, texts)
    return _score_token_ids(bundle, token_ids, settings, progress)


def conformal_p_values(normal: _Float64Array, scores: _Float64Array) -> _Float64Array:
    """Return the conformal p-value of each score, (n,), given the sorted scores of normal texts.

    It is (1 + number of normal scores at least as high) / (1 + number of normal scores).
    """
    # "left" counts normal scores equal to this one as at least as anomalous. Without
    # ties counted, p-values would be too small.
    at_least_as_anomalous = len(normal) - np.searchsorted(normal, scores, side="left")
    p_values: _Float64Array = (1 + at_least_as_anomalous) / (1 + len(normal))
    return p_values


def _score_token_ids(
    bundle: Bundle, token_ids: list[list[int]], settings: AnomalySettings, progress: bool = False
) -> _Float64Array:
    """Return the score of each tokenized text in nats per token, (n,)."""
    score = SCORE_FUNCTIONS[settings.score]
    cut_ids = [ids[: bundle.max_text_tokens] for ids in token_ids]
    lengths = np.array([len(ids) for ids in cut_ids])
    dataset = Dataset.from_dict({"input_ids": cut_ids, "length": lengths})
    nats = np.zeros(len(cut_ids))
    bar = "scoring" if progress else None
    with torch.inference_mode():
        # No variable holds the generator: after an exception it would stay suspended within its
        # `no_grad`, and gradients would stay disabled.
        for indices, batch in iterate_batches(
            bundle, dataset, settings.seed, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS, bar
        ):
            nats[indices] = score(bundle, batch, settings.draws).double().cpu()
    scores: _Float64Array = nats / (lengths + 1)  # + 1: the end token is scored, too
    return scores


def _reconstruction(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return -log p(x | z) in nats, (batch,), averaged over samples of z."""
    return sample_terms(bundle, batch, draws).reconstruction.mean(0)


def _negative_elbo(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return the negative ELBO in nats, (batch,)."""
    terms = sample_terms(bundle, batch, draws)
    kl = _require_density(terms.kl)
    return (terms.reconstruction + kl).mean(0)


def _iw_nll(bundle: Bundle, batch: Batch, draws: int) -> Tensor:
    """Return the importance-weighted NLL in nats, (batch,)."""
    weights = _require_density(sample_terms(bundle, batch, draws).log_weights)
    return ImportanceSums.from_log_weights(weights).nll


def _require_density(terms: Tensor | None) -> Tensor:
    """Return terms that need a density; refuse a posterior without one, for which they are None.

    Raises:
        ConfigError: they are None.
    """
    if terms is None:
        raise ConfigError(
            "this model is an autoencoder without noise and defines no likelihood; "
            "use score = 'reconstruction'."
        )
    return terms


SCORE_FUNCTIONS: dict[AnomalyScore, _ScoreFunction] = {
    "reconstruction": _reconstruction,
    "elbo": _negative_elbo,
    "iw_nll": _iw_nll,
}
