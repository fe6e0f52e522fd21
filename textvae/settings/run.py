"""The settings of a run: one strict section for each step, and checks across sections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypedDict

import yaml
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings
from textvae.errors import ConfigError
from textvae.model.compatibility import check_prior
from textvae.model.conditioning import CONDITIONINGS
from textvae.model.decoders import DECODERS
from textvae.model.decoders.base import AUTO
from textvae.model.encoders import ENCODERS
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS
from textvae.objective.compatibility import check_techniques
from textvae.objective.elbo import ObjectiveSettings
from textvae.schema import (
    PartSettings,
    Size,
    StrictSettings,
    choose,
    list_set_fields,
    part_validator,
)
from textvae.settings.card import CardSettings
from textvae.settings.trainer_names import TRAINER_NAMES
from textvae.settings.training import TrainingSettings

_CONDITIONAL_PRIOR = "label_gaussian"
_PRETRAINED = "pretrained"  # the kind of the tokenizer of a decoder that starts from a base

# Settings of tokenizers that are trained on the corpus, or loaded from a folder.
_TRAINED_ONLY = ("vocab_size", "min_frequency", "punctuation", "path")

# Pydantic would write only the fields of `PartSettings`; this writes those of the actual part.
_Part = SerializeAsAny[PartSettings]


def _find_kind(part: object) -> object:
    """Return the kind of a part as a user wrote it: its name alone, a mapping, or its settings."""
    if isinstance(part, PartSettings):
        return part.kind
    return part.get("kind") if isinstance(part, Mapping) else part


class ModelSettings(StrictSettings):
    """The parts of the model, and the size of its latent."""

    latent_dim: Size = Field(32, description="number of dimensions of the latent z")
    # The default {} of a part means the first kind in its table, with all of that kind's defaults.
    encoder: Annotated[_Part, part_validator(lambda: ENCODERS, "model.encoder")] = Field(
        {}, validate_default=True
    )
    posterior: Annotated[_Part, part_validator(lambda: POSTERIORS, "model.posterior")] = Field(
        {}, validate_default=True
    )
    prior: Annotated[_Part, part_validator(lambda: PRIORS, "model.prior")] = Field(
        {}, validate_default=True
    )
    label_dim: Size = Field(
        32, description="size of a label's embedding; used if data.label is set"
    )
    conditioning: tuple[str, ...] | Literal["auto"] = Field(
        ("initial_state", "every_step", "output"),
        description="the ways in which z conditions the decoder; auto: those that suit it",
    )
    decoder: Annotated[_Part, part_validator(lambda: DECODERS, "model.decoder")] = Field(
        {}, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def choose_conditioning(cls, model: object) -> object:
        """Choose the conditioning that suits the decoder, if none is set.

        For a decoder whose choice depends on its base, it stays `auto` until the base is known.
        """
        if not isinstance(model, Mapping) or model.get("conditioning", AUTO) != AUTO:
            return model
        decoder = DECODERS.get(str(_find_kind(model.get("decoder"))))
        chosen = None if decoder is None else decoder.default_conditioning
        if chosen is None:
            return {name: value for name, value in model.items() if name != "conditioning"}
        return {**model, "conditioning": chosen}

    @field_validator("conditioning")
    @classmethod
    def check_conditioning(
        cls, names: tuple[str, ...] | Literal["auto"]
    ) -> tuple[str, ...] | Literal["auto"]:
        """Refuse an unknown way of conditioning the decoder on z."""
        if names != AUTO:
            for name in names:
                choose(CONDITIONINGS, name, "model.conditioning")
        return names

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Refuse a posterior and a prior that do not go together."""
        check_prior(self.posterior.kind, self.prior.kind)
        return self

    def has_lstm(self) -> bool:
        """Whether a part of the model is an LSTM, or has one at its side."""
        kinds = {self.encoder.kind, self.decoder.kind}
        return bool(kinds & {"lstm", "side_tuned"} or getattr(self.encoder, "lstm", 0))


