"""From our few size settings to the config of any Hugging Face architecture."""

from typing import Any, Protocol

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel

from textvae.errors import ConfigError
from textvae.runtime.foreign_code import refuse_foreign_code
from textvae.schema import choose


class _TransformerSizes(Protocol):
    """What the transformer encoder's and decoder's settings share."""

    @property
    def architecture(self) -> str:
        """A model type of transformers."""

    @property
    def hidden(self) -> int:
        """Size of a state."""

    @property
    def layers(self) -> int:
        """Blocks."""

    @property
    def heads(self) -> int:
        """Attention heads of a block."""

    @property
    def positions(self) -> int:
        """Longest text, in tokens."""

    @property
    def options(self) -> dict[str, Any]:
        """Further fields of the architecture's own config."""


def embeds_every_word(body: PreTrainedModel) -> PreTrainedModel:
    """Let the embedding of token 0 learn as all others do.

    Its config must name a padding token within the vocabulary and the positions, but in a tokenizer of the user's
    own the first token may be a word. Padding needs no mark here, for the mask leaves it out.
    """
    body.get_input_embeddings().padding_idx = None
    return body


def build_architecture_config(
    sizes: _TransformerSizes, vocab: int, setting: str
) -> PreTrainedConfig:
    """Return the architecture's own config, at our sizes.

    Raises:
        ConfigError: no such architecture, its config refuses the sizes, or the options ask for code.
    """
    refuse_foreign_code(sizes.options, f"{setting}.options")
    choose(dict.fromkeys(CONFIG_MAPPING), sizes.architecture, f"{setting}.architecture")
    if sizes.hidden % sizes.heads:
        raise ConfigError(
            f"{setting}.hidden = {sizes.hidden} does not divide among {setting}.heads = {sizes.heads}."
        )
    fields = {
        "vocab_size": vocab,
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.heads,
        "intermediate_size": 4 * sizes.hidden,
        "max_position_embeddings": sizes.positions,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        **sizes.options,
    }
    try:
        return AutoConfig.for_model(sizes.architecture, **fields)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{setting}: {sizes.architecture} refuses its options: {error}"
        ) from error
