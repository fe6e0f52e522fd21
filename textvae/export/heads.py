"""The graphs of posteriors: pooling, and the head of each kind.

A posterior that is missing from `HEADS` is refused, so a new kind is a function and a line here.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from textvae.errors import ConfigError
from textvae.export.graph import Graph
from textvae.model.posteriors import POSTERIORS
from textvae.model.posteriors.base import Posterior

# From the graph, the posterior and the pooled states to the values of `mean` and `logvar`.
_Head = Callable[[Graph, Any, str], dict[str, str]]


def add_poolings(graph: Graph, names: Iterable[str], states: str, last: str, mask: str) -> str:
    """Add the poolings; return the pooled states, (batch, width).

    Args:
        names: those of the posterior's settings, in order.
        states: (length, batch, hidden).
        last: (batch, hidden), the last state of each direction.
        mask: (batch, length).
    """
    is_real = graph.add("Cast", graph.add("Transpose", mask, perm=[1, 0]), to=9)  # 9: bool
    is_real = graph.add("Unsqueeze", is_real, graph.add_integers(2))
    parts = []
    for name in names:
        if name == "last":
            parts.append(last)
        elif name == "max":
            smallest = graph.add_number(torch.finfo(torch.float32).min)
            visible = graph.add("Where", is_real, states, smallest)
            parts.append(graph.add("ReduceMax", visible, graph.add_integers(0), keepdims=0))
        else:
            parts.append(_add_mean(graph, states, is_real))
    return graph.add("Concat", *parts, axis=1)


def _add_mean(graph: Graph, states: str, is_real: str) -> str:
    """Add the average over real tokens."""
    visible = graph.add("Where", is_real, states, graph.add_number(0.0))
    weights = graph.add("Cast", is_real, to=1)  # 1: float32
    count = graph.add("ReduceSum", weights, graph.add_integers(0), keepdims=0)
    count = graph.add("Max", count, graph.add_number(1.0))
    total = graph.add("ReduceSum", visible, graph.add_integers(0), keepdims=0)
    return graph.add("Div", total, count)


def add_head(graph: Graph, posterior: Posterior, pooled: str) -> dict[str, str]:
    """Add the head of a posterior; return its mean and, of a Gaussian, its logvar, by name.

    Raises:
        ConfigError: there is no graph for this kind of posterior.
    """
    for name, head in HEADS.items():
        if type(posterior) is POSTERIORS[name]:
            return head(graph, posterior, pooled)
    raise ConfigError(
        f"model.posterior: a {type(posterior).__name__} cannot be exported; expected one of "
        f"{', '.join(HEADS)}. Train with one of these, or use the run itself."
    )


def _add_linear(graph: Graph, name: str, rows: str, layer: Any) -> str:
    """Add a linear layer of the posterior."""
    weight = graph.add_weight(f"posterior.{name}.weight", layer.weight)
    inputs = [rows, weight]
    if layer.bias is not None:
        inputs.append(graph.add_weight(f"posterior.{name}.bias", layer.bias))
    return graph.add("Gemm", *inputs, transB=1)


def _add_bounded_logvar(graph: Graph, posterior: Any, pooled: str) -> str:
    """Add the log-variance, squashed as `bound_logvar` does it."""
    bound = graph.add_number(posterior.logvar_bound)
    raw = _add_linear(graph, "logvar", pooled, posterior.logvar)
    return graph.add("Mul", graph.add("Tanh", graph.add("Div", raw, bound)), bound)


def _add_gaussian(graph: Graph, posterior: Any, pooled: str) -> dict[str, str]:
    """Add the head of `GaussianPosterior`."""
    mean = _add_linear(graph, "mean", pooled, posterior.mean)
    return {"mean": mean, "logvar": _add_bounded_logvar(graph, posterior, pooled)}


def _add_batch_norm_gaussian(graph: Graph, posterior: Any, pooled: str) -> dict[str, str]:
    """Add the head of `BatchNormGaussianPosterior`, with its running statistics."""
    raw = _add_linear(graph, "mean", pooled, posterior.mean)
    # The normalization of constants is affine: its value at 0, and its slope.
    latent = len(posterior.beta)
    with torch.no_grad():
        offset = posterior.normalize_means(torch.zeros(1, latent))
        slope = posterior.normalize_means(torch.ones(1, latent)) - offset
    scaled = graph.add("Mul", raw, graph.add_weight("posterior.slope", slope))
    mean = graph.add("Add", scaled, graph.add_weight("posterior.offset", offset))
    return {"mean": mean, "logvar": _add_bounded_logvar(graph, posterior, pooled)}


def _add_delta_gaussian(graph: Graph, posterior: Any, pooled: str) -> dict[str, str]:
    """Add the head of `DeltaGaussianPosterior`."""
    raw = _add_linear(graph, "deviation", pooled, posterior.deviation)
    width = graph.add_number(posterior.max_sigma - posterior.min_sigma)
    sigma = graph.add("Mul", graph.add("Sigmoid", raw), width)
    sigma = graph.add("Add", sigma, graph.add_number(posterior.min_sigma))
    logvar = graph.add("Mul", graph.add("Log", sigma), graph.add_number(2.0))
    squared = graph.add("Add", logvar, graph.add_number(2 * posterior.delta + 1))
    squared = graph.add("Sub", squared, graph.add("Mul", sigma, sigma))
    positive = graph.add("Relu", _add_linear(graph, "mean", pooled, posterior.mean))
    squared = graph.add("Add", squared, graph.add("Mul", positive, positive))
    squared = graph.add("Max", squared, graph.add_number(1e-8))
    return {"mean": graph.add("Sqrt", squared), "logvar": logvar}


def _add_von_mises_fisher(graph: Graph, posterior: Any, pooled: str) -> dict[str, str]:
    """Add the head of `VonMisesFisherPosterior`: a direction, on the sphere."""
    direction = _add_linear(graph, "mean", pooled, posterior.mean)
    square = graph.add("Mul", direction, direction)
    norm = graph.add("Sqrt", graph.add("ReduceSum", square, graph.add_integers(1), keepdims=1))
    norm = graph.add("Max", norm, graph.add_number(1e-12))  # as `normalize` does
    radius = graph.add_number(math.sqrt(posterior.mean.out_features))
    return {"mean": graph.add("Mul", graph.add("Div", direction, norm), radius)}


def _add_point(graph: Graph, posterior: Any, pooled: str) -> dict[str, str]:
    """Add the head of `DeterministicPosterior`."""
    return {"mean": _add_linear(graph, "mean", pooled, posterior.mean)}


def _add_flow(graph: Graph, posterior: Any, pooled: str) -> dict[str, str]:
    """Add the mean of `FlowPosterior`: the flow's image of the Gaussian's mean."""
    z = _add_linear(graph, "mean", pooled, posterior.mean)
    context = _add_linear(graph, "context", pooled, posterior.context)
    for number, layer in enumerate(posterior.flow.layers):
        name = f"flow.{number}"
        kept, changed = graph.add_many(
            "Split",
            [z, graph.add_integers(layer.kept_size, posterior.mean.out_features - layer.kept_size)],
            2,
            axis=1,
        )
        from_z = _add_linear(graph, f"{name}.from_z", kept, layer.from_z)
        from_context = _add_linear(graph, f"{name}.from_context", context, layer.from_context)
        hidden = graph.add("Relu", graph.add("Add", from_z, from_context))
        out = _add_linear(graph, f"{name}.out", hidden, layer.out)
        half = layer.out.out_features // 2
        shift, scale = graph.add_many("Split", [out, graph.add_integers(half, half)], 2, axis=1)
        two = graph.add_number(2.0)
        scale = graph.add("Mul", graph.add("Tanh", graph.add("Div", scale, two)), two)
        changed = graph.add("Mul", changed, graph.add("Exp", scale))
        z = graph.add("Concat", graph.add("Add", changed, shift), kept, axis=1)
    return {"mean": z}


HEADS: Mapping[str, _Head] = {
    "gaussian": _add_gaussian,
    "batch_norm_gaussian": _add_batch_norm_gaussian,
    "delta_gaussian": _add_delta_gaussian,
    "von_mises_fisher": _add_von_mises_fisher,
    "flow": _add_flow,
    "deterministic": _add_point,
}
