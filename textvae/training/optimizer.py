"""The optimizer: AdamW; the encoder's side, the decoder's and the techniques' own weights in groups of their own."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from textvae.settings.training import TrainingSettings


def build_optimizer(model: Any, settings: TrainingSettings) -> Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101); only matrices decay, and none of the prior's."""
    rate = settings.learning_rate
    rates = {"encoder": settings.encoder_learning_rate or rate}
    groups = [
        {"params": part, "lr": rates.get(name, rate), "weight_decay": decay}
        for name, side in group_parameters(model).items()
        for part, decay in _split_by_decay(side, 0.0 if name == "prior" else settings.weight_decay)
    ]
    return torch.optim.AdamW(groups, betas=settings.betas, fused=True)


def group_parameters(model: Any) -> dict[str, list[Tensor]]:
    """Return the parameters on the encoder's side, on the decoder's, the prior's, and the techniques' own."""
    encoder, own = (
        [*model.encoder.parameters(), *model.posterior.parameters()],
        [*model.auxiliary.parameters()],
    )
    prior = [*model.prior.parameters()]
    known = {id(parameter) for parameter in (*encoder, *prior, *own)}
    decoder = [p for p in model.parameters() if id(p) not in known]
    return {"encoder": encoder, "decoder": decoder, "prior": prior, "techniques": own}


def _split_by_decay(side: list[Tensor], decay: float) -> list[tuple[list[Tensor], float]]:
    """Return the matrices with their weight decay, and the rest with none."""
    return [([p for p in side if p.ndim > 1], decay), ([p for p in side if p.ndim <= 1], 0.0)]


def clip_gradients(parameters: Iterable[Tensor], most: float) -> Tensor:
    """Scale the gradients so that their norm is `most` at most; return the norm they had.

    The library multiplies every gradient, by one if need be: on a GPU that is
    cheaper than to ask, on a CPU it is as long as the norm itself.
    """
    given = [parameter for parameter in parameters if parameter.grad is not None]
    if not given or given[0].device.type != "cpu":
        return clip_grad_norm_(given, most)
    norm = get_total_norm([parameter.grad for parameter in given if parameter.grad is not None])
    if not norm <= most:
        clip_grads_with_norm_(given, most, norm)
    return torch.as_tensor(norm)
