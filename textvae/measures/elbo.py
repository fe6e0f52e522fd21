"""The evidence lower bound and its two terms, weight 1, in nats per sentence."""

from textvae.measures.evidence import Subject


def elbo(subject: Subject) -> dict[str, float]:
    """Return `elbo` (negative), `reconstruction` and `kl` (positive), and the sentence counts they rest on."""
    evidence = subject.evidence
    reconstruction = float(evidence.reconstruction.double().mean())
    kl = float(evidence.kl.double().sum(1).mean())
    return {
        "sentences": len(evidence),
        "words_per_sentence": float(evidence.words.double().mean()),
        "tokens_per_sentence": float(evidence.tokens.double().mean()),
        "elbo": -(reconstruction + kl),
        "reconstruction": reconstruction,
        "kl": kl,
    }
