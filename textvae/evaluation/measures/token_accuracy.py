"""Token accuracy: the share of tokens that the decoder would have chosen, the right ones before them given."""

import torch

from textvae.data.batching import select_decoder_inputs
from textvae.evaluation.measures.subject import EvaluationInput
from textvae.inference.batches import iterate_batches
from textvae.model.modeling import IGNORED_LABEL

_ACCURACY_BATCH_TOKENS = 1024  # each has a score for every word of the vocabulary


def token_accuracy(subject: EvaluationInput) -> dict[str, float]:
    """Return `token_accuracy`, z being the posterior mean; ends are tokens, and all tokens count alike."""
    bundle, evidence = subject.bundle, subject.outputs
    right = torch.zeros(len(evidence))
    for places, batch in iterate_batches(
        bundle, subject.dataset, subject.seed, subject.processes, _ACCURACY_BATCH_TOKENS
    ):
        latent = evidence.mean[places].to(bundle.device)
        read = {
            name: part for name, part in select_decoder_inputs(batch).items() if name != "labels"
        }
        logits = bundle.model(**read, latent=latent).logits
        is_right = (logits.argmax(-1) == batch["labels"]) & (batch["labels"] != IGNORED_LABEL)
        right[places] = is_right.sum(1).float().cpu()
    return {
        "token_accuracy": float(subject.processes.sum(right).double().sum() / evidence.tokens.sum())
    }
