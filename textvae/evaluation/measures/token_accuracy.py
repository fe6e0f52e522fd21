"""Token accuracy: how often the decoder's first choice is the right token.

The decoder gets the posterior mean and the right tokens so far.
"""

import torch

from textvae.data.batching import select_decoder_inputs
from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.inference.batches import iterate_batches
from textvae.model.modeling import IGNORED_LABEL

_ACCURACY_BATCH_TOKENS = 1024  # small, because each token has a logit for the whole vocabulary


def token_accuracy(inputs: EvaluationInput) -> dict[str, float]:
    """Return `token_accuracy`: the share of all tokens, end tokens included, 0 to 1."""
    bundle = inputs.bundle
    outputs = inputs.outputs
    correct = torch.zeros(len(outputs))
    for indices, batch in iterate_batches(
        bundle, inputs.dataset, inputs.seed, inputs.processes, _ACCURACY_BATCH_TOKENS
    ):
        latent = outputs.mean[indices].to(bundle.device)
        decoder_inputs = select_decoder_inputs(batch)
        # With labels, the model would return the loss instead of the logits.
        labels = decoder_inputs.pop("labels")
        logits = bundle.model(**decoder_inputs, latent=latent).logits
        is_correct = (logits.argmax(-1) == labels) & (labels != IGNORED_LABEL)
        correct[indices] = is_correct.sum(1).float().cpu()
    total = inputs.processes.sum(correct).double().sum()
    return {"token_accuracy": float(total / outputs.tokens.sum())}
