"""Self-BLEU: how like one another samples are (Zhu et al. 2018, arXiv:1802.01886).

The mean of each sample's sentence BLEU-4 with all others as references: 100 when all are the same. Its cost grows with
the square of the samples, so it is of the first few hundred (`self_bleu_samples`); sacrebleu's 13a tokenizer, lower
case, exponential smoothing, effective order.
"""

from collections.abc import Sequence
from typing import Any

from sacrebleu.metrics import BLEU

from textvae.measures.evidence import Subject


def self_bleu(subject: Subject) -> dict[str, Any]:
    """Return `self_bleu`, 0 to 100, and `self_bleu_samples`, how many it is of."""
    texts = subject.texts.samples[: subject.settings.self_bleu_samples]
    return {"self_bleu": self_bleu_of(texts), "self_bleu_samples": len(texts)}


def self_bleu_of(texts: Sequence[str]) -> float:
    """Return the self-BLEU of texts, 0 to 100."""
    metric = BLEU(tokenize="13a", lowercase=True, effective_order=True)
    others = ([*texts[:place], *texts[place + 1 :]] for place in range(len(texts)))
    scores = [metric.sentence_score(text, rest).score for text, rest in zip(texts, others, strict=True)]
    return float(sum(scores) / len(scores))
