"""The optimizer: AdamW with a group per part of the model, and the clipping of gradients."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from textvae.objective.techniques.base import Refit
from textvae.settings.training import TrainingSettings


def build_optimizer(model: Any, settings: TrainingSettings) -> Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).

    Weight decay applies to matrices only, and not to the prior: its parameters are points in
    latent space, where the origin is no better than other points.

    Args:
        model: a TextVAEModel, with the weights of techniques as its `auxiliary`.
    """
    groups = []
    rates = _choose_rates(model, settings)
    parts = group_parameters(model)
    if settings.bottleneck_learning_rate is not None:
        parts = _separate_bottleneck(model, parts)
    for name, parameters in parts.items():
        rate = rates.get(name, settings.learning_rate)
        decay = 0.0 if name == "prior" else settings.weight_decay
        matrices = [parameter for parameter in parameters if parameter.ndim > 1]
        others = [parameter for parameter in parameters if parameter.ndim <= 1]
        groups.append({"params": matrices, "lr": rate, "weight_decay": decay})
        groups.append({"params": others, "lr": rate, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, betas=settings.betas, fused=True)


def _choose_rates(model: Any, settings: TrainingSettings) -> dict[str, float]:
    """Return the learning rates that differ from that of the run, by the names of the groups."""
    rates = {
        "encoder": settings.encoder_learning_rate,
        "bottleneck": settings.bottleneck_learning_rate,
        "decoder": settings.decoder_learning_rate,
        "pretrained encoder": model.encoder.learning_rate,
        "pretrained decoder": model.decoder.learning_rate,
    }
    return {name: rate for name, rate in rates.items() if rate is not None}


def _separate_bottleneck(model: Any, parts: dict[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """Return the groups with posterior and conditioning in one of their own, `bottleneck`."""
    bottleneck = [*model.posterior.parameters(), *model.conditioning.parameters()]
    members = {id(parameter) for parameter in bottleneck}
    separated = {
        name: [parameter for parameter in part if id(parameter) not in members]
        for name, part in parts.items()
    }
    separated["bottleneck"] = [value for value in bottleneck if value.requires_grad]
    return separated


def group_parameters(model: Any) -> dict[str, list[Tensor]]:
    """Return the parameters by the part they belong to.

    Returns:
        `encoder` (with the posterior), `decoder` (with the conditioning, and everything that is
        in no other group), `prior`, `techniques` (the techniques' own weights), and if the model
        has such parts, `pretrained encoder` and `pretrained decoder`. Frozen weights are in no
        group.
    """
    parts = {
        "encoder": [*model.encoder.parameters(), *model.posterior.parameters()],
        "prior": [*model.prior.parameters()],
        "techniques": [*model.auxiliary.parameters()],
    }
    # Pretrained weights need a rate of their own, far below that of new ones.
    if model.encoder.learning_rate is not None:
        parts["pretrained encoder"] = [*model.encoder.base_parameters()]
        of_base = {id(parameter) for parameter in parts["pretrained encoder"]}
        parts["encoder"] = [value for value in parts["encoder"] if id(value) not in of_base]
    if model.decoder.learning_rate is not None:
        parts["pretrained decoder"] = [*model.decoder.base_parameters()]
    grouped = {id(parameter) for part in parts.values() for parameter in part}
    parts["decoder"] = [value for value in model.parameters() if id(value) not in grouped]
    return {name: [value for value in part if value.requires_grad] for name, part in parts.items()}


def drop_gradients(model: Any, *names: str) -> None:
    """Drop the gradients of some parts of a model.

    Args:
        names: keys of `group_parameters`; a part without trained weights is in none.
    """
    parts = group_parameters(model)
    for name in names:
        for parameter in parts.get(name, ()):
            parameter.grad = None


def list_unchanged_by_refit(model: Any, refit: Refit) -> list[Tensor]:
    """Return the trained weights that stay as they are while the posterior is refitted.

    The decoder, the conditioning and the techniques' own weights stay. A learned prior follows
    the posterior.

    Args:
        model: a TextVAEModel, with the weights of techniques as its `auxiliary`.
    """
    parts = group_parameters(model)
    changed = parts["prior"]
    if refit.moves_means:
        changed = changed + parts["encoder"] + parts.get("pretrained encoder", [])
    else:
        changed = changed + model.posterior.list_variance_weights()
    identities = {id(parameter) for parameter in changed}
    return [
        parameter
        for part in parts.values()
        for parameter in part
        if id(parameter) not in identities
    ]


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale the gradients so that their norm is at most `max_norm`; return the norm before.

    If the norm is small enough, torch's own function multiplies every gradient by one. On a GPU
    this is cheaper than waiting for the norm. On a CPU it takes as long as computing the norm,
    so this function leaves such gradients alone.
    """
    with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
    if not with_gradient or with_gradient[0].device.type != "cpu":
        return clip_grad_norm_(with_gradient, max_norm)
    norm = get_total_norm(
        [parameter.grad for parameter in with_gradient if parameter.grad is not None]
    )
    if not norm <= max_norm:  # also true for a norm of NaN, which must spread to all gradients
        clip_grads_with_norm_(with_gradient, max_norm, norm)
    return torch.as_tensor(norm)
