"""Forward and reverse perplexity of samples under n-gram models (Zhao et al. 2018, arXiv:1706.04223).

Forward: learned from the training text, asked of the samples; low when they read like it. Reverse: learned from the
samples, asked of the sentences measured on; low when they cover them. Both depend on how much text there is to learn
from, so beside each stands the same with real text in the samples' place. docs/measures.md says how this differs from
other protocols.
"""

from typing import Any

from textvae.measures.evidence import Subject
from textvae.measures.ngrams import ORDER, NGrams
from textvae.measures.texts import evenly


def forward_reverse(subject: Subject) -> dict[str, Any]:
    """Return `forward_ppl` and `reverse_ppl`, those of real text, and the shares of unknown words."""
    texts = subject.texts
    samples, real, reverse = texts.samples, texts.real, NGrams(texts.samples)
    as_many = evenly(texts.learned, len(samples))
    return {
        "ngram_order": ORDER,
        "ngram_sentences": len(texts.learned),
        "forward_ppl": texts.ngrams.perplexity(samples),
        "forward_ppl_real": texts.ngrams.perplexity(real),
        "forward_unknown": texts.ngrams.unknown_share(samples),
        "reverse_ppl": reverse.perplexity(real),
        "reverse_ppl_real": NGrams(as_many).perplexity(real),
        "reverse_unknown": reverse.unknown_share(real),
    }
