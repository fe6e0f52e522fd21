"""The cost of shuffled latents: each sentence is predicted from another sentence's latent.

This is the plainest test of whether the decoder uses z: if the cost is near 0 nats,
it does not. Sentences keep their own labels.
"""

import torch

from textvae.data.batching import select_decoder_inputs
from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.inference.batches import iterate_batches


def shuffled_latent(inputs: EvaluationInput) -> dict[str, float]:
    """Return `shuffled_latent_increase` of the reconstruction, in nats per sentence."""
    bundle = inputs.bundle
    outputs = inputs.outputs
    random = torch.Generator().manual_seed(inputs.seed)
    order = torch.randperm(len(outputs), generator=random)
    # Rolling a random order by one gives every sentence the latent of another one. A plain
    # permutation would leave some sentences their own.
    others = torch.empty_like(order)
    others[order] = order.roll(1)
    shuffled_nll = torch.zeros(len(outputs))
    for indices, batch in iterate_batches(bundle, inputs.dataset, inputs.seed, inputs.processes):
        latent = outputs.latent[others[indices]].to(bundle.device)
        output = bundle.model(**select_decoder_inputs(batch), latent=latent)
        shuffled_nll[indices] = output.sentence_reconstruction.cpu()
    increase = inputs.processes.sum(shuffled_nll) - outputs.reconstruction
    return {"shuffled_latent_increase": float(increase.double().mean())}
