"""Uncertainty: estimate how certain the model is of a sentence's latent.

There are three estimates: what the sentence costs when it is decoded from its own
latent, in nats per token; how much the sentences decoded from samples of q(z | x) differ
from one another; and the spread of q(z | x). All need nothing but the text itself. `error`,
the share of the sentence that the reconstruction loses, is the quantity they should
predict. The cost predicts it best, and needs a single pass.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from textvae.data.batching import select_decoder_inputs
from textvae.data.tokenization import decode_batch, encode_texts
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length, decode_latents
from textvae.inference.encode import posterior, tokenize_and_truncate
from textvae.inference.memory import check_texts_fit
from textvae.inference.settings import DecodingSettings
from textvae.model.posteriors import Distribution
from textvae.runtime.seeds import Stream, derive_seed, derive_sentence_seed
from textvae.uses.records import Uncertainty
from textvae.uses.settings import UncertaintySettings


def uncertainty(
    bundle: Bundle, texts: Sequence[str], settings: UncertaintySettings, progress: bool = False
) -> list[Uncertainty]:
    """Return a record for each text, in the order of the texts.

    Keys: `nats_per_token`, -log p(x | z) at the posterior mean z, divided by the number of
    tokens (the end counts as one); `spread`, the entropy of q(z | x) in nats per dimension, estimated from
    samples (None where q has no density); `disagreement`, the mean `word_difference`
    between the sentences decoded from two samples; `reconstruction`, the text decoded
    from the posterior mean; `error`, the `word_difference` between the text and its
    reconstruction; and `is_cut`: True if the text is longer than the model can read. Then all
    of these are about its beginning alone.
    """
    if not texts:
        return []
    latent_dim = bundle.model.config.latent_dim
    check_texts_fit("uncertainty.draws", settings.draws, latent_dim, len(texts))
    q = posterior(bundle, texts, progress=progress)
    seed = derive_seed(settings.seed, Stream.UNCERTAINTY)
    all_ids = encode_texts(bundle.tokenizer, texts)
    # A text's samples depend on its own tokens, and not on the other texts.
    seeds = [derive_sentence_seed(seed, ids[: bundle.max_text_tokens]) for ids in all_ids]
    z = q.sample_with_seeds(seeds, settings.draws).transpose(0, 1)  # (n, draws, latent)
    options = DecodingSettings(seed=settings.seed)
    decoded = decode_latents(
        bundle, z.flatten(0, 1), options, samples_by_default=False, progress=progress
    )
    reconstructions = decode_latents(
        bundle, q.mean, options, samples_by_default=False, progress=progress
    )
    costs = compute_token_costs(bundle, texts, q.mean)
    rows = zip(texts, all_ids, reconstructions, costs, entropies(q, z), strict=True)
    records = []
    for index, (text, ids, reconstruction, cost, spread) in enumerate(rows):
        first = index * settings.draws
        pairs = combinations(decoded[first : first + settings.draws], 2)
        record: Uncertainty = {
            "nats_per_token": cost,
            "spread": spread,
            "disagreement": fmean(word_difference(*pair) for pair in pairs),
            "reconstruction": reconstruction,
            "error": word_difference(_decode_beginning(bundle, text, ids), reconstruction),
            "is_cut": len(ids) > bundle.max_text_tokens,
        }
        records.append(record)
    return records


def _decode_beginning(bundle: Bundle, text: str, ids: list[int]) -> str:
    """Return the part of a text that the model reads: its beginning if it is too long."""
    if len(ids) <= bundle.max_text_tokens:
        return text
    return decode_batch(bundle.tokenizer, [ids[: bundle.max_text_tokens]])[0]


@torch.inference_mode()
def compute_token_costs(
    bundle: Bundle, texts: Sequence[str], latents: Tensor, batch_size: int = 256
) -> list[float]:
    """Return -log p(x | z) of each text in nats per token, its end included.

    Texts that are longer than the model can read are cut.

    Args:
        latents: z of each text, (n, latent).
    """
    ids = tokenize_and_truncate(bundle, texts)
    costs = torch.zeros(len(texts))
    for indices in batch_by_length([len(row) for row in ids], batch_size):
        batch = bundle.make_batch([ids[index] for index in indices])
        latent = latents[indices].to(bundle.device)
        output = bundle.model(**select_decoder_inputs(batch), latent=latent)
        tokens = batch["attention_mask"].sum(1)
        costs[indices] = (output.sentence_reconstruction / tokens).float().cpu()
    values: list[float] = costs.tolist()
    return values


def entropies(q: Distribution, z: Tensor) -> list[float | None]:
    """Return the entropy of each text's q(z | x) in nats per dimension, estimated from samples.

    It is None where q has no density.

    Shapes:
        z: (n, draws, latent)
    """
    if not q.has_density:
        return [None] * len(z)
    log_densities = torch.stack([q.log_prob(z[:, draw]) for draw in range(z.shape[1])])
    nats: list[float | None] = (-log_densities.mean(0) / z.shape[2]).tolist()
    return nats


def word_difference(one: str, other: str) -> float:
    """Return 1 minus the share of words that two texts have in common in the same order.

    It is 0 for equal texts and 1 for texts that share no word, and the same for both orders of
    the arguments: 1 - 2 L / (m + n), where L is the length of the longest common subsequence of
    the m and n words.
    """
    words = one.split()
    other_words = other.split()
    if not words and not other_words:
        return 0.0
    common = _longest_common_subsequence(words, other_words)
    return 1 - 2 * common / (len(words) + len(other_words))


def _longest_common_subsequence(words: Sequence[str], others: Sequence[str]) -> int:
    """Return the largest number of words that two texts share in the same order."""
    # difflib's matcher is no substitute: it takes the longest block first, which can miss words,
    # and its result depends on which text comes first.
    lengths = [0] * (len(others) + 1)  # of the words so far with the first j others
    for word in words:
        diagonal = 0  # the value of lengths[j - 1] before this word
        for j, other in enumerate(others, start=1):
            above = lengths[j]
            lengths[j] = diagonal + 1 if word == other else max(above, lengths[j - 1])
            diagonal = above
    return lengths[-1]


def calibration_curve(
    records: Sequence[Mapping[str, Any]], key: str, groups: int = 10
) -> list[tuple[float, float]]:
    """Return the mean of `key` and the mean `error` of each group of records.

    Groups have equal size and go from the most to the least certain records. With fewer
    records than groups, there are as many groups as records.

    Args:
        key: the estimate to group by: `nats_per_token`, `disagreement` or `spread`.
    """
    ordered = sorted(records, key=lambda record: record[key])
    bounds = [round(group * len(ordered) / groups) for group in range(groups + 1)]
    curve = []
    for start, end in pairwise(bounds):
        group = ordered[start:end]
        if group:  # with fewer records than groups, some groups are empty
            mean_key = fmean(record[key] for record in group)
            mean_error = fmean(record["error"] for record in group)
            curve.append((mean_key, mean_error))
    return curve


def selective_errors(
    records: Sequence[Mapping[str, Any]], key: str, groups: int = 10
) -> list[tuple[float, float]]:
    """Return shares of the records to keep, each with the mean `error` of those that are kept.

    The most certain records are kept. Shares are 1 / groups, 2 / groups ... 1; those
    that keep no record are left out.

    Args:
        key: the estimate to keep records by: `nats_per_token`, `disagreement` or `spread`.
    """
    ordered = sorted(records, key=lambda record: record[key])
    curve = []
    for group in range(1, groups + 1):
        kept = ordered[: round(group * len(ordered) / groups)]
        if kept:
            curve.append((group / groups, fmean(record["error"] for record in kept)))
    return curve
