"""The evidence lower bound and its two terms, with KL weight 1, in nats per sentence."""

from textvae.evaluation.measures.inputs import EvaluationInput


def elbo(inputs: EvaluationInput) -> dict[str, float | None]:
    """Return `elbo` (negative), `reconstruction` and `kl` (positive), and mean lengths.

    `sentences` is their number. `elbo` and `kl` are None where the posterior has no density.
    """
    outputs = inputs.outputs
    reconstruction = float(outputs.reconstruction.double().mean())
    kl = None if outputs.kl is None else float(outputs.kl.double().sum(1).mean())
    return {
        "sentences": len(outputs),
        "words_per_sentence": float(outputs.words.double().mean()),
        "tokens_per_sentence": float(outputs.tokens.double().mean()),
        "elbo": None if kl is None else -(reconstruction + kl),
        "reconstruction": reconstruction,
        "kl": kl,
    }
