"""The graphs of transformers, traced by torch: any architecture, as far as torch can trace it."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from textvae.errors import ConfigError
from textvae.export.graph import OPSET
from textvae.inference.bundle import Bundle
from textvae.model.architectures import CACHE_NAME
from textvae.model.decoders.transformer import TransformerDecoder
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian

# What is traced has these sizes. Each is another number, and none is 1: torch takes equal sizes
# for one size, and a size of 1 for a fixed one.
_BATCH, _LENGTH, _PAST = 2, 5, 3


def trace_encoder(model: TextVAEModel) -> Any:
    """Return the encoder and the posterior as one ONNX model.

    Shapes:
        input_ids, attention_mask: (batch, length), padded on the right
        returns mean and, if the posterior is a Gaussian, logvar: (batch, latent)
    """
    ids = torch.ones(_BATCH, _LENGTH, dtype=torch.long)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    has_logvar = issubclass(type(model.posterior).distribution, DiagonalGaussian)
    return _trace(
        "model.encoder",
        _Encoder(model),
        (ids, torch.ones_like(ids)),
        {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length")},
        {"mean": ("batch",), "logvar": ("batch",)} if has_logvar else {"mean": ("batch",)},
        (free, free),
    )


class _Encoder(nn.Module):
    """From ids and mask to the tensors of q(z | x)."""

    def __init__(self, model: TextVAEModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Return the mean and, of a Gaussian, the logvar, (batch, latent) each."""
        q = self.model.encode(input_ids, attention_mask)
        return (q.mean, q.logvar) if isinstance(q, DiagonalGaussian) else (q.mean,)


def list_cache_states(decoder: TransformerDecoder) -> dict[str, list[int | str]]:
    """Return the shape of the keys and values of each layer, by name."""
    config = decoder.body.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    names = (
        f"{part}.{layer}" for layer in range(config.num_hidden_layers) for part in ("key", "value")
    )
    return {name: ["batch", heads, "past", size] for name in names}


def trace_decoder(bundle: Bundle) -> Any:
    """Return one step of a transformer decoder as an ONNX model.

    If z gives a prefix, the ids from `vocab` on stand for its vectors, which come before the start
    token, so that the first step and all later ones are the same graph.

    Shapes:
        input_ids: (batch, length), the tokens that the decoder has not read yet
        z: (batch, latent)
        key.0, value.0, key.1 ...: (batch, heads, past, size), past = 0 in the first step
        returns logits, (batch, length, vocab), and next.key.0, ...
    """
    decoder: Any = bundle.model.decoder
    states = list_cache_states(decoder)
    _, heads, _, size = next(iter(states.values()))
    past = [torch.zeros(_BATCH, int(heads), _PAST, int(size)) for _ in states]
    free = torch.export.Dim.DYNAMIC
    ids = torch.ones(_BATCH, _LENGTH, dtype=torch.long)
    z = torch.zeros(_BATCH, bundle.model.config.latent_dim)
    inputs = {"input_ids": ("batch", "length"), "z": ("batch",)}
    outputs: dict[str, tuple[str, ...]] = {"logits": ("batch", "length")}
    for name in states:
        inputs[name] = ("batch", "", "past")
        outputs[f"next.{name}"] = ("batch", "", "total")
    return _trace(
        "model.decoder",
        _Step(bundle),
        (ids, z, past),
        inputs,
        outputs,
        ({0: free, 1: free}, {0: free}, [{0: free, 2: free}] * len(past)),
    )


class _Step(nn.Module):
    """One step of a transformer decoder, with keys and values as inputs and outputs."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.model = bundle.model
        self.decoder: Any = bundle.model.decoder
        self.label_id = bundle.fixed_label_id

    def forward(self, input_ids: Tensor, z: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the logits, (batch, length, vocab), and the keys and values of all tokens so far."""
        label_ids = None
        if self.label_id is not None:
            label_ids = torch.full_like(input_ids[:, 0], self.label_id)
        signals = self.model.compute_signals(z, label_ids)
        cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        states = self.decoder.body(
            inputs_embeds=self.embed(input_ids, signals),
            position_ids=past[0].shape[2] + torch.arange(input_ids.shape[1])[None],
            use_cache=True,
            **{CACHE_NAME: cache},
        ).last_hidden_state
        if "output" in signals:
            states = states + signals["output"].unsqueeze(1)
        logits = nn.functional.linear(states, self.decoder.output_weight, self.decoder.output_bias)
        tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
        return (logits, *tensors)

    def embed(self, input_ids: Tensor, signals: Any) -> Tensor:
        """Return the embeddings of tokens and prefix vectors, (batch, length, hidden)."""
        vocab = self.model.config.vocab_size
        embedded: Tensor = self.decoder.embed(input_ids.clamp(max=vocab - 1))
        if "embedding" in signals:
            embedded = embedded + signals["embedding"].unsqueeze(1)
        if "prefix" not in signals:
            return embedded
        slots = (input_ids - vocab).clamp(min=0).unsqueeze(-1)
        vectors = signals["prefix"].gather(1, slots.expand_as(embedded))
        return torch.where((input_ids >= vocab).unsqueeze(-1), vectors, embedded)


def _trace(
    part: str,
    module: nn.Module,
    arguments: tuple[Any, ...],
    inputs: dict[str, tuple[str, ...]],
    outputs: dict[str, tuple[str, ...]],
    dynamic_shapes: Any,
) -> Any:
    """Return a module as an `onnx.ModelProto`.

    Args:
        part: the setting that chose the part, for the message.
        inputs, outputs: the names of their free sizes, in order.

    Raises:
        ConfigError: torch cannot trace it.
    """
    try:
        with _silenced(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                arguments,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=dynamic_shapes,
                opset_version=OPSET,
                dynamo=True,
            )
    except Exception as error:  # the exporter's errors have no common base
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"{part} cannot be exported: torch.onnx cannot trace it ({reason}). Train with a part "
            "of kind lstm, gru or transformer (bert, gpt2), or use the run itself."
        ) from error
    assert program is not None, "dynamo=True returns a program"
    model = program.model_proto
    for value, names in zip(
        [*model.graph.input, *model.graph.output],
        [*inputs.values(), *outputs.values()],
        strict=True,
    ):
        for size, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            if name:
                size.dim_param = name
    return model


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep what the exporter prints, logs and warns away from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
