"""Compare the model's own prior with fitted ones, by their samples and by their densities.

    python experiments/priors.py RUN LANGUAGE_MODEL [--kinds flow,diffusion] [--samples 1000]

LANGUAGE_MODEL is a run of the same corpus with objective=language_model. Priors are
fitted on the run's training split. For comparison, the row "real" measures the same
number of sentences of its test split.

Some columns of the tables:

- accepted: the share of sentences whose mean log-likelihood per token, under the
  language model, is above the 5 % quantile of the validation sentences.
- density: the mean log p(z), in nats, with one z sampled from q(z | x) of each test
  sentence. If it rises by one nat, -ELBO falls by one nat.
- IW-NLL: of the first test sentences, with 50 importance samples each.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from textvae.data.batching import Batch
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.samples import (
    compute_self_bleu,
    distinct_share,
    find_seen,
    novel_share,
)
from textvae.inference.batches import iterate_batches
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import posterior
from textvae.inference.importance_sums import ImportanceSums
from textvae.inference.settings import DecodingSettings
from textvae.model.importance import log_importance_weights
from textvae.model.posteriors import Distribution
from textvae.model.priors import Prior
from textvae.runs.run import Run
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.runtime.spacing import take_evenly
from textvae.uses.fit_prior.base import FittedPrior
from textvae.uses.fit_prior.fit import FITTED_PRIORS, fit_on_posterior, sample_fitted_prior
from textvae.uses.score import score
from textvae.uses.settings import ScoreSettings
from textvae.vae import TextVAE

MAX_TRAINING_SENTENCES = 50_000
BLEU_SAMPLES = 200  # texts that self-BLEU is averaged over
RECONSTRUCTIONS = 300  # test sentences whose reconstructions are measured
DRAWS = 50  # importance samples per sentence
DRAWS_PER_PASS = 10
BATCH_TOKENS = 512  # of the IW-NLL; small, because each sentence has 50 draws
ACCEPTANCE_QUANTILE = 0.05
OWN_PRIOR = "N(0, I)"
DIGITS = {  # after the decimal point, for each column of `HEAD`
    "reverse": 1,
    "forward": 1,
    "bleu": 1,
    "distinct": 3,
    "novel": 3,
    "accepted": 3,
    "words": 1,
}
HEAD = "| z from | reverse ppl | forward ppl | self-BLEU | distinct-2 | novel | accepted | words |"


class SampleTable:
    """Measures texts, and formats the rows of the table of samples.

    Args:
        train, validation, test: sentences of the run's splits.
        language_model: decides which texts are accepted.
    """

    def __init__(
        self,
        train: Sequence[str],
        validation: Sequence[str],
        test: Sequence[str],
        language_model: TextVAE,
    ) -> None:
        self.train = train
        self.test = test
        self.language_model = language_model
        self.ngrams = NGramModel(train)
        self.floor = np.quantile(self.compute_log_likelihoods(validation), ACCEPTANCE_QUANTILE)

    def compute_log_likelihoods(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the mean log-likelihood per token of each text, its end included, (n,)."""
        records = score(self.language_model.bundle, texts, ScoreSettings(samples=2))
        means = []
        for record in records:
            assert record["reconstruction"] is not None  # only blank texts have none
            assert record["tokens"] is not None
            means.append(-record["reconstruction"] / record["tokens"])
        return np.array(means)

    def format_row(
        self, name: str, texts: Sequence[str], reverse: Sequence[str] | None = None
    ) -> str:
        """Return a row of the table.

        Args:
            reverse: sentences from which the 5-grams of the reverse perplexity are learned; by
                default the texts.
        """
        # One vocabulary for all rows: otherwise texts of few different words would win.
        reverse_ngrams = NGramModel(reverse or texts, vocabulary=self.ngrams.word_ids)
        measures = {
            "reverse": reverse_ngrams.perplexity(self.test),
            "forward": self.ngrams.perplexity(texts),
            "bleu": compute_self_bleu(texts[:BLEU_SAMPLES]),
            "distinct": distinct_share(texts, 2),
            "novel": novel_share(texts, find_seen(set(texts), self.train)[0]),
            "accepted": float((self.compute_log_likelihoods(texts) > self.floor).mean()),
            "words": np.mean([len(text.split()) for text in texts]),
        }
        cells = [f"{value:.{DIGITS[key]}f}" for key, value in measures.items()]
        return f"| {name} | {' | '.join(cells)} |"


def compute_corpus_bleu(texts: Sequence[str | None], references: Sequence[str]) -> float:
    """Return BLEU-4 of all texts together."""
    from sacrebleu.metrics import BLEU

    return float(BLEU(tokenize="13a", lowercase=True).corpus_score(texts, [references]).score)


