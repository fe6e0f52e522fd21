"""Token accuracy: the share of tokens that the decoder would have chosen, the right ones before them given."""

import torch

from textvae.data.batching import decoder_side
from textvae.evaluation.measures.subject import Subject
from textvae.inference.batches import batches
from textvae.model.modeling import IGNORED

BATCH_TOKENS = 1024  # each has a score for every word of the vocabulary


def token_accuracy(subject: Subject) -> dict[str, float]:
    """Return `token_accuracy`, z being the posterior mean; ends are tokens, and all tokens count alike."""
    bundle, evidence = subject.bundle, subject.evidence
    right = torch.zeros(len(evidence))
    for places, batch in batches(bundle, subject.dataset, subject.seed, subject.processes, BATCH_TOKENS):
        latent = evidence.mean[places].to(bundle.device)
        read = {name: part for name, part in decoder_side(batch).items() if name != "labels"}
        logits = bundle.model(**read, latent=latent).logits
        is_right = (logits.argmax(-1) == batch["labels"]) & (batch["labels"] != IGNORED)
        right[places] = is_right.sum(1).float().cpu()
    return {"token_accuracy": float(subject.processes.sum(right).double().sum() / evidence.tokens.sum())}
