"""Ranking: candidates of any length side by side, by the likelihood of the whole sentence."""

from collections.abc import Sequence

import torch
from datasets import Dataset

from textvae.bundle import Bundle
from textvae.measures.evidence import batches
from textvae.measures.importance_sums import ImportanceSums
from textvae.measures.likelihood import BATCH_TOKENS, log_weights
from textvae.processes import ALONE
from textvae.uses.encode import token_ids

FIRST, FINAL = 6, 128  # importance samples: of all candidates, and of the best
KEPT = 16


def log_likelihoods(bundle: Bundle, texts: Sequence[str], draws: int, seed: int) -> list[float]:
    """Return log p(x) of each text in nats: importance-weighted, or exact for a language model."""
    ids = token_ids(bundle, texts)
    dataset = Dataset.from_dict({"input_ids": ids, "length": [len(row) for row in ids]})
    found = [0.0] * len(texts)
    with torch.inference_mode():
        for places, batch in batches(bundle, dataset, seed, ALONE, BATCH_TOKENS, None):
            nll = ImportanceSums.of(log_weights(bundle, batch, draws)).nll
            for place, value in zip(places, nll.tolist(), strict=True):
                found[place] = -value
    return found


def ranked(bundle: Bundle, texts: Sequence[str], seed: int, kept: int = KEPT) -> list[tuple[float, str]]:
    """Return the best of the different texts with their log p(x), best first: many are looked at, a few well."""
    different = list(dict.fromkeys(texts))
    if not different:
        return []
    for draws in (FIRST, FINAL) if len(different) > kept else (FINAL,):
        scores = log_likelihoods(bundle, different, draws, seed)
        pairs = sorted(zip(scores, different, strict=True), key=lambda pair: (-pair[0], pair[1]))[:kept]
        different = [text for _, text in pairs]
    return pairs
