"""Reconstruction BLEU: how much of a sentence is reconstructed from its latent.

Greedy decoding from the posterior mean, scored by sacrebleu (Post 2018,
arXiv:1804.08771) with its 13a tokenizer, in lower case. `exact_match` is the
share of sentences that are reconstructed letter by letter. They are compared with
the detokenized sentence, so that a tokenizer that loses something does not count
against the model.
"""

from typing import Any

from sacrebleu.metrics import BLEU

from textvae.evaluation.measures.inputs import EvaluationInput


def bleu(inputs: EvaluationInput) -> dict[str, Any]:
    """Return `bleu` (0 to 100), sacrebleu's `bleu_signature`, and `exact_match` (0 to 1)."""
    # `force` only keeps sacrebleu from asking whether we forgot to detokenize.
    metric = BLEU(tokenize="13a", lowercase=True, force=True)
    texts = inputs.texts
    pairs = zip(texts.reconstructions, texts.detokenized, strict=True)
    exact = sum(reconstruction == original for reconstruction, original in pairs)
    return {
        "bleu": metric.corpus_score(texts.reconstructions, [texts.originals]).score,
        "bleu_signature": str(metric.get_signature()),
        "exact_match": exact / len(texts.reconstructions),
    }
