"""The likelihood, by importance sampling, and the perplexities that follow.

IW-NLL(K) = -[logsumexp_k(log p(x, z_k) - log q(z_k | x)) - log K] with K draws
from q(z | x) (Burda et al. 2016, arXiv:1509.00519): an upper bound on the
negative log-likelihood that tightens with K. The end of the sentence is
counted, the start is not.
"""

import math

import torch
from torch import Tensor
from tqdm import tqdm

from textvae.batching import Batch
from textvae.bundle import Bundle
from textvae.importance import log_importance
from textvae.measures.evidence import Subject, batches

BATCH_TOKENS = 1024  # of distinct sentences; each is then repeated
ROWS_TOKENS = 16_384  # that go through the decoder at once


def likelihood(subject: Subject) -> dict[str, float]:
    """Return `iw_nll` in nats per sentence, and the perplexities and bits per byte of it.

    `ppl_token` is per predicted token; `ppl_word` is per white-space word, one
    more for the end, so that models with different tokenizers compare.
    """
    nll = sentence_nll(subject.bundle, subject)
    total, evidence = float(nll.double().sum()), subject.evidence
    return {
        "iw_nll": total / len(nll),
        "iw_samples": subject.samples,
        "iw_nll_stderr": float(nll.std()) / math.sqrt(len(nll)) if len(nll) > 1 else 0.0,
        "ppl_token": safe_exp(total / int(evidence.tokens.sum())),
        "ppl_word": safe_exp(total / int(evidence.words.sum())),
        "bits_per_byte": total / math.log(2) / int(evidence.bytes.sum()),
    }


def safe_exp(nats: float) -> float:
    """Return exp(nats), infinite rather than an error where it overflows."""
    return math.exp(nats) if nats < 700 else math.inf


def sentence_nll(bundle: Bundle, subject: Subject) -> Tensor:
    """Return each sentence's IW-NLL(K), (n,), in nats."""
    nll = torch.zeros(len(subject.dataset))
    bar = tqdm(total=len(nll), desc=f"IW-NLL, {subject.samples} samples", unit="sentence", disable=not subject.progress)
    with bar:
        for places, batch in batches(bundle, subject.dataset, subject.seed, subject.processes, BATCH_TOKENS):
            nll[places] = batch_nll(bundle, batch, subject.samples).float().cpu()
            bar.update(len(places))
    return subject.processes.sum(nll)


def batch_nll(bundle: Bundle, batch: Batch, samples: int) -> Tensor:
    """Return the IW-NLL of a batch's sentences, (batch,)."""
    return math.log(samples) - log_weights(bundle, batch, samples).logsumexp(0)


def log_weights(bundle: Bundle, batch: Batch, samples: int) -> Tensor:
    """Return log p(x, z_k) - log q(z_k | x), (samples, batch); a bounded number of draws is in memory at once."""
    model = bundle.model
    posterior = model.encode(batch["encoder_input_ids"], batch["encoder_attention_mask"])
    at_once = max(1, ROWS_TOKENS // batch["input_ids"].numel())
    weights = []
    for start in range(0, samples, at_once):
        repeats = min(at_once, samples - start)
        z = torch.stack([posterior.sample() for _ in range(repeats)])  # (repeats, batch, latent)
        weights.append(log_importance(model, posterior, batch, z))
    return torch.cat(weights).double()
