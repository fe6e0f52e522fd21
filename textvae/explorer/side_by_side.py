"""Compare: two runs on the same sentences, next to each other."""

from typing import TypedDict

from textvae.explorer.shared_run import SharedRun
from textvae.explorer.walk import SCORE_SAMPLES
from textvae.vae import TextVAE


class RunAnswer(TypedDict):
    """What one run makes of a sentence.

    Attributes:
        reconstruction: the sentence decoded from its posterior mean; None for a language model.
        log_likelihood: log p(x) in nats; log p(x | z) of a model without a density.
        kl: KL(q(z | x) || p(z)) in nats; None without a density.
    """

    reconstruction: str | None
    log_likelihood: float | None
    kl: float | None


class ComparedSentence(TypedDict):
    """A sentence, and what each of two runs makes of it."""

    text: str
    first: RunAnswer
    second: RunAnswer


def compare_sentences(
    first: SharedRun, second: SharedRun, texts: list[str]
) -> list[ComparedSentence]:
    """Reconstruct and score sentences with two runs.

    Log-likelihoods compare models whatever their tokenizers, since they are per sentence.
    """
    answers = []
    for run in (first, second):
        with run.model() as vae:
            answers.append(answer_sentences(vae, texts))
    rows = zip(texts, *answers, strict=True)
    return [{"text": text, "first": one, "second": two} for text, one, two in rows]


def answer_sentences(vae: TextVAE, texts: list[str]) -> list[RunAnswer]:
    """Reconstruct and score sentences with one model."""
    written: list[str | None] = [None] * len(texts)
    if vae.latent_dim:
        written = vae.reconstruct(texts)
    answers: list[RunAnswer] = []
    scores = vae.score(texts, samples=SCORE_SAMPLES, seed=0)
    for text, record in zip(written, scores, strict=True):
        nats = record["reconstruction"] if record["iw_nll"] is None else record["iw_nll"]
        likelihood = None if nats is None else -nats
        answers.append({"reconstruction": text, "log_likelihood": likelihood, "kl": record["kl"]})
    return answers


def sample_both(first: SharedRun, second: SharedRun, n: int, seed: int) -> list[list[str]]:
    """Return samples from the prior of each run."""
    samples = []
    for run in (first, second):
        with run.model() as vae:
            samples.append(vae.generate(n, seed=seed))
    return samples
