"""Samples from the model's own prior and from fitted ones, side by side, and how likely held-out latents are.

    python experiments/priors.py RUN LANGUAGE_MODEL [--kinds flow,diffusion] [--samples 1000]

LANGUAGE_MODEL: a run of the same corpus with objective=language_model. Priors are fitted on the run's training split;
"real" are as many sentences of its test split. Accepted: the share of sentences whose likelihood a token under the
language model is above the 5 % quantile of the validation split's. Density: the mean log density, in nats, of a draw
from q(z | x) of each test sentence; what it gains, -ELBO loses. IW-NLL: of the first test sentences, 50 draws each.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from textvae.data.batching import Batch
from textvae.evaluation.measures.ngrams import NGramModel
from textvae.evaluation.measures.samples import distinct_share, find_seen, novel_share
from textvae.evaluation.measures.subject import take_evenly
from textvae.inference.batches import iterate_batches
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import posterior
from textvae.inference.importance_sums import ImportanceSums
from textvae.model.importance import log_importance_weights
from textvae.runs.run import Run
from textvae.runtime.processes import SINGLE_PROCESS
from textvae.uses.fit_prior.fit import FITTED_PRIORS, fit_on_posterior, sample_fitted_prior
from textvae.uses.score import ScoreSettings, score
from textvae.vae import TextVAE

SENTENCES, BLEU_SAMPLES, DRAWS, FLOOR = 50_000, 200, 50, 0.05
PLACES = {
    "reverse": 1,
    "forward": 1,
    "bleu": 1,
    "distinct": 3,
    "novel": 3,
    "accepted": 3,
    "words": 1,
}
HEAD = "| z from | reverse ppl | forward ppl | self-BLEU | distinct-2 | novel | accepted | words |"


class Judge:
    """Sets texts against the training text, held-out text and a language model."""

    def __init__(self, train, validation, test, lm):
        self.train, self.test, self.lm = train, test, lm
        self.ngrams = NGramModel(train)
        self.floor = np.quantile(self.likelihoods(validation), FLOOR)

    def likelihoods(self, texts):
        """Return the mean log-likelihood a token, the end counted, of each text, (n,)."""
        rows = score(self.lm.bundle, texts, ScoreSettings(samples=2))
        return np.array([-row["reconstruction"] / row["tokens"] for row in rows])

    def row(self, name, texts, reverse=None):
        """Return a row of the table; `reverse`: sentences to learn from in the texts' place."""
        found = {
            "reverse": NGramModel(reverse or texts).perplexity(self.test),
            "forward": self.ngrams.perplexity(texts),
            "bleu": self_bleu(texts),
            "distinct": distinct_share(texts, 2),
            "novel": novel_share(texts, find_seen(set(texts), self.train)[0]),
            "accepted": float((self.likelihoods(texts) > self.floor).mean()),
            "words": np.mean([len(text.split()) for text in texts]),
        }
        return (
            f"| {name} | {' | '.join(f'{value:.{PLACES[key]}f}' for key, value in found.items())} |"
        )


def self_bleu(texts):
    """Return the mean BLEU-4 of the first texts with the others of them as references, 0 to 100."""
    from sacrebleu.metrics import BLEU

    metric, some = BLEU(tokenize="13a", lowercase=True, effective_order=True), texts[:BLEU_SAMPLES]
    return np.mean(
        [metric.sentence_score(t, some[:i] + some[i + 1 :]).score for i, t in enumerate(some)]
    )


@torch.no_grad()
def iw_nll(bundle, dataset, priors):
    """Return the importance-weighted NLL under each prior, from the same draws, in nats."""
    sums = {name: ImportanceSums.make_zeros(len(dataset)) for name in priors}
    for places, batch in iterate_batches(bundle, dataset, 0, SINGLE_PROCESS, 512):
        z, weights = weighted(bundle, batch)
        own = bundle.model.prior.log_prob(z)
        for name, prior in priors.items():
            sums[name].set_rows(
                places,
                ImportanceSums.of(weights - own + prior.log_prob(z.flatten(0, 1)).view_as(own)),
            )
    return {name: float(each.nll.mean()) for name, each in sums.items()}


def weighted(bundle, batch: Batch):
    """Return draws from q(z | x), (draws, batch, latent), and log p(x, z) - log q(z | x), (draws, batch)."""
    q = bundle.model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    z = torch.stack([q.sample() for _ in range(DRAWS)])
    return z, torch.cat(
        [log_importance_weights(bundle.model, q, batch, some) for some in z.split(10)]
    )


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("language_model")
    parser.add_argument("--kinds", default=",".join(FITTED_PRIORS))
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--likelihoods", type=int, default=300, help="test sentences of the IW-NLL")
    options = parser.parse_args()
    run, vae, count = (
        Run(Path(options.run)),
        TextVAE.from_pretrained(options.run, device="cpu"),
        options.samples,
    )
    bundle, lm = vae.bundle, TextVAE.from_pretrained(options.language_model, device="cpu")
    train, test = (
        run.split("train")[:SENTENCES]["text"],
        take_evenly(run.split("test")["text"], count),
    )
    judge = Judge(train, take_evenly(run.split("validation")["text"], count), test, lm)
    start = time.perf_counter()
    q, q_test = posterior(bundle, train), posterior(bundle, test)
    print(
        f"{len(train)} sentences to fit on, encoded in {time.perf_counter() - start:.0f} s\n\n{HEAD}"
    )
    print("|---" * 8 + "|\n" + judge.row("real", test, take_evenly(train, count)), flush=True)
    torch.manual_seed(0)
    held, priors, rows = q_test.sample(), {"N(0, I)": bundle.model.prior}, []
    for name in ("N(0, I)", *options.kinds.split(",")):
        start = time.perf_counter()
        if name in FITTED_PRIORS:
            priors[name] = fit_on_posterior(q, FITTED_PRIORS[name])
        seconds, start = time.perf_counter() - start, time.perf_counter()
        z = sample_fitted_prior(priors[name], count, seed=0)
        drawing = time.perf_counter() - start
        texts = decode_latents(bundle, z, DecodingSettings(), samples=True)
        print(judge.row(name, texts), flush=True)
        with torch.no_grad():
            density = float(priors[name].log_prob(held).mean())
        rows.append([name, f"{density:.2f}", f"{seconds:.0f}", f"{drawing:.2f}"])
    costs = {}
    if q.has_density:
        exact = {name: prior for name, prior in priors.items() if name != "diffusion"}
        costs = iw_nll(bundle, run.split("test").select(range(options.likelihoods)), exact)
    print("\n| prior | density | s to fit | s a thousand draws | IW-NLL |\n|---|---|---|---|---|")
    for row in rows:
        cost = (
            f"{costs[row[0]]:.2f}" if row[0] in costs else "—"
        )  # the diffusion's density is too dear for 50 draws
        print(f"| {' | '.join(row)} | {cost} |")
    back = vae.reconstruct(test[:300])
    print(
        "\n300 test sentences and their reconstructions: BLEU",
        f"{corpus_bleu(back, test[:300]):.1f}",
    )


def corpus_bleu(texts, references):
    """Return BLEU-4 of the texts together."""
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize="13a", lowercase=True).corpus_score(texts, [references]).score


if __name__ == "__main__":
    main()
