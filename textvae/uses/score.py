"""Score: what a model makes of each sentence, in nats.

The terms of the ELBO with one posterior sample, the surprisal of each token
under that sample, and the importance-weighted NLL (Burda et al. 2016,
arXiv:1509.00519) with its own error. Dropout is off and no technique has a say.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from datasets import Dataset
from pydantic import Field
from torch import Tensor

from textvae.data.batching import Batch
from textvae.data.tokenization import decode_batch, encode_batch
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.schema import StrictSettings

_ScoreRecord = dict[str, Any]


FIELDS = (
    *("elbo", "reconstruction", "kl", "iw_nll", "iw_nll_stderr"),
    *("surprisal", "words", "tokens", "is_cut"),
)  # of a record


class ScoreSettings(StrictSettings):
    """How thoroughly sentences are scored."""

    samples: int = Field(50, ge=2, description="importance samples a sentence")
    seed: int = Field(0, ge=0)


def score(
    bundle: Bundle,
    texts: Sequence[str],
    settings: ScoreSettings,
    progress: bool = False,
    labels: Sequence[str] | None = None,
) -> list[_ScoreRecord]:
    """Return a record for each text, in the order given.

    Keys, in nats unless they count: `elbo` (negative), `reconstruction`, `kl`,
    `iw_nll` and its standard error `iw_nll_stderr`, `surprisal` (one number a
    token, the end included; they sum to `reconstruction`), `words` and `tokens`
    (the end counted), `is_cut` (longer than the model was made for: what was
    scored, and its words counted, is the beginning). Where the posterior has no
    density, `elbo`, `kl` and the IW-NLL are None. Under a conditional model all
    are of p(x | y): its `labels`, one a text, are wanted.
    """
    if not texts:
        return []
    whole = encode_batch(bundle.tokenizer, texts)
    ids = [row[: bundle.max_text_tokens] for row in whole]
    dataset = Dataset.from_dict(
        {
            "input_ids": ids,
            "length": [len(row) for row in ids],
            **_build_label_column(bundle, labels),
        }
    )
    records: list[_ScoreRecord] = [{} for _ in texts]
    bar = "scoring" if progress else None
    with torch.inference_mode():
        for places, batch in iterate_batches(
            bundle, dataset, settings.seed, SINGLE_PROCESS, LIKELIHOOD_BATCH_TOKENS, bar
        ):
            for place, costs in zip(
                places, _score_batch(bundle, batch, settings.samples), strict=True
            ):
                is_cut = len(whole[place]) > len(ids[place])
                read = decode_batch(bundle.tokenizer, [ids[place]])[0] if is_cut else texts[place]
                words = len(read.split()) + 1
                records[place] = {
                    **costs,
                    "words": words,
                    "tokens": len(ids[place]) + 1,
                    "is_cut": is_cut,
                }
    return records


def _build_label_column(bundle: Bundle, labels: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the column in which a conditional model's data sets have their labels; none without them."""
    known = bundle.labels
    return {} if labels is None or known is None else {known.column: list(labels)}


def _score_batch(bundle: Bundle, batch: Batch, samples: int) -> Iterator[_ScoreRecord]:
    """Yield the costs of a batch's sentences."""
    output = bundle.model(**batch)
    table = {
        "reconstruction": output.sentence_reconstruction,
        **_compute_bounds(bundle, batch, samples, output.kl),
    }
    columns = {name: values.tolist() for name, values in table.items()}
    surprisals, lengths = (
        output.token_reconstruction.tolist(),
        batch["attention_mask"].sum(1).tolist(),
    )
    for place, length in enumerate(lengths):
        costs = {name: values[place] for name, values in columns.items()}
        elbo = -(costs["reconstruction"] + costs["kl"]) if "kl" in costs else None
        undefined = dict.fromkeys(("kl", "iw_nll", "iw_nll_stderr")) if elbo is None else {}
        yield {"elbo": elbo, **costs, **undefined, "surprisal": surprisals[place][:length]}


def _compute_bounds(
    bundle: Bundle, batch: Batch, samples: int, kl: Tensor | None
) -> dict[str, Tensor]:
    """Return what asks for a density, each (batch,); nothing where there is none."""
    if kl is None:
        return {}
    sums = ImportanceSums.from_log_weights(sample_log_weights(bundle, batch, samples))
    return {"kl": kl.sum(1), "iw_nll": sums.nll, "iw_nll_stderr": sums.variance.sqrt()}
