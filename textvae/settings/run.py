"""A run's settings: sections, read from YAML, overridden by dotted keys, strict throughout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from textvae.data.corpus import DataSettings
from textvae.data.tokenization import TokenizerSettings
from textvae.errors import ConfigError
from textvae.model.compatibility import check_prior
from textvae.model.conditioning import CONDITIONINGS
from textvae.model.decoders import DECODERS
from textvae.model.encoders import ENCODERS
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS
from textvae.objective.compatibility import check_techniques
from textvae.objective.elbo import ObjectiveSettings
from textvae.schema import PartSettings, StrictSettings, choose, part_validator
from textvae.settings.training import TrainingSettings

_CONDITIONAL_PRIOR = "label_gaussian"


_Part = SerializeAsAny[PartSettings]


class ModelSettings(StrictSettings):
    """The parts of the model and the size of z."""

    latent_dim: int = Field(32, gt=0)
    encoder: Annotated[_Part, part_validator(lambda: ENCODERS, "model.encoder")] = Field(
        {}, validate_default=True
    )
    posterior: Annotated[_Part, part_validator(lambda: POSTERIORS, "model.posterior")] = Field(
        {}, validate_default=True
    )
    prior: Annotated[_Part, part_validator(lambda: PRIORS, "model.prior")] = Field(
        {}, validate_default=True
    )
    label_dim: int = Field(
        32, gt=0, description="of a label's embedding, where data.label conditions the model"
    )
    conditioning: tuple[str, ...] = ("initial_state", "every_step", "output")
    decoder: Annotated[_Part, part_validator(lambda: DECODERS, "model.decoder")] = Field(
        {}, validate_default=True
    )

    @field_validator("conditioning")
    @classmethod
    def check(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a name that is none."""
        for name in names:
            choose(CONDITIONINGS, name, "model.conditioning")
        return names

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Refuse a posterior and a prior that do not go together."""
        check_prior(self.posterior.kind, self.prior.kind)
        return self


class Settings(StrictSettings):
    """Everything a run is made of; what is left out is the default recipe."""

    data: DataSettings = DataSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    model: ModelSettings = ModelSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="before")
    @classmethod
    def choose_prior(cls, given: Any) -> Any:
        """Take the prior that is conditioned on the label, where there is one and no prior is named."""
        data, model = given.get("data") or {}, given.get("model") or {}
        is_open = (
            isinstance(data, Mapping)
            and data.get("label")
            and isinstance(model, Mapping)
            and "prior" not in model
        )
        return {**given, "model": {**model, "prior": _CONDITIONAL_PRIOR}} if is_open else given

    @model_validator(mode="after")
    def check_label(self) -> Self:
        """Refuse a prior of labels without labels."""
        if PRIORS[self.model.prior.kind].needs_labels and self.data.label is None:
            raise ConfigError(
                f"model.prior = {self.model.prior.kind!r} is made of labels: name their column, data.label=category "
                "for instance, or choose another prior."
            )
        return self

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Refuse techniques that the model's posterior and prior cannot serve."""
        check_techniques(
            self.model.posterior.kind, self.model.prior.kind, self.objective.techniques
        )
        return self

    @model_validator(mode="after")
    def check_room(self) -> Self:
        """Refuse a transformer with fewer positions than the longest sentence takes.

        Raises:
            ConfigError: with both numbers.
        """
        for name, part in (("encoder", self.model.encoder), ("decoder", self.model.decoder)):
            given = part.model_dump()
            room, needed = given.get("positions"), self.data.max_tokens + 2 + given.get("prefix", 0)
            if room is not None and room < needed:
                raise ConfigError(
                    f"model.{name}.positions = {room} cannot hold sentences of data.max_tokens = "
                    f"{self.data.max_tokens}, which take {needed}: raise the one or lower the other."
                )
        return self

    def save(self, file: Path) -> None:
        """Write them as YAML."""
        file.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))