@torch.no_grad()
def compute_iw_nll(
    bundle: Bundle, dataset: Dataset, priors: Mapping[str, Prior | FittedPrior]
) -> dict[str, float]:
    """Return the mean importance-weighted NLL with each prior, in nats per sentence.

    All priors are measured with the same draws from q(z | x).
    """
    sums = {name: ImportanceSums.make_zeros(len(dataset)) for name in priors}
    for indices, batch in iterate_batches(bundle, dataset, 0, SINGLE_PROCESS, BATCH_TOKENS):
        z, log_weights = sample_importance_weights(bundle, batch)
        own_density = bundle.model.prior.log_prob(z)
        for name, prior in priors.items():
            # log p(x, z) - log q(z | x), with this prior's p(z) instead of the model's.
            density = prior.log_prob(z.flatten(0, 1)).view_as(own_density)
            sums[name].set_rows(
                indices, ImportanceSums.from_log_weights(log_weights - own_density + density)
            )
    return {name: float(prior_sums.nll.mean()) for name, prior_sums in sums.items()}


def sample_importance_weights(bundle: Bundle, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sample z from q(z | x), and return it with the logarithms of its importance weights.

    Shapes:
        returns z, (draws, batch, latent), and log p(x, z) - log q(z | x), (draws, batch)
    """
    q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    z = torch.stack([q.sample() for _ in range(DRAWS)])
    # All draws at once would need too much memory.
    parts = z.split(DRAWS_PER_PASS)
    weights = [log_importance_weights(bundle.model, q, batch, part) for part in parts]
    return z, torch.cat(weights)


@dataclass(frozen=True)
class PriorRow:
    """A row of the table of priors, apart from the IW-NLL.

    Attributes:
        density: mean log p(z) in nats.
        sample_seconds: for a thousand samples of z.
    """

    name: str
    density: float
    fit_seconds: float
    sample_seconds: float


def measure_prior(
    name: str, q: Distribution, latents: Tensor, bundle: Bundle, table: SampleTable, count: int
) -> tuple[Prior | FittedPrior, PriorRow]:
    """Fit a prior, print its row of the sample table, and return it with its other measures.

    Args:
        q: posteriors of the training sentences.
        latents: one sample of q(z | x) for each test sentence, (n, latent).
        count: how many sentences to sample.
    """
    start = time.perf_counter()
    prior: Prior | FittedPrior = bundle.model.prior
    if name != OWN_PRIOR:
        prior = fit_on_posterior(q, FITTED_PRIORS[name])
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    z = sample_fitted_prior(prior, count, seed=0)
    sample_seconds = (time.perf_counter() - start) * 1000 / count
    texts = decode_latents(bundle, z, DecodingSettings(seed=0), samples_by_default=True)
    print(table.format_row(name, texts), flush=True)
    with torch.no_grad():
        density = float(prior.log_prob(latents).mean())
    return prior, PriorRow(name, density, fit_seconds, sample_seconds)


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("language_model")
    parser.add_argument(
        "--kinds", default=",".join(FITTED_PRIORS), help="kinds of priors to fit (default: all)"
    )
    parser.add_argument("--samples", type=int, default=1000, help="sentences to sample per prior")
    parser.add_argument("--likelihoods", type=int, default=300, help="test sentences of the IW-NLL")
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    options = parse_options()
    run = Run(Path(options.run))
    vae = TextVAE.from_pretrained(options.run, device="cpu")
    language_model = TextVAE.from_pretrained(options.language_model, device="cpu")
    count = options.samples
    train = run.open_split("train")[:MAX_TRAINING_SENTENCES]["text"]
    validation = take_evenly(run.open_split("validation")["text"], count)
    test = take_evenly(run.open_split("test")["text"], count)
    table = SampleTable(train, validation, test, language_model)
    start = time.perf_counter()
    q = posterior(vae.bundle, train)
    q_test = posterior(vae.bundle, test)
    seconds = time.perf_counter() - start
    print(f"{len(train)} sentences to fit on, encoded in {seconds:.0f} s\n\n{HEAD}")
    real = table.format_row("real", test, take_evenly(train, count))
    print("|---" * 8 + "|\n" + real, flush=True)
    torch.manual_seed(0)
    latents = q_test.sample()
    priors = {}
    rows = []
    for name in (OWN_PRIOR, *options.kinds.split(",")):
        priors[name], row = measure_prior(name, q, latents, vae.bundle, table, count)
        rows.append(row)
    iw_nll = {}
    if q.has_density:
        # The diffusion's density takes too long to compute for 50 draws of each sentence.
        fast = {name: prior for name, prior in priors.items() if name != "diffusion"}
        sentences = run.open_split("test").select(range(options.likelihoods))
        iw_nll = compute_iw_nll(vae.bundle, sentences, fast)
    print("\n| prior | density | seconds to fit | seconds per 1,000 samples | IW-NLL |")
    print("|---|---|---|---|---|")
    for row in rows:
        nll = f"{iw_nll[row.name]:.2f}" if row.name in iw_nll else "—"
        print(
            f"| {row.name} | {row.density:.2f} | {row.fit_seconds:.0f} | "
            f"{row.sample_seconds:.2f} | {nll} |"
        )
    reconstructed = vae.reconstruct(test[:RECONSTRUCTIONS])
    bleu = compute_corpus_bleu(reconstructed, test[:RECONSTRUCTIONS])
    print(f"\n{len(reconstructed)} test sentences and their reconstructions: BLEU {bleu:.1f}")


if __name__ == "__main__":
    main()
