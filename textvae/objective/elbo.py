"""The objective: the ELBO, and the terms a technique may shape.

    loss = reconstruction + shaped KL + penalties        (nats, averaged over sentences)

The reconstruction is -log p(x | z) with one z from q(z | x); without techniques
the loss is the negative ELBO (Kingma & Welling 2014, arXiv:1312.6114).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_serializer, field_validator, model_validator
from torch import Tensor, nn

from textvae.data.batching import Batch
from textvae.errors import ConfigError
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import Distribution
from textvae.objective.compatibility import drop_clashing_defaults
from textvae.objective.techniques import TECHNIQUES, ModelFacts, Progress, Technique, TrainEncoder
from textvae.objective.techniques.base import TechniqueSettings
from textvae.schema import PartSettings, StrictSettings, choose, validate_each, validate_settings

DEFAULT_TECHNIQUES: dict[str, dict[str, Any]] = {"target_kl": {}, "unit_floor": {}}


class ObjectiveSettings(StrictSettings):
    """What is maximised, and the techniques that shape it.

    `techniques` holds those beside the default ones, by name, each with its
    settings; `off` takes a default one out, and so does one that it cannot work
    with. `objective: language_model` is short
    for that kind: the decoder alone, without encoder and latent, trained to
    maximise log p(x). It is what a VAE must beat.
    """

    kind: Literal["elbo", "language_model"] = "elbo"
    techniques: dict[str, Any] = Field(DEFAULT_TECHNIQUES, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def long_form(cls, given: Any) -> Any:
        """Read a kind's name alone."""
        return {"kind": given} if isinstance(given, str) else given

    @field_validator("techniques", mode="before")
    @classmethod
    def check(cls, given: Any, info: ValidationInfo) -> dict[str, PartSettings]:
        """Turn each entry into its technique's settings, in the order of the table."""
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"objective.techniques = {given!r} does not fit: name each technique with its settings."
            )
        validate_each(given, lambda name, _: choose(TECHNIQUES, name, "objective.techniques"))
        if info.data.get("kind") == "language_model":
            return _select_language_model_techniques(given)
        entries = {**DEFAULT_TECHNIQUES, **given}
        wanted = {
            name: entries[name]
            for name in TECHNIQUES
            if entries.get(name, "off") not in ("off", False)
        }
        chosen = validate_each(wanted, _validate_technique)
        return dict(drop_clashing_defaults(chosen, named=set(given)))

    @field_serializer("techniques")
    def write(self, techniques: dict[str, PartSettings]) -> dict[str, Any]:
        """Write a default one that was taken out as `off`, so that it stays out when read back."""
        out = {name: "off" for name in DEFAULT_TECHNIQUES if name not in techniques}
        return {**{name: entry.model_dump() for name, entry in techniques.items()}, **out}


def _select_language_model_techniques(given: Mapping[str, Any]) -> dict[str, PartSettings]:
    """Return the techniques a language model can have: none shapes a latent that is not there.

    Raises:
        ConfigError: one was named.
    """
    named = [
        name
        for name, entry in given.items()
        if entry not in ("off", False) and name != "word_dropout"
    ]
    shaping = [name for name in named if name not in DEFAULT_TECHNIQUES or given[name]]
    if shaping:
        raise ConfigError(
            f"objective.techniques.{shaping[0]} shapes a latent, and a language model has none: leave it out, "
            "or leave objective.kind = language_model out."
        )
    kept = {
        name: entry
        for name, entry in given.items()
        if name == "word_dropout" and entry not in ("off", False)
    }
    return {name: _validate_technique(name, entry) for name, entry in kept.items()}


def _validate_technique(name: str, given: Any) -> TechniqueSettings:
    """Return one technique's checked settings; nothing given means its defaults."""
    if isinstance(given, TechniqueSettings):
        return given
    if not isinstance(given, Mapping | None | bool):
        raise ConfigError(
            f"objective.techniques.{name} = {given!r} does not fit: give its settings, or off."
        )
    entry = given if isinstance(given, Mapping) else {}
    return validate_settings(
        TECHNIQUES[name].Settings, {"kind": name, **entry}, f"objective.techniques.{name}"
    )


