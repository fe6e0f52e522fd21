"""Architectures of Hugging Face: build a config from a few sizes, and ask what a model can do."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, Protocol, TypeVar

from torch import nn
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    DynamicCache,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.activations import NewGELUActivation
from transformers.generation import GenerateDecoderOnlyOutput

from textvae.errors import ConfigError
from textvae.runtime.foreign_code import refuse_foreign_code
from textvae.schema import choose

M = TypeVar("M", bound=nn.Module)

# An architecture that nobody has tried may fail in any of these ways.
UNTRIED_ARCHITECTURE_ERRORS = (
    AttributeError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)

# The name under which the installed transformers passes a cache to and from models; release 5.24
# renamed it. A cache passed under the other name works at first, but beam search cannot reorder it.
_OUTPUT_FIELDS = {field.name for field in fields(GenerateDecoderOnlyOutput)}
CACHE_NAME = "cache" if "cache" in _OUTPUT_FIELDS else "past_key_values"


@cache
def list_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters, such as those of a model's `forward`.

    They are cached, because every pass through a model needs them.
    """
    return frozenset(inspect.signature(function).parameters)


class _TransformerSizes(Protocol):
    """The settings that the transformer encoder and decoder have in common."""

    @property
    def architecture(self) -> str:
        """A model type of transformers."""

    @property
    def hidden(self) -> int:
        """Size of a state."""

    @property
    def layers(self) -> int:
        """Number of blocks."""

    @property
    def heads(self) -> int:
        """Number of attention heads in a block."""

    @property
    def positions(self) -> int:
        """Length of the longest text, in tokens."""

    @property
    def options(self) -> dict[str, Any]:
        """Further fields of the architecture's own config."""


def build_architecture_config(
    sizes: _TransformerSizes, vocab: int, setting: str
) -> PreTrainedConfig:
    """Return the architecture's own config with the sizes of `sizes`.

    Args:
        sizes: the settings of a transformer encoder or decoder.
        vocab: number of tokens.
        setting: dotted name of these settings, for error messages.

    Raises:
        ConfigError: the architecture is unknown, its config rejects the sizes, or the options ask
            to run code from elsewhere.
    """
    refuse_foreign_code(sizes.options, f"{setting}.options")
    choose(dict.fromkeys(CONFIG_MAPPING), sizes.architecture, f"{setting}.architecture")
    if sizes.hidden % sizes.heads:
        raise ConfigError(
            f"{setting}.hidden = {sizes.hidden} is not a multiple of "
            f"{setting}.heads = {sizes.heads}: change one of them."
        )
    # These are the common names. The configs of older architectures map them to
    # names of their own, such as GPT-2's `n_embd`.
    fields = {
        "vocab_size": vocab,
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.heads,  # no grouped-query attention, unless in `options`
        "intermediate_size": 4 * sizes.hidden,  # the usual ratio since Vaswani et al. 2017
        "max_position_embeddings": sizes.positions,
        # The defaults are ids of the published tokenizers, often beyond our
        # vocabulary. Token 0 as padding has a side effect, which `unfreeze_padding_embedding` undoes.
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        **sizes.options,
    }
    try:
        return AutoConfig.for_model(sizes.architecture, **fields)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{setting}: the config of {sizes.architecture} does not accept these settings: {error}"
        ) from error


def unfreeze_padding_embedding(body: PreTrainedModel) -> PreTrainedModel:
    """Let the embedding of token 0 learn like all others, and return the model.

    The architecture's config must name a padding token within the vocabulary, and `nn.Embedding`
    then gives that token no gradient. But in a tokenizer of the user's own, token 0 may be a word.
    Nothing is lost: the attention mask already excludes padding.
    """
    body.get_input_embeddings().padding_idx = None
    return body


def fuse_activations(body: M) -> M:
    """Compute GPT-2's activation in one pass instead of eight, in place, and return the module.

    transformers writes the formula out, which takes a fifth of a training step on a CPU.
    """
    for parent in list(body.modules()):
        for name, child in parent.named_children():
            if type(child) is NewGELUActivation:
                setattr(parent, name, nn.GELU(approximate="tanh"))
    return body


def is_causal(config: PreTrainedConfig) -> bool:
    """Whether each position sees only itself and those before it.

    Masked language models such as BERT do so only if their config says that they decode.
    """
    is_masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(
        config, "is_decoder", False
    )
    return (
        type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
        and not is_masked
        and not config.is_encoder_decoder
    )


def has_key_value_cache(model: type[PreTrainedModel], config: PreTrainedConfig) -> bool:
    """Whether the model accepts a cache and all of its layers count the tokens in it.

    Models without that parameter ignore a cache, or have a state of their own that beam search
    would not reorder.
    """
    if CACHE_NAME not in list_parameters(model.forward):
        return False
    try:
        DynamicCache(config=config).get_seq_length()
    except ValueError:  # raised by layers of state space models, which do not count tokens
        return False
    return True
