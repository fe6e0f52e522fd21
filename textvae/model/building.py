"""Build a model with random weights from the settings of its parts, a tokenizer and labels."""

from collections.abc import Sequence
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from textvae.data.labels import Labels
from textvae.model.configuration import TextVAEConfig
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
    latent_dim = parts.latent_dim
    conditioning = list(parts.conditioning)
    if is_language_model:
        latent_dim = 0
        if not labels:  # without z and labels there is nothing to condition on
            conditioning = []
    label_config = {}
    if labels is not None:
        label_config = _build_label_config(labels, parts.label_dim)
    config = TextVAEConfig(
        latent_dim=latent_dim,
        vocab_size=len(tokenizer),
        encoder_vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        encoder_settings=parts.encoder.model_dump(),
        decoder_settings=parts.decoder.model_dump(),
        posterior_settings=parts.posterior.model_dump(),
        prior_settings=parts.prior.model_dump(),
        conditioning=conditioning,
        **label_config,
    )
    return TextVAEModel(config)


def _build_label_config(labels: Labels, size: int) -> dict[str, Any]:
    """Return the entries that only the config of a conditional model has."""
    return {
        "labels": list(labels.names),
        "label_counts": list(labels.counts),
        "label_column": labels.column,
        "label_dim": size,
    }
