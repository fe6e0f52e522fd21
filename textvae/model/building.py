"""Build a model with random weights from the settings of its parts, a tokenizer and labels."""

from collections.abc import Sequence
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from textvae.data.labels import Labels
from textvae.data.tokenization import read_tokenizer
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.modeling import TextVAEModel
from textvae.schema import PartSettings


class ModelParts(Protocol):
    """The settings of a model's parts, and the sizes that they share."""

    @property
    def latent_dim(self) -> int:
        """Size of z."""

    @property
    def encoder(self) -> PartSettings:
        """The settings of the encoder."""

    @property
    def posterior(self) -> PartSettings:
        """The settings of q(z | x)."""

    @property
    def prior(self) -> PartSettings:
        """The settings of p(z)."""

    @property
    def conditioning(self) -> Sequence[str]:
        """Names of the ways in which z conditions the decoder."""

    @property
    def decoder(self) -> PartSettings:
        """The settings of the decoder."""

    @property
    def label_dim(self) -> int:
        """Size of a label's embedding; used if there are labels."""


def build_model(
    parts: ModelParts,
    tokenizer: PreTrainedTokenizerBase,
    *,
    labels: Labels | None = None,
    is_language_model: bool = False,
) -> TextVAEModel:
    """Return the model that the settings describe, with random weights.

    Args:
        labels: the labels that condition the model.
        is_language_model: whether to build the decoder alone, with a z of no dimensions.
    """
    encoder_settings, encoder_base = parts.encoder, None
    if not is_language_model:
        encoder_settings, encoder_base = ENCODERS[parts.encoder.kind].open_base(parts.encoder)
    decoder_settings, decoder_base = DECODERS[parts.decoder.kind].open_base(parts.decoder)
    rows: list[int | None] = []
    if decoder_base is not None:
        rows = _find_rows(tokenizer, read_tokenizer(decoder_base.name_or_path))
        is_same = rows == list(range(decoder_base.config.vocab_size))
        record = decoder_settings.base.model_copy(update={"has_own_vocabulary": not is_same})
        decoder_settings = decoder_settings.model_copy(update={"base": record})
    encoder_vocab_size = len(tokenizer)
    if encoder_base is not None:
        encoder_vocab_size = encoder_base.config.get_text_config().vocab_size
    latent_dim = parts.latent_dim
    channels = list(parts.conditioning)
    if is_language_model:
        latent_dim = 0
        if not labels:  # without z and labels there is nothing to condition on
            channels = []
    label_config = {}
    if labels is not None:
        label_config = _build_label_config(labels, parts.label_dim)
    config = TextVAEConfig(
        latent_dim=latent_dim,
        vocab_size=len(tokenizer),
        encoder_vocab_size=encoder_vocab_size,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        encoder_settings=encoder_settings.model_dump(),
        decoder_settings=decoder_settings.model_dump(),
        posterior_settings=parts.posterior.model_dump(),
        prior_settings=parts.prior.model_dump(),
        conditioning=channels,
        **label_config,
    )
    model = TextVAEModel(config)
    if encoder_base is not None:
        model.encoder.adopt(encoder_base)
    if decoder_base is not None:
        model.decoder.adopt(decoder_base, rows)
    _start_conditionings(model)
    return model


def _start_conditionings(model: TextVAEModel) -> None:
    """Let each conditioning start from the signal that the decoder proposes, if it does."""
    signals = model.decoder.compute_first_signals(model.config.bos_token_id)
    for name, (signal, std) in signals.items():
        if name in model.conditioning:
            conditioning: Any = model.conditioning[name]
            conditioning.start_from(signal, std)


def _build_label_config(labels: Labels, size: int) -> dict[str, Any]:
    """Return the entries that only the config of a conditional model has."""
    return {
        "labels": list(labels.names),
        "label_counts": list(labels.counts),
        "label_column": labels.column,
        "label_dim": size,
    }


def _find_rows(
    tokenizer: PreTrainedTokenizerBase, base: PreTrainedTokenizerBase
) -> list[int | None]:
    """Return the id of each token in the base's tokenizer, or None for a token that it lacks."""
    known = base.get_vocab()
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return [known.get(token) for token in tokens]
