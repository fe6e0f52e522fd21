"""The graphs of recurrent encoders and decoders.

The gates of an LSTM are input, forget, cell, output in torch, and input, output, forget, cell in
ONNX. Those of a GRU are reset, update, new in torch, and update, reset, new in ONNX.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from textvae.export.graph import Graph
from textvae.export.heads import add_head, add_poolings
from textvae.inference.bundle import Bundle
from textvae.model.decoders.recurrent import RecurrentDecoder
from textvae.model.encoders.recurrent import RecurrentEncoder
from textvae.model.modeling import TextVAEModel

_GATE_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}  # positions of ONNX's gates among torch's


def build_encoder_graph(model: TextVAEModel) -> Any:
    """Return the encoder and the posterior as one ONNX model.

    Shapes:
        input_ids, attention_mask: (batch, length), padded on the right
        returns mean and, if the posterior is a Gaussian, logvar: (batch, latent)
    """
    encoder = model.encoder
    assert isinstance(encoder, RecurrentEncoder), "other encoders are traced"
    graph = Graph("encoder")
    ids = graph.add_input("input_ids", int, ("batch", "length"))
    mask = graph.add_input("attention_mask", int, ("batch", "length"))
    lengths = graph.add("ReduceSum", mask, graph.add_integers(1), keepdims=0)
    lengths = graph.add("Cast", lengths, to=6)  # 6: int32, the only type that LSTM takes
    embedded = graph.add(
        "Gather", graph.add_weight("encoder.embed.weight", encoder.embed.weight), ids
    )
    states = graph.add("Transpose", embedded, perm=[1, 0, 2])  # time first, as LSTM expects it
    last = ""
    for number, (forwards, backwards) in enumerate(
        zip_longest(encoder.forwards, encoder.backwards)
    ):
        directions = [forwards] if backwards is None else [forwards, backwards]
        every, end, _ = _add_cells(
            graph, f"encoder.{number}", [(cells, 0) for cells in directions], states, lengths
        )
        # (length, directions, batch, hidden) -> (length, batch, directions * hidden)
        every = graph.add("Transpose", every, perm=[0, 2, 1, 3])
        states = graph.add("Reshape", every, graph.add_integers(0, 0, encoder.hidden))
        end = graph.add("Transpose", end, perm=[1, 0, 2])
        last = graph.add("Reshape", end, graph.add_integers(0, encoder.hidden))
    names = type(model.posterior).Settings.model_validate(model.config.posterior_settings).pooling
    pooled = add_poolings(graph, names, states, last, mask)
    for name, value in add_head(graph, model.posterior, pooled).items():
        graph.add_output(value, name, ("batch", model.config.latent_dim))
    return graph.build()


def build_decoder_graph(bundle: Bundle) -> Any:
    """Return one step of the decoder as an ONNX model.

    The id `vocab` stands for the start token. It also replaces the state by the one that z
    determines, so that the first step and all later ones are the same graph.

    Shapes:
        input_ids: (batch, length), the tokens that the decoder has not read yet
        z: (batch, latent)
        h.0, c.0, h.1 ...: (1, batch, hidden), the state of each layer; no c for a GRU
        returns logits, (batch, length, vocab), and next.h.0, ...: the new states
    """
    model = bundle.model
    decoder = model.decoder
    assert isinstance(decoder, RecurrentDecoder), "other decoders are traced"
    graph = Graph("decoder")
    ids = graph.add_input("input_ids", int, ("batch", "length"))
    z = graph.add_input("z", float, ("batch", model.config.latent_dim))
    z = _append_label(graph, bundle, z)
    start = graph.add_integers(model.config.vocab_size)
    is_start = graph.add("Equal", ids, start)
    tokens = graph.add("Where", is_start, graph.add_integers(bundle.tokenizer.bos_token_id), ids)
    embed = graph.add_weight("decoder.embed.weight", decoder.embed.weight)
    inputs = graph.add("Gather", embed, tokens)
    inputs = _add_offset(graph, model, "embedding", z, inputs)
    if "every_step" in model.conditioning:
        inputs = _append_latent(graph, ids, z, inputs)
    states = graph.add("Transpose", inputs, perm=[1, 0, 2])
    first = graph.add(
        "Slice", is_start, graph.add_integers(0), graph.add_integers(1), graph.add_integers(1)
    )
    new_states: list[tuple[str, str]] = []
    for layer in range(decoder.layers):
        begin = _add_state(graph, model, layer, z, first)
        every, *end = _add_cells(
            graph, f"decoder.{layer}", [(decoder.cells, layer)], states, "", begin
        )
        states = graph.add("Squeeze", every, graph.add_integers(1))
        new_states += zip(list_state_names(decoder, layer), end, strict=False)
    states = graph.add("Transpose", states, perm=[1, 0, 2])
    states = _add_offset(graph, model, "output", z, states)
    logits = _add_projection(graph, model, states, ids)
    graph.add_output(logits, "logits", ("batch", "length", model.config.vocab_size))
    for name, value in new_states:
        graph.add_output(value, f"next.{name}", (1, "batch", decoder.hidden))
    return graph.build()


def list_state_names(decoder: RecurrentDecoder, layer: int) -> list[str]:
    """Return the names of a layer's states."""
    return [f"{part}.{layer}" for part in ("hc" if decoder.is_lstm else "h")]


