"""Build a model with random weights from the settings of its parts, a tokenizer and labels.

Its bases are opened first. With them, `check_parts` finds settings that do not go together
before a tokenizer exists, and `build_model` then need not open them again.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from textvae.data.labels import Labels
from textvae.data.tokenization import read_tokenizer
from textvae.errors import ConfigError
from textvae.model.configuration import TextVAEConfig
from textvae.model.decoders import DECODERS
from textvae.model.decoders.base import AUTO
from textvae.model.encoders import ENCODERS
from textvae.model.encoders.transformer import TransformerEncoderSettings, check_architecture
from textvae.model.modeling import TextVAEModel
from textvae.model.size import check_model_fits
from textvae.schema import PartSettings

_PROBE_VOCAB = 8  # tokens of the model that `check_parts` builds, for it to be small


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
        """Names of the ways in which z conditions the decoder, or `auto`."""

    @property
    def decoder(self) -> PartSettings:
        """The settings of the decoder."""

    @property
    def label_dim(self) -> int:
        """Size of a label's embedding; used if there are labels."""


@dataclass(frozen=True)
class OpenedBases:
    """The settings of encoder and decoder with the records of their bases, and the bases.

    A base is None for a part without one.
    """

    encoder_settings: PartSettings
    encoder: PreTrainedModel | None
    decoder_settings: PartSettings
    decoder: PreTrainedModel | None


def open_bases(parts: ModelParts, *, is_language_model: bool = False) -> OpenedBases:
    """Load the bases of a model's parts.

    Args:
        is_language_model: whether the decoder is built alone, without an encoder.

    Raises:
        ConfigError: a base is missing, is damaged, or cannot be such a part.
    """
    encoder_settings, encoder = parts.encoder, None
    if not is_language_model:
        encoder_settings, encoder = ENCODERS[parts.encoder.kind].open_base(parts.encoder)
    decoder_settings, decoder = DECODERS[parts.decoder.kind].open_base(parts.decoder)
    return OpenedBases(encoder_settings, encoder, decoder_settings, decoder)


def choose_conditioning(parts: ModelParts, base: PreTrainedConfig | None) -> tuple[str, ...]:
    """Return the conditionings that are set, or those that suit the base of the decoder.

    Args:
        base: the base's own config; None for a decoder without a base.
    """
    if parts.conditioning != AUTO:
        return tuple(parts.conditioning)
    assert base is not None, "only a decoder with a base has this default"
    return DECODERS[parts.decoder.kind].choose_conditioning(base)


def check_parts(
    parts: ModelParts,
    bases: OpenedBases,
    *,
    labels: Labels | None = None,
    is_language_model: bool = False,
    device: torch.device | None = None,
) -> None:
    """Check that a model can be built from the settings, before there is a tokenizer for it.

    The model is built on the device `meta`, which takes neither memory nor time for weights.

    Args:
        labels: stand for the labels of a corpus that is not read yet.
        device: where the model will be trained; by default, the CPU.

    Raises:
        ConfigError: settings do not go together, or a model without bases does not fit into the
            memory of the device, whatever its vocabulary.
    """
    sizes = {"vocab_size": _PROBE_VOCAB, "encoder_vocab_size": _PROBE_VOCAB}
    config = _build_config(parts, bases, labels, is_language_model, sizes)
    if bases.encoder is None and bases.decoder is None:
        check_model_fits(config, device or torch.device("cpu"))
    # A part that computes with its weights cannot be built there; it is built later.
    with torch.device("meta"), suppress(NotImplementedError):
        model = TextVAEModel(config)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ConfigError(
                "nothing would be trained: the language model is frozen, and there is no latent. "
                "Set model.decoder.train to lora or all."
            )
    if isinstance(parts.encoder, TransformerEncoderSettings) and not is_language_model:
        check_architecture(parts.encoder)


def build_model(
    parts: ModelParts,
    tokenizer: PreTrainedTokenizerBase,
    *,
    labels: Labels | None = None,
    is_language_model: bool = False,
    bases: OpenedBases | None = None,
    device: torch.device | None = None,
) -> TextVAEModel:
    """Return the model that the settings describe, with random weights.

    Args:
        labels: the labels that condition the model.
        is_language_model: whether to build the decoder alone, with a z of no dimensions.
        bases: those of the parts, if they are open already.
        device: where the model will be trained; by default, the CPU.

    Raises:
        ConfigError: the model does not fit into the memory of the device.
    """
    if bases is None:
        bases = open_bases(parts, is_language_model=is_language_model)
    rows: list[int | None] = []
    if bases.decoder is not None:
        rows = _find_rows(tokenizer, read_tokenizer(bases.decoder.name_or_path))
        bases = replace(bases, decoder_settings=_note_vocabulary(bases, rows))
    sizes = {
        "vocab_size": len(tokenizer),
        "encoder_vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if bases.encoder is not None:
        sizes["encoder_vocab_size"] = bases.encoder.config.get_text_config().vocab_size
    config = _build_config(parts, bases, labels, is_language_model, sizes)
    if bases.encoder is None and bases.decoder is None:  # the memory of bases is checked elsewhere
        check_model_fits(config, device or torch.device("cpu"))
    model = TextVAEModel(config)
    if bases.encoder is not None:
        model.encoder.adopt(bases.encoder)
    if bases.decoder is not None:
        model.decoder.adopt(bases.decoder, rows)
    _start_conditionings(model)
    return model


def _build_config(
    parts: ModelParts,
    bases: OpenedBases,
    labels: Labels | None,
    is_language_model: bool,
    sizes: dict[str, int],
) -> TextVAEConfig:
    """Return the config of a model.

    Args:
        sizes: the sizes of both vocabularies, and the ids of special tokens.
    """
    latent_dim = parts.latent_dim
    decoder_config = None if bases.decoder is None else bases.decoder.config
    channels = list(choose_conditioning(parts, decoder_config))
    if is_language_model:
        latent_dim = 0
        if not labels:  # without z and labels there is nothing to condition on
            channels = []
    label_config = {}
    if labels is not None:
        label_config = _build_label_config(labels, parts.label_dim)
    return TextVAEConfig(
        latent_dim=latent_dim,
        encoder_settings=_dump_part(bases.encoder_settings),
        decoder_settings=_dump_part(bases.decoder_settings),
        posterior_settings=parts.posterior.model_dump(),
        prior_settings=parts.prior.model_dump(),
        conditioning=channels,
        **sizes,
        **label_config,
    )


def _note_vocabulary(bases: OpenedBases, rows: Sequence[int | None]) -> PartSettings:
    """Return the decoder's settings with a record of how its tokens differ from those of its base.

    Args:
        rows: the id of each token in the base's vocabulary; None for a token that it lacks.
    """
    assert bases.decoder is not None, "the rows are those of its tokens"
    settings: Any = bases.decoder_settings
    changes: dict[str, Any] = {"has_own_vocabulary": False}
    if list(rows) != list(range(bases.decoder.config.vocab_size)):
        changes = {"has_own_vocabulary": True, "new_tokens": list(rows).count(None)}
    record = settings.base.model_copy(update=changes)
    noted: PartSettings = settings.model_copy(update={"base": record})
    return noted


def _dump_part(settings: PartSettings) -> dict[str, Any]:
    """Return the settings of a part as the model's config has them.

    The file of word vectors is left out: the model has its own embeddings, and needs no file.
    """
    return {key: value for key, value in settings.model_dump().items() if key != "vectors"}


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
