"""The likelihood, by importance sampling, and the perplexities that follow.

IW-NLL(K) = -[logsumexp_k(log p(x, z_k) - log q(z_k | x)) - log K] with K draws
from q(z | x) (Burda et al. 2016, arXiv:1509.00519): an upper bound on the
negative log-likelihood that tightens with K. The end of the sentence is
counted, the start is not.

Adaptively, sentences whose weights are uneven get more of the draws: in
proportion to the weights' coefficient of variation (Neyman's allocation), as
many as give the mean the Monte Carlo error it has with K draws each. Who needs
many is told by a few draws that are then thrown away: a sentence that is
stopped by the draws it is measured with stops too early when its heavy weights
have not come yet.
"""

import math

import torch
from torch import Tensor
from tqdm import tqdm

from textvae.evaluation.measures.subject import EvaluationInput
from textvae.inference.batches import iterate_batches
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runtime.seeds import derive_seed

_PILOT_DRAWS = 20  # draws that only tell how uneven a sentence's weights are


DRAWS_STEP = 50  # adaptively, draws are given in multiples of it


_MAX_DRAWS_FACTOR = 10  # times K: the most draws a sentence gets


_LIKELIHOOD_KEYS = (
    "iw_nll",
    "iw_samples",
    "iw_nll_stderr",
    "iw_mc_stderr",
    "iw_bias",
    "iw_ess",
    "ppl_token",
    "ppl_word",
    "bits_per_byte",
)


def likelihood(subject: EvaluationInput) -> dict[str, float | None]:
    """Return `iw_nll` in nats per sentence, and the perplexities and bits per byte of it.

    `iw_samples` is the mean number of draws, `iw_ess` that of effective ones.
    `iw_nll_stderr` is over sentences, `iw_mc_stderr` of the draws alone, and
    `iw_bias` about what `iw_nll` is too high by. `ppl_token` is per predicted
    token; `ppl_word` is per white-space word, one more for the end, so that
    models with different tokenizers compare. All are None where the posterior
    has no density.
    """
    if not subject.outputs.posterior.has_density:
        return dict.fromkeys(_LIKELIHOOD_KEYS)
    sums = (
        compute_adaptive_sums(subject)
        if subject.settings.adaptive
        else compute_sums(subject, subject.samples)
    )
    nll, n, evidence = sums.nll, len(sums.nll), subject.outputs
    total, draws = float(nll.sum()), float(sums.draws.mean())
    return {
        "iw_nll": total / n,
        "iw_samples": int(draws) if draws.is_integer() else draws,
        "iw_nll_stderr": float(nll.std()) / math.sqrt(n) if n > 1 else 0.0,
        "iw_mc_stderr": math.sqrt(float(sums.variance.sum())) / n,
        "iw_bias": float(sums.variance.mean()) / 2,
        "iw_ess": float(sums.effective.mean()),
        "ppl_token": safe_exp(total / int(evidence.tokens.sum())),
        "ppl_word": safe_exp(total / int(evidence.words.sum())),
        "bits_per_byte": total / math.log(2) / int(evidence.bytes.sum()),
    }


def safe_exp(nats: float) -> float:
    """Return exp(nats), infinite rather than an error where it overflows."""
    return math.exp(nats) if nats < 700 else math.inf


def compute_adaptive_sums(subject: EvaluationInput) -> ImportanceSums:
    """Return the sums over as many draws a sentence as its weights call for."""
    wanted = allocate_draws(compute_sums(subject, _PILOT_DRAWS, number=1), subject.samples).clamp(
        max=_MAX_DRAWS_FACTOR * subject.samples
    )
    steps = (wanted / DRAWS_STEP).ceil().clamp(min=1).long()
    sums = ImportanceSums.make_zeros(len(steps))
    for count in steps.unique().tolist():
        rows = (steps == count).nonzero().squeeze(1).tolist()
        sums.set_rows(rows, compute_sums(subject, count * DRAWS_STEP, rows, 1 + count))
    return sums


def allocate_draws(sums: ImportanceSums, samples: int) -> Tensor:
    """Return the draws of each sentence, (n,), that give the error of `samples` each."""
    variation = (sums.variance * sums.draws).sqrt()  # of a weight, relative to their mean
    squares = variation.square().sum()
    return (
        variation * (samples * variation.sum() / squares)
        if squares > 0
        else torch.zeros_like(variation)
    )


def compute_sums(
    subject: EvaluationInput, samples: int, rows: list[int] | None = None, number: int = 0
) -> ImportanceSums:
    """Return the sums over some draws of every sentence, or of some `rows`; another `number`, other draws."""
    dataset = subject.dataset if rows is None else subject.dataset.select(rows)
    seed = derive_seed(subject.seed, number) if number else subject.seed
    sums = ImportanceSums.make_zeros(len(dataset))
    with tqdm(
        total=len(dataset),
        desc=f"IW-NLL, {samples} samples",
        unit="sentence",
        disable=not subject.progress,
    ) as bar:
        for places, batch in iterate_batches(
            subject.bundle, dataset, seed, subject.processes, LIKELIHOOD_BATCH_TOKENS
        ):
            sums.set_rows(
                places, ImportanceSums.of(sample_log_weights(subject.bundle, batch, samples))
            )
            bar.update(len(places))
    return sums.shared(subject.processes)
