"""How much worse a sentence is predicted with another sentence's latent; its label, if it has one, is kept.

The plainest test of whether the decoder listens to z: near 0 nats, it does not.
"""

import torch

from textvae.data.batching import select_decoder_inputs
from textvae.evaluation.measures.subject import EvaluationInput
from textvae.inference.batches import iterate_batches


def shuffled_latent(subject: EvaluationInput) -> dict[str, float]:
    """Return `shuffled_latent_increase`: the reconstruction's rise, in nats per sentence."""
    bundle, evidence = subject.bundle, subject.outputs
    order = torch.randperm(len(evidence), generator=torch.Generator().manual_seed(subject.seed))
    others = torch.empty_like(order)
    others[order] = order.roll(1)  # nobody keeps their own
    wrong = torch.zeros(len(evidence))
    for places, batch in iterate_batches(bundle, subject.dataset, subject.seed, subject.processes):
        latent = evidence.latent[others[places]].to(bundle.device)
        wrong[places] = bundle.model(
            **select_decoder_inputs(batch), latent=latent
        ).sentence_reconstruction.cpu()
    rise = subject.processes.sum(wrong) - evidence.reconstruction
    return {"shuffled_latent_increase": float(rise.double().mean())}
