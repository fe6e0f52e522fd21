"""The model's config, which is saved as config.json and read by `from_pretrained`."""

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from textvae.version import RUN_FORMAT


class TextVAEConfig(PreTrainedConfig):
    """The config of a text VAE: latent size, vocabularies, and the settings of its parts.

    Args:
        latent_dim: size of z; 0 makes a language model.
        vocab_size, encoder_vocab_size: number of tokens of the decoder and of the encoder.
        encoder_settings, decoder_settings, posterior_settings, prior_settings: the settings of each
            part, including its `kind`. No field may be called `decoder` or `encoder`: transformers
            would take it for a config object of its own.
        conditioning: names of the ways in which z conditions the decoder.
        labels, label_counts, label_column: in a conditional model, the labels, the number of
            training sentences of each, and the column of a table that contains them.
        label_dim: size of a label's embedding.
        run_format: the format of the folder that the model is saved in.
    """

    model_type = "textvae"

    latent_dim: int = 32
    vocab_size: int = 4096
    encoder_vocab_size: int = 4096
    # The ids of the special tokens in the tokenizers that textvae trains.
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
    run_format: int = RUN_FORMAT


AutoConfig.register("textvae", TextVAEConfig)
