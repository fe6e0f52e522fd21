"""Score: compute the log-likelihood bounds of each sentence, in nats.

They are the terms of the ELBO, the surprisal of each token, and the importance-weighted
NLL (Burda et al. 2016, arXiv:1509.00519), all from the same samples of z. Dropout is off,
and no training technique changes the terms.

The samples depend on the seed and on the sentence alone, so a sentence gets the same
numbers whatever other sentences are scored with it, up to rounding.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from datasets import Dataset
from torch import Tensor

from textvae.data.batching import Batch
from textvae.data.tokenization import decode_batch, encode_texts
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, SampledTerms, sample_terms
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.uses.records import Score
from textvae.uses.settings import ScoreSettings

_FIELDS_OF_A_DENSITY = ("elbo", "elbo_stderr", "kl", "iw_nll", "iw_nll_stderr", "iw_ess")


def score(
    bundle: Bundle,
    texts: Sequence[str],
    settings: ScoreSettings,
    progress: bool = False,
    labels: Sequence[str] | None = None,
) -> list[Score]:
    """Return a record for each text, in the order of the texts.

    Keys, in nats: `elbo` (negative) and `iw_nll` with their standard errors, `elbo_stderr`
    and `iw_nll_stderr`; `reconstruction`, `kl`, and `surprisal`, one number per token, which
    sum to `reconstruction`. All are averages over the same samples of z. `iw_ess` is the
    effective sample size of the importance weights: if it is only a few, `iw_nll` is too high
    and its error too small. Counts: `words` and `tokens`. The end of the sentence counts as a
    token and as a word. `is_cut` is True if the text is longer than the model can read; then
    only its beginning is scored and counted. Where the posterior has no density, `elbo`, `kl`,
    the IW-NLL, the errors and `iw_ess` are None. Under a conditional model all terms are those
    of p(x | y).

    Args:
        labels: one per text; required by a conditional model without a fixed label.
    """
    if not texts:
        return []
    all_ids = encode_texts(bundle.tokenizer, texts)
    ids = [row[: bundle.max_text_tokens] for row in all_ids]
    columns = {"input_ids": ids, "length": [len(row) for row in ids]}
    dataset = Dataset.from_dict({**columns, **_build_label_column(bundle, labels)})
    records: list[dict[str, Any]] = [{} for _ in texts]
    bar = "scoring" if progress else None
    with torch.inference_mode():
        # No variable holds the generator: after an exception it would stay suspended within its
        # `no_grad`, and gradients would stay disabled.
        for indices, batch in iterate_batches(
            bundle, dataset, settings.seed, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS, bar
        ):
            batch_costs = _score_batch(bundle, batch, settings.samples)
            for index, costs in zip(indices, batch_costs, strict=True):
                records[index] = {**costs, **_count_units(bundle, texts[index], all_ids[index])}
    return cast(list[Score], records)


def _build_label_column(bundle: Bundle, labels: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the label column of a conditional model's data sets; an empty dict without labels."""
    known_labels = bundle.labels
    if labels is None or known_labels is None:
        return {}
    return {known_labels.column: list(labels)}


def _count_units(bundle: Bundle, text: str, ids: list[int]) -> dict[str, Any]:
    """Return the numbers of words and tokens that were scored, and whether the text was cut."""
    is_cut = len(ids) > bundle.max_text_tokens
    if is_cut:
        ids = ids[: bundle.max_text_tokens]
        text = decode_batch(bundle.tokenizer, [ids])[0]
    return {"words": len(text.split()) + 1, "tokens": len(ids) + 1, "is_cut": is_cut}


def _score_batch(bundle: Bundle, batch: Batch, samples: int) -> Iterator[dict[str, Any]]:
    """Yield the terms in nats of each sentence of a batch."""
    terms = sample_terms(bundle, batch, samples)
    columns = {
        "reconstruction": terms.reconstruction.mean(0).tolist(),
        **_compute_bounds(terms),
    }
    surprisals = terms.token_nll.mean(0).tolist()
    lengths = batch["attention_mask"].sum(1).tolist()
    for row, length in enumerate(lengths):
        costs = {name: values[row] for name, values in columns.items()}
        yield {
            **dict.fromkeys(_FIELDS_OF_A_DENSITY),
            **costs,
            "surprisal": surprisals[row][:length],
        }


def _compute_bounds(terms: SampledTerms) -> dict[str, list[float]]:
    """Return the terms that need a posterior density, one number per sentence."""
    if terms.kl is None or terms.log_weights is None:
        return {}
    elbos = -(terms.reconstruction + terms.kl)  # (samples, batch)
    sums = ImportanceSums.from_log_weights(terms.log_weights)
    tensors: dict[str, Tensor] = {
        "elbo": elbos.mean(0),
        "elbo_stderr": elbos.std(0) / math.sqrt(len(elbos)),
        "kl": terms.kl.mean(0),
        "iw_nll": sums.nll,
        "iw_nll_stderr": sums.variance.sqrt(),
        "iw_ess": sums.effective_sample_size,
    }
    return {name: values.tolist() for name, values in tensors.items()}
