"""A run's settings: sections, read from YAML, overridden by dotted keys, strict throughout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from textvae.combinations import check_techniques
from textvae.conditioning import CONDITIONINGS
from textvae.corpus import DataSettings
from textvae.decoders import DECODERS
from textvae.encoders import ENCODERS
from textvae.errors import ConfigError
from textvae.objective import ObjectiveSettings
from textvae.parts import PartSettings, StrictSettings, checked, choose, part_of
from textvae.posteriors import POSTERIORS
from textvae.priors import PRIORS
from textvae.priors.pairing import check_prior
from textvae.tokenization import TokenizerSettings
from textvae.training.settings import TrainingSettings

CONDITIONAL_PRIOR = "label_gaussian"
Part = SerializeAsAny[PartSettings]


class ModelSettings(StrictSettings):
    """The parts of the model and the size of z."""

    latent_dim: int = Field(32, gt=0)
    encoder: Annotated[Part, part_of(lambda: ENCODERS, "model.encoder")] = Field({}, validate_default=True)
    posterior: Annotated[Part, part_of(lambda: POSTERIORS, "model.posterior")] = Field({}, validate_default=True)
    prior: Annotated[Part, part_of(lambda: PRIORS, "model.prior")] = Field({}, validate_default=True)
    label_dim: int = Field(32, gt=0, description="of a label's embedding, where data.label conditions the model")
    conditioning: tuple[str, ...] = ("initial_state", "every_step", "output")
    decoder: Annotated[Part, part_of(lambda: DECODERS, "model.decoder")] = Field({}, validate_default=True)

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
            isinstance(data, Mapping) and data.get("label") and isinstance(model, Mapping) and "prior" not in model
        )
        return {**given, "model": {**model, "prior": CONDITIONAL_PRIOR}} if is_open else given

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
        check_techniques(self.model.posterior.kind, self.model.prior.kind, self.objective.techniques)
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


def read_settings(
    file: str | Path | None = None,
    overrides: Sequence[str] = (),
    base: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Settings:
    """Return the settings of a YAML file, with overrides applied.

    Args:
        file: a YAML file; without one, the default recipe.
        overrides: `section.key=value`, the value read as YAML.
        base: what holds where the file says nothing, as nested mappings.
        sections: further values, as nested mappings.

    Raises:
        ConfigError: a key is unknown or a value does not fit.
    """
    given = merged(base or {}, read_yaml(Path(file)) if file else {})
    for override in overrides:
        key, is_assignment, value = override.partition("=")
        if not is_assignment or ("." not in key and key != "objective"):
            raise ConfigError(f"{override!r} is no setting: write section.key=value, training.epochs=3 for instance.")
        given = merged(given, nested(key.split("."), parse(value, key)))
    return checked(Settings, merged(given, sections))


def read_yaml(file: Path) -> dict[str, Any]:
    """Return a YAML file's mapping.

    Raises:
        ConfigError: the file is missing, no YAML, or no mapping.
    """
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{file}: cannot be read: {reason}; wanted is a YAML file of settings.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given or {}, dict):
        raise ConfigError(f"{file}: wanted are sections (data, tokenizer, model, objective, training), not {given!r}.")
    return given or {}


def parse(value: str, key: str) -> Any:
    """Read an override's value as YAML."""
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"{key} = {value!r} is not YAML; put text with signs in it into quotes.") from None


def nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return {a: {b: value}} for the keys a, b."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it, mapping by mapping; a part named anew drops the old one's settings."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, str) and old != "off" and isinstance(value, Mapping):
            old = {"kind": old}
        if not (isinstance(old, Mapping) and isinstance(value, Mapping)):
            result[key] = value
        elif None not in (old.get("kind"), value.get("kind")) and value["kind"] != old["kind"]:
            result[key] = dict(value)
        else:
            result[key] = merged(old, value)
    return result
