"""Reconstruction BLEU: how much of a sentence comes back through its latent.

Greedy decoding from the posterior mean, scored by sacrebleu (Post 2018,
arXiv:1804.08771) with its 13a tokenizer, in lower case.
"""

from typing import Any

from sacrebleu.metrics import BLEU

from textvae.measures.evidence import Subject
from textvae.uses import Decoding, write


def bleu(subject: Subject) -> dict[str, Any]:
    """Return `bleu`, 0 to 100, and sacrebleu's `bleu_signature`."""
    metric = BLEU(tokenize="13a", lowercase=True)
    written = write(subject.bundle, subject.evidence.mean, Decoding(), samples=False, progress=subject.progress)
    score = metric.corpus_score(written, [list(subject.dataset["text"])]).score
    return {"bleu": score, "bleu_signature": str(metric.get_signature())}
