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

from textvae.batching import Batch
from textvae.bundle import Bundle
from textvae.importance import log_importance
from textvae.measures.evidence import Subject, batches
from textvae.measures.importance_sums import ImportanceSums
from textvae.seeds import derived

BATCH_TOKENS = 1024  # of distinct sentences; each is then repeated
ROWS_TOKENS = 16_384  # that go through the decoder at once
GPU_ROWS_TOKENS = 131_072  # the same on a GPU
PILOT = 20  # draws that only tell how uneven a sentence's weights are
STEP = 50  # adaptively, draws are given in multiples of it
MOST = 10  # times K: the most draws a sentence gets
FIGURES = (
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


def likelihood(subject: Subject) -> dict[str, float | None]:
    """Return `iw_nll` in nats per sentence, and the perplexities and bits per byte of it.

    `iw_samples` is the mean number of draws, `iw_ess` that of effective ones.
    `iw_nll_stderr` is over sentences, `iw_mc_stderr` of the draws alone, and
    `iw_bias` about what `iw_nll` is too high by. `ppl_token` is per predicted
    token; `ppl_word` is per white-space word, one more for the end, so that
    models with different tokenizers compare. All are None where the posterior
    has no density.
    """
    if not subject.evidence.posterior.has_density:
        return dict.fromkeys(FIGURES)
    sums = adaptive_sums(subject) if subject.settings.adaptive else sums_of(subject, subject.samples)
    nll, n, evidence = sums.nll, len(sums.nll), subject.evidence
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


def adaptive_sums(subject: Subject) -> ImportanceSums:
    """Return the sums over as many draws a sentence as its weights call for."""
    wanted = wanted_draws(sums_of(subject, PILOT, number=1), subject.samples).clamp(max=MOST * subject.samples)
    steps = (wanted / STEP).ceil().clamp(min=1).long()
    sums = ImportanceSums.blank(len(steps))
    for count in steps.unique().tolist():
        rows = (steps == count).nonzero().squeeze(1).tolist()
        sums.place(rows, sums_of(subject, count * STEP, rows, 1 + count))
    return sums


def wanted_draws(sums: ImportanceSums, samples: int) -> Tensor:
    """Return the draws of each sentence, (n,), that give the error of `samples` each."""
    variation = (sums.variance * sums.draws).sqrt()  # of a weight, relative to their mean
    squares = variation.square().sum()
    return variation * (samples * variation.sum() / squares) if squares > 0 else torch.zeros_like(variation)


def sums_of(subject: Subject, samples: int, rows: list[int] | None = None, number: int = 0) -> ImportanceSums:
    """Return the sums over some draws of every sentence, or of some `rows`; another `number`, other draws."""
    dataset = subject.dataset if rows is None else subject.dataset.select(rows)
    seed = derived(subject.seed, number) if number else subject.seed
    sums = ImportanceSums.blank(len(dataset))
    with tqdm(
        total=len(dataset), desc=f"IW-NLL, {samples} samples", unit="sentence", disable=not subject.progress
    ) as bar:
        for places, batch in batches(subject.bundle, dataset, seed, subject.processes, BATCH_TOKENS):
            sums.place(places, ImportanceSums.of(log_weights(subject.bundle, batch, samples)))
            bar.update(len(places))
    return sums.shared(subject.processes)


def log_weights(bundle: Bundle, batch: Batch, samples: int) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x), (samples, batch); a bounded number of draws is in memory at once."""
    model = bundle.model
    posterior = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    if not model.config.latent_dim:  # a language model: every weight is p(x)
        return log_importance(model, posterior, batch, posterior.sample().unsqueeze(0)).double().expand(samples, -1)
    room = GPU_ROWS_TOKENS if batch["input_ids"].is_cuda else ROWS_TOKENS
    at_once = max(1, room // batch["input_ids"].numel())
    weights = []
    for start in range(0, samples, at_once):
        repeats = min(at_once, samples - start)
        z = torch.stack([posterior.sample() for _ in range(repeats)])  # (repeats, batch, latent)
        weights.append(log_importance(model, posterior, batch, z))
    return torch.cat(weights).double()