class Settings(StrictSettings):
    """All settings of a run; the defaults are the default recipe."""

    foreign_names = TRAINER_NAMES

    data: DataSettings = DataSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    model: ModelSettings = ModelSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    training: TrainingSettings = TrainingSettings()
    card: CardSettings = CardSettings()

    def without_corpus(self) -> Self:
        """Return the settings without the corpus of a config, whose place a Python object takes."""
        data = self.data.model_copy(update={"corpus": None})
        return self.model_copy(update={"data": data})

    @model_validator(mode="before")
    @classmethod
    def choose_prior(cls, sections: object) -> object:
        """Choose the prior that is conditioned on the label, if no prior is set but a label is."""
        if not isinstance(sections, Mapping):
            return sections
        data = list_set_fields(sections.get("data")) or {}
        model = list_set_fields(sections.get("model")) or {}
        # Sections of another type are left alone: field validation reports them.
        if not isinstance(data, Mapping) or not isinstance(model, Mapping):
            return sections
        # A file of labels conditions the model, too.
        has_label = data.get("label") or data.get("labels")
        if not has_label or "prior" in model:
            return sections
        return {**sections, "model": {**model, "prior": _CONDITIONAL_PRIOR}}

    @model_validator(mode="before")
    @classmethod
    def choose_tokenizer(cls, sections: object) -> object:
        """Choose the tokenizer of a pretrained decoder, if no kind of tokenizer is set."""
        if not isinstance(sections, Mapping):
            return sections
        model = list_set_fields(sections.get("model")) or {}
        tokenizer = list_set_fields(sections.get("tokenizer")) or {}
        if not isinstance(model, Mapping) or not isinstance(tokenizer, Mapping):
            return sections
        decoder = DECODERS.get(str(_find_kind(model.get("decoder"))))
        if decoder is None or not decoder.starts_from_base or "kind" in tokenizer:
            return sections
        return {**sections, "tokenizer": {**tokenizer, "kind": _PRETRAINED}}

    @model_validator(mode="after")
    def check_tokenizer(self) -> Self:
        """Refuse a tokenizer that does not belong to the decoder.

        Raises:
            ConfigError: only one of decoder and tokenizer is pretrained.
        """
        starts_from_base = DECODERS[self.model.decoder.kind].starts_from_base
        if starts_from_base != (self.tokenizer.kind == _PRETRAINED):
            raise ConfigError(
                f"tokenizer.kind = {self.tokenizer.kind!r} does not fit model.decoder.kind = "
                f"{self.model.decoder.kind!r}: a pretrained decoder has a tokenizer of its own, "
                "and no other decoder has. Leave tokenizer.kind out."
            )
        if self.tokenizer.kind == _PRETRAINED:
            for name in _TRAINED_ONLY:
                value = getattr(self.tokenizer, name)
                if value != TokenizerSettings.model_fields[name].default:
                    raise ConfigError(
                        f"tokenizer.{name} = {value!r} does not fit a pretrained decoder, whose "
                        "tokenizer is not trained: leave it out."
                    )
        return self

    @model_validator(mode="after")
    def check_white_space(self) -> Self:
        """Refuse to keep white space with a tokenizer that loses it.

        Raises:
            ConfigError: the kind of the tokenizer splits texts at white space, or is not known to
                keep it.
        """
        kinds = ("bpe", "byte", "character")
        if self.data.white_space == "keep" and self.tokenizer.kind not in kinds:
            raise ConfigError(
                f"data.white_space = 'keep' does not go with tokenizer.kind = "
                f"{self.tokenizer.kind!r}, which may lose blanks: use {', '.join(kinds)}."
            )
        return self

    @model_validator(mode="after")
    def check_label(self) -> Self:
        """Refuse a prior that needs labels if there are no labels.

        Raises:
            ConfigError: data.label is missing.
        """
        if PRIORS[self.model.prior.kind].needs_labels and self.data.label is None:
            raise ConfigError(
                f"model.prior = {self.model.prior.kind!r} needs labels: name their column, "
                "for example data.label=category, or choose another prior."
            )
        return self

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Refuse techniques that do not go together with the posterior or the prior."""
        check_techniques(
            self.model.posterior.kind, self.model.prior.kind, self.objective.techniques
        )
        return self

    @model_validator(mode="after")
    def check_positions(self) -> Self:
        """Refuse a transformer with fewer positions than the longest sentence needs.

        Raises:
            ConfigError: there are too few positions; the message says how many are needed.
        """
        for name, part in (("encoder", self.model.encoder), ("decoder", self.model.decoder)):
            options = part.model_dump()
            positions = options.get("positions")
            # In addition to the words: the start and end tokens, and the positions that hold z.
            prefix = options.get("prefix", 0) if "prefix" in self.model.conditioning else 0
            needed = self.data.max_tokens + 2 + prefix
            if positions is not None and positions < needed:
                raise ConfigError(
                    f"model.{name}.positions = {positions} cannot hold sentences of "
                    f"data.max_tokens = {self.data.max_tokens}, which need {needed}: "
                    f"lower data.max_tokens to {max(0, self.data.max_tokens - needed + positions)} "
                    f"or less, or raise model.{name}.positions, which only a model that is trained "
                    "from the start can have."
                )
        return self

    def save(self, file: Path) -> None:
        """Write the settings as YAML; `read_settings` reads them back."""
        file.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))


class SettingsSections(TypedDict, total=False):
    """The sections of `Settings` as keyword arguments, each with some of its settings.

    A section is a mapping from settings to values, or an object of its settings class. Of such an
    object, only the fields that were set count; the rest comes from the file of settings, or is
    the default. `objective` may also be the name of its kind.
    """

    data: DataSettings | Mapping[str, object]
    tokenizer: TokenizerSettings | Mapping[str, object]
    model: ModelSettings | Mapping[str, object]
    objective: ObjectiveSettings | Mapping[str, object] | str
    training: TrainingSettings | Mapping[str, object]
    card: CardSettings | Mapping[str, object]