@dataclass(frozen=True)
class LossTerms:
    """What one batch cost, in nats per sentence.

    Attributes:
        loss: what is minimised (scalar, with gradient).
        reconstruction, kl, paid_kl: scalars, without; `shaped_kl` is the KL after shaping.
    """

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor
    shaped_kl: Tensor


class Objective:
    """The ELBO as the techniques shape it."""

    def __init__(self, settings: ObjectiveSettings, facts: ModelFacts) -> None:
        self.techniques: dict[str, Technique] = {
            name: TECHNIQUES[name](entry, facts) for name, entry in settings.techniques.items()
        }
        parts = {name: technique.module for name, technique in self.techniques.items()}
        self.modules = nn.ModuleDict(
            {name: module for name, module in parts.items() if module is not None}
        )

    def __call__(
        self, model: nn.Module, batch: Batch, progress: Progress, observes_kl: bool = True
    ) -> LossTerms:
        """Return the loss of a batch and its terms; techniques watch its KL in the steps they count."""
        hooks: Sequence[Technique] = list(self.techniques.values())
        for technique in hooks:
            batch = technique.corrupt(batch, progress)
        output = model(**batch, draw=partial(self.draw, batch, progress))
        kl = (
            output.mean.new_zeros(len(output.mean), 1) if output.kl is None else output.kl
        )  # an autoencoder has none
        for technique in hooks if observes_kl and not progress.is_pretraining else ():
            technique.observe_kl(kl.detach(), progress)
        shaped = kl
        for technique in hooks:
            shaped = technique.shape_kl(shaped, progress)
        paid = shaped.sum(1).mean()
        penalty = sum(technique.penalty(output, batch, progress) for technique in hooks)
        return LossTerms(
            loss=output.reconstruction + paid + penalty,
            reconstruction=output.reconstruction.detach(),
            kl=kl.detach().sum(1).mean(),
            shaped_kl=paid.detach(),
        )

    def draw(
        self, batch: Batch, progress: Progress, model: TextVAEModel, posterior: Distribution
    ) -> tuple[Distribution, Tensor]:
        """Return the posterior whose KL is paid, and the z to decode, (batch, latent), as the techniques want them."""
        for technique in self.techniques.values():
            posterior = technique.refine_posterior(posterior, model, batch, progress)
        latent = posterior.sample()
        for technique in self.techniques.values():
            latent = technique.draw(latent, posterior, model, batch, progress)
        return posterior, latent

    def before_step(self, train_encoder: TrainEncoder, progress: Progress) -> None:
        """Let the techniques train the encoder alone."""
        for technique in () if progress.is_pretraining else self.techniques.values():
            technique.before_step(train_encoder)

    def freezes_encoder(self, progress: Progress) -> bool:
        """Whether the step is to leave the encoder as it is."""
        return not progress.is_pretraining and any(
            technique.freezes_encoder for technique in self.techniques.values()
        )

    @property
    def pretraining_share(self) -> float:
        """The share of the run after which the decoder begins anew."""
        return max(
            (technique.pretraining_share for technique in self.techniques.values()), default=0.0
        )

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """Show every technique the measures of the validation split."""
        for technique in self.techniques.values():
            technique.on_evaluation(record)

    def selection(self, record: Mapping[str, Any]) -> float:
        """Return what the best model has least of: the negative ELBO, or where the KL is free the reconstruction."""
        pays = all(technique.settings.penalizes_kl for technique in self.techniques.values())
        if pays and record["elbo"] is not None:  # without a density there is none
            return -float(record["elbo"])
        return float(record["reconstruction"])

    @property
    def kl_target(self) -> float | None:
        """The KL in nats the techniques steer to, if any does."""
        return next(
            (technique.kl_target for technique in self.techniques.values() if technique.kl_target),
            None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return every technique's state, as JSON."""
        return {name: technique.state_dict() for name, technique in self.techniques.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take it over."""
        for name, technique in self.techniques.items():
            technique.load_state_dict(state[name])
