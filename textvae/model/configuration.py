"""The model's config: what `from_pretrained` reads from config.json, and what it must not ask for."""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class TextVAEConfig(PreTrainedConfig):
    """A text VAE: latent size, vocabularies, and the settings of its parts.

    Args:
        latent_dim: size of z.
        vocab_size, encoder_vocab_size: tokens the decoder writes and the encoder reads.
        encoder_settings, decoder_settings, posterior_settings, prior_settings: the settings of each part,
            `kind` among them. No field is called `decoder` or `encoder`: transformers takes such a field for
            a config of its own.
        conditioning: the names under which z reaches the decoder.
        labels, label_counts, label_column: of a conditional model, the labels, the training sentences
            of each, and the column that has them in tables.
        label_dim: size of a label's embedding.
    """

    model_type = "textvae"

    latent_dim: int = 32
    vocab_size: int = 4096
    encoder_vocab_size: int = 4096
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    pad_token_id: int | None = 0
    encoder_settings: dict[str, Any] | None = None
    decoder_settings: dict[str, Any] | None = None
    posterior_settings: dict[str, Any] | None = None
    prior_settings: dict[str, Any] | None = None
    conditioning: list[str] | None = None
    labels: list[str] | None = None
    label_counts: list[int] | None = None
    label_column: str | None = None
    label_dim: int = 0


AutoConfig.register("textvae", TextVAEConfig)