def _add_cells(
    graph: Graph,
    name: str,
    directions: Sequence[tuple[Any, int]],
    inputs: str,
    lengths: str,
    begin: Sequence[str] = (),
) -> list[str]:
    """Add one layer of cells, in one or both directions; return all states, last h and last c.

    Args:
        directions: the module and the number of the layer in it, of each direction.
        inputs: (length, batch, size).
        lengths: the number of real tokens of each sentence, or "".
        begin: the states before the first token; by default zeros.
    """
    operator = "LSTM" if isinstance(directions[0][0], nn.LSTM) else "GRU"
    hidden = directions[0][0].hidden_size
    weights = []
    for kind in ("weight_ih", "weight_hh", "bias"):
        parts = []
        for number, (cells, layer) in enumerate(directions):
            values = _reorder_gates(cells, operator, kind, layer)
            part = graph.add_weight(f"{name}.{number}.{kind}", values)
            parts.append(graph.add("Unsqueeze", part, graph.add_integers(0)))
        weights.append(graph.add("Concat", *parts, axis=0) if len(parts) > 1 else parts[0])
    attributes = {"hidden_size": hidden}
    if operator == "GRU":
        attributes["linear_before_reset"] = 1  # as in torch
    direction = "bidirectional" if len(directions) > 1 else "forward"
    count = 3 if operator == "LSTM" else 2
    results = graph.add_many(
        operator, [inputs, *weights, lengths, *begin], count, direction=direction, **attributes
    )
    return [*results, ""][:3]


def _reorder_gates(cells: Any, operator: str, kind: str, layer: int) -> Tensor:
    """Return the weights of a layer, or its two biases in one vector, with ONNX's order of gates."""

    def reorder(values: Tensor) -> Tensor:
        gates = values.chunk(len(_GATE_ORDER[operator]))
        return torch.cat([gates[position] for position in _GATE_ORDER[operator]])

    if kind != "bias":
        return reorder(getattr(cells, f"{kind}_l{layer}"))
    biases = [reorder(getattr(cells, f"bias_{part}_l{layer}")) for part in ("ih", "hh")]
    return torch.cat(biases)


def _append_label(graph: Graph, bundle: Bundle, z: str) -> str:
    """Append the vector of the bundle's fixed label to z, in a conditional model."""
    if bundle.fixed_label_id is None:
        return z
    vector = bundle.model.label_embedding.weight[bundle.fixed_label_id]
    label = graph.add_weight("label", vector.unsqueeze(0))
    batch = graph.add("Shape", z, end=1)
    shape = graph.add("Concat", batch, graph.add_integers(len(vector)), axis=0)
    return graph.add("Concat", z, graph.add("Expand", label, shape), axis=1)


def _append_latent(graph: Graph, ids: str, z: str, inputs: str) -> str:
    """Append z to every input, (batch, length, size)."""
    width = graph.add("Shape", z, start=1)
    shape = graph.add("Concat", graph.add("Shape", ids), width, axis=0)
    repeated = graph.add("Expand", graph.add("Unsqueeze", z, graph.add_integers(1)), shape)
    return graph.add("Concat", inputs, repeated, axis=2)


def _add_offset(graph: Graph, model: TextVAEModel, name: str, z: str, values: str) -> str:
    """Add the signal of a conditioning to every position, (batch, length, size), if it is in use."""
    if name not in model.conditioning:
        return values
    signal = _add_map(graph, f"conditioning.{name}", z, model.conditioning[name].map)
    return graph.add("Add", values, graph.add("Unsqueeze", signal, graph.add_integers(1)))


def _add_map(graph: Graph, name: str, inputs: str, layer: Any) -> str:
    """Add a linear layer on rows, (rows, size)."""
    weight = graph.add_weight(f"{name}.weight", layer.weight)
    bias = graph.add_weight(f"{name}.bias", layer.bias)
    return graph.add("Gemm", inputs, weight, bias, transB=1)


def _add_state(graph: Graph, model: TextVAEModel, layer: int, z: str, is_start: str) -> list[str]:
    """Return the state that a layer begins with: that of z at the start, else the one passed in."""
    decoder: Any = model.decoder
    names = list_state_names(decoder, layer)
    shape = (1, "batch", decoder.hidden)
    states = [graph.add_input(name, float, shape) for name in names]
    if "initial_state" not in model.conditioning:
        return states
    conditioning: Any = model.conditioning["initial_state"]
    parts = decoder.signal_shapes["initial_state"]
    weight = conditioning.map.weight.view(*parts, -1)
    bias = conditioning.map.bias.view(*parts)
    begin = []
    for number, (name, state) in enumerate(zip(names, states, strict=True)):
        signal = graph.add(
            "Gemm",
            z,
            graph.add_weight(f"conditioning.{name}.weight", weight[number, layer]),
            graph.add_weight(f"conditioning.{name}.bias", bias[number, layer]),
            transB=1,
        )
        if number == 0:  # h; see `make_initial_state`
            signal = graph.add("Tanh", signal)
        signal = graph.add("Unsqueeze", signal, graph.add_integers(0))
        begin.append(graph.add("Where", is_start, signal, state))
    return begin


def _add_projection(graph: Graph, model: TextVAEModel, states: str, ids: str) -> str:
    """Add the map from states to logits, (batch, length, vocab)."""
    decoder: Any = model.decoder
    # As rows: a product of two matrices is what runtimes compute fastest.
    rows = graph.add("Reshape", states, graph.add_integers(-1, decoder.hidden))
    if decoder.projection is None:
        rows = _add_map(graph, "decoder.bridge", rows, decoder.bridge)
        weight = graph.add_weight("decoder.embed.weight", decoder.output_weight)
    else:
        weight = graph.add_weight("decoder.projection.weight", decoder.output_weight)
    bias = graph.add_weight("decoder.bias", decoder.bias)
    logits = graph.add("Gemm", rows, weight, bias, transB=1)
    size = graph.add_integers(model.config.vocab_size)
    shape = graph.add("Concat", graph.add("Shape", ids), size, axis=0)
    return graph.add("Reshape", logits, shape)
