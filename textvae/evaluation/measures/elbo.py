"""The evidence lower bound and its two terms, weight 1, in nats per sentence."""

from textvae.evaluation.measures.subject import EvaluationInput


def elbo(subject: EvaluationInput) -> dict[str, float | None]:
    """Return `elbo` (negative), `reconstruction` and `kl` (positive), and the sentence counts they rest on.

    Where the posterior has no density, `elbo` and `kl` are None.
    """
    evidence = subject.outputs
    reconstruction = float(evidence.reconstruction.double().mean())
    kl = None if evidence.kl is None else float(evidence.kl.double().sum(1).mean())
    return {
        "sentences": len(evidence),
        "words_per_sentence": float(evidence.words.double().mean()),
        "tokens_per_sentence": float(evidence.tokens.double().mean()),
        "elbo": None if kl is None else -(reconstruction + kl),
        "reconstruction": reconstruction,
        "kl": kl,
    }
