"""The likelihood, by importance sampling, and the perplexities that follow from it.

IW-NLL(K) = -[logsumexp_k(log p(x, z_k) - log q(z_k | x)) - log K] with K draws
from q(z | x) (Burda et al. 2016, arXiv:1509.00519) is an upper bound on the
negative log-likelihood that tightens with K. The end of the sentence counts as a
token; the start does not.

How far it is above is estimated from the weights themselves, and so is its Monte Carlo
error: see `importance_sums`. A fitted proposal makes it tighter: see `proposal`.

In adaptive mode, sentences with uneven weights get more of the draws: their
number is proportional to the weights' coefficient of variation (Neyman's
allocation), and the mean has the Monte Carlo error that K draws per sentence
would give. A few pilot draws, which are then discarded, show which sentences need
many. The measured draws themselves must not decide: a sentence would stop too
early when its heavy weights have not come yet.
"""

import math

import torch
from torch import Tensor
from tqdm import tqdm

from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.inference.batches import iterate_batches
from textvae.inference.importance_sums import MIN_DRAWS_FOR_PARTS, ImportanceSums
from textvae.inference.likelihood import LIKELIHOOD_BATCH_TOKENS, sample_log_weights
from textvae.runtime.seeds import derive_seed
from textvae.terminal import is_bar_hidden

_PILOT_DRAWS = 20  # per sentence; they only show how uneven its weights are
DRAWS_STEP = 50  # in adaptive mode, the number of draws is a multiple of it
_MAX_DRAWS_FACTOR = 10  # no sentence gets more than this many times K draws
_MAX_EXPONENT = 700  # the exponential of a larger number overflows

_LIKELIHOOD_KEYS = (
    "iw_nll",
    "iw_samples",
    "iw_nll_stderr",
    "iw_mc_stderr",
    "iw_looseness",
    "iw_looseness_stderr",
    "iw_ess",
    "iw_ess_median",
    "iw_width",
    "ppl_token",
    "ppl_word",
    "bits_per_byte",
)


def likelihood(inputs: EvaluationInput) -> dict[str, float | None]:
    """Return `iw_nll` in nats per sentence, its errors, and the perplexities that follow from it.

    `iw_samples` is the mean number of draws per sentence; `iw_ess` and `iw_ess_median` are
    the mean and the median effective sample size. `iw_nll_stderr` is the standard error
    over sentences, `iw_mc_stderr` that of the draws alone, and `iw_looseness` estimates by
    how much `iw_nll` is too high; with fewer than 8 draws, the last two are None. `iw_width` is the
    mean factor of a fitted proposal's width, and 1 where z is sampled from q. `ppl_token`
    is per predicted token. `ppl_word` is per white-space word, the end counted as one, so
    that models with different tokenizers can be compared. All are None where the posterior
    has no density.
    """
    outputs = inputs.outputs
    if not outputs.posterior.has_density:
        return dict.fromkeys(_LIKELIHOOD_KEYS)
    sums = _compute_configured_sums(inputs)
    nll = sums.nll
    n = len(nll)
    total = float(nll.sum())
    draws = float(sums.draws.mean())
    effective = sums.effective_sample_size
    looseness, looseness_error = sums.estimate_looseness() or (None, None)
    monte_carlo_error = None
    if draws >= MIN_DRAWS_FOR_PARTS:
        monte_carlo_error = math.sqrt(sums.estimate_mean_variance() / n)
    if not inputs.bundle.model.config.latent_dim:
        # A language model's likelihood is exact, with however few draws.
        looseness, looseness_error, monte_carlo_error = 0.0, 0.0, 0.0
    width = inputs.proposal_width
    return {
        "iw_nll": total / n,
        "iw_samples": int(draws) if draws.is_integer() else draws,
        "iw_nll_stderr": float(nll.std()) / math.sqrt(n) if n > 1 else 0.0,
        "iw_mc_stderr": monte_carlo_error,
        "iw_looseness": looseness,
        "iw_looseness_stderr": looseness_error,
        "iw_ess": float(effective.mean()),
        "iw_ess_median": float(effective.median()),
        "iw_width": 1.0 if width is None else float(width.mean()),
        "ppl_token": safe_exp(total / int(outputs.tokens.sum())),
        "ppl_word": safe_exp(total / int(outputs.words.sum())),
        "bits_per_byte": total / math.log(2) / int(outputs.bytes.sum()),
    }


def safe_exp(nats: float) -> float:
    """Return exp(nats), or infinity where it overflows."""
    return math.exp(nats) if nats < _MAX_EXPONENT else math.inf


def _compute_configured_sums(inputs: EvaluationInput) -> ImportanceSums:
    """Return the sums over adaptive draws or a fixed number of draws, as the settings say."""
    if inputs.settings.adaptive:
        return compute_adaptive_sums(inputs)
    return compute_sums(inputs, inputs.importance_samples)


def compute_adaptive_sums(inputs: EvaluationInput) -> ImportanceSums:
    """Return the sums over as many draws as the weights of each sentence need."""
    pilot = compute_sums(inputs, _PILOT_DRAWS, seed_key=1)
    draws = allocate_draws(pilot, inputs.importance_samples)
    draws = draws.clamp(max=_MAX_DRAWS_FACTOR * inputs.importance_samples)
    # Whole steps: sentences with the same number of draws then share batches.
    steps = (draws / DRAWS_STEP).ceil().clamp(min=1).long()
    sums = ImportanceSums.make_zeros(len(steps))
    for count in steps.unique().tolist():
        rows = (steps == count).nonzero().squeeze(1).tolist()
        sums.set_rows(rows, compute_sums(inputs, count * DRAWS_STEP, rows, seed_key=1 + count))
    return sums


def allocate_draws(sums: ImportanceSums, samples: int) -> Tensor:
    """Return the draws of each sentence, (n,), that give the error of `samples` draws for each.

    With coefficients of variation c_i, these are c_i * samples * sum c / sum c^2.
    """
    coefficient_of_variation = (sums.variance * sums.draws).sqrt()
    squares = coefficient_of_variation.square().sum()
    if squares > 0:
        return coefficient_of_variation * (samples * coefficient_of_variation.sum() / squares)
    return torch.zeros_like(coefficient_of_variation)


def compute_sums(
    inputs: EvaluationInput, samples: int, rows: list[int] | None = None, seed_key: int = 0
) -> ImportanceSums:
    """Return the sums over `samples` draws of each sentence.

    Args:
        rows: row numbers of the sentences in the data set; by default all of them.
        seed_key: another key gives other draws.
    """
    dataset = inputs.dataset if rows is None else inputs.dataset.select(rows)
    seed = derive_seed(inputs.seed, seed_key) if seed_key else inputs.seed
    sums = ImportanceSums.make_zeros(len(dataset))
    with tqdm(
        total=len(dataset),
        desc=f"IW-NLL, {samples} samples",
        unit="sentence",
        disable=is_bar_hidden(inputs.progress),
    ) as bar:
        for indices, batch in iterate_batches(
            inputs.bundle, dataset, seed, inputs.processes, LIKELIHOOD_BATCH_TOKENS
        ):
            log_weights = sample_log_weights(inputs.bundle, batch, samples, inputs.proposal_width)
            sums.set_rows(indices, ImportanceSums.from_log_weights(log_weights))
            bar.update(len(indices))
    return sums.sum_over_processes(inputs.processes)
