"""The model's config: what `from_pretrained` reads from config.json."""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class TextVAEConfig(PreTrainedConfig):
    """A text VAE: latent size, vocabularies, and the settings of its parts.

    Args:
        latent_dim: size of z.
        vocab_size, encoder_vocab_size: tokens the decoder writes and the encoder reads.
        encoder, writer, posterior, prior: each a part's settings, `kind` among them.
            The decoder's are called `writer` here, since transformers takes a field
            named `decoder` for a config of its own.
        conditioning: the names under which z reaches the decoder.
    """

    model_type = "textvae"

    latent_dim: int = 32
    vocab_size: int = 4096
    encoder_vocab_size: int = 4096
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 0
    encoder: dict[str, Any] | None = None
    writer: dict[str, Any] | None = None
    posterior: dict[str, Any] | None = None
    prior: dict[str, Any] | None = None
    conditioning: list[str] | None = None


AutoConfig.register("textvae", TextVAEConfig)
