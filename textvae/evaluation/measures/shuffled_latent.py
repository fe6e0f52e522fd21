"""The cost of shuffled latents: each sentence is predicted from another sentence's latent.

This is the plainest test of whether the decoder uses z: if the cost is near 0 nats,
it does not. Sentences keep their own labels. If the prior depends on the label, the other
sentence has the same label, since another label's latent would be an unlikely one.
"""

import torch
from torch import Tensor

from textvae.data.batching import select_decoder_inputs
from textvae.evaluation.measures.inputs import EvaluationInput
from textvae.inference.batches import iterate_batches


def shuffled_latent(inputs: EvaluationInput) -> dict[str, float]:
    """Return `shuffled_latent_increase` of the reconstruction, in nats per sentence."""
    bundle = inputs.bundle
    outputs = inputs.outputs
    random = torch.Generator().manual_seed(inputs.seed)
    order = torch.randperm(len(outputs), generator=random)
    label_ids = inputs.label_ids
    if label_ids is not None and bundle.model.prior.needs_labels:
        others = choose_others_of_label(order, label_ids)
    else:
        others = _choose_others(order)
    shuffled_nll = torch.zeros(len(outputs))
    for indices, batch in iterate_batches(bundle, inputs.dataset, inputs.seed, inputs.processes):
        latent = outputs.latent[others[indices]].to(bundle.device)
        output = bundle.model(**select_decoder_inputs(batch), latent=latent)
        shuffled_nll[indices] = output.sentence_reconstruction.cpu()
    increase = inputs.processes.sum(shuffled_nll) - outputs.reconstruction
    return {"shuffled_latent_increase": float(increase.double().mean())}


def _choose_others(order: Tensor) -> Tensor:
    """Return for each sentence which one's latent it gets, (n,).

    Rolling a random order by one gives every sentence the latent of another one. A plain
    permutation would leave some sentences their own.

    Args:
        order: a random order of the sentences, (n,).
    """
    others = torch.empty_like(order)
    others[order] = order.roll(1)
    return others


def choose_others_of_label(order: Tensor, label_ids: Tensor) -> Tensor:
    """Return for each sentence another one with its label, whose latent it gets, (n,).

    A sentence that is alone with its label gets one of another label.
    """
    others = _choose_others(order)
    for label_id in label_ids.unique():
        members = order[label_ids[order] == label_id]
        if len(members) > 1:
            others[members] = members.roll(1)
    return others
