"""Reconstruction BLEU: how much of a sentence comes back through its latent.

Greedy decoding from the posterior mean, scored by sacrebleu (Post 2018,
arXiv:1804.08771) with its 13a tokenizer, in lower case. Beside it the share
that comes back whole: letter by letter what the sentence's tokens are written
out as, so that a tokenizer that loses something is not the model's fault.
"""

from typing import Any

from sacrebleu.metrics import BLEU

from textvae.evaluation.measures.subject import EvaluationInput


def bleu(subject: EvaluationInput) -> dict[str, Any]:
    """Return `bleu`, 0 to 100, sacrebleu's `bleu_signature`, and `exact_match`, a share."""
    metric = BLEU(tokenize="13a", lowercase=True)
    written, readable = subject.texts.reconstructions, subject.texts.readable
    exact = sum(text == original for text, original in zip(written, readable, strict=True))
    return {
        "bleu": metric.corpus_score(written, [subject.texts.real]).score,
        "bleu_signature": str(metric.get_signature()),
        "exact_match": exact / len(written),
    }
