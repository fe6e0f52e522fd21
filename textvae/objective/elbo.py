"""The objective: the ELBO, and the terms that a technique may shape.

    loss = reconstruction + shaped KL + penalties        (nats per sentence, batch mean)

The reconstruction is -log p(x | z) with one sample z from q(z | x). Without
techniques the loss is the negative ELBO (Kingma & Welling 2014, arXiv:1312.6114).
"""

from collections.abc import Mapping
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
from textvae.objective.techniques.base import (
    CorruptedInput,
    ObjectiveTerm,
    Refit,
    TechniqueSettings,
)
from textvae.schema import PartSettings, StrictSettings, choose, validate_each, validate_settings

DEFAULT_TECHNIQUES: dict[str, dict[str, Any]] = {"target_kl": {}, "unit_floor": {}}


def _is_off(entry: Any) -> bool:
    """Whether an entry is the word `off`, which YAML reads as False; 0 is a number."""
    return entry == "off" or entry is False


class ObjectiveSettings(StrictSettings):
    """What training maximizes, and the techniques that shape it.

    `techniques` adds to the default ones, by name, each with its settings. `off`
    removes a default technique, and so does a technique that cannot work with it.

    `objective: language_model` is short for `kind: language_model`: the decoder alone,
    without encoder and latent, trained to maximize log p(x). It is the baseline that a
    VAE should beat.
    """

    kind: Literal["elbo", "language_model"] = Field(
        "elbo", description="elbo: a VAE; language_model: the decoder alone, without a latent"
    )
    techniques: dict[str, Any] = Field(DEFAULT_TECHNIQUES, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def expand_shorthand(cls, section: Any) -> Any:
        """Accept the name of a kind in place of the whole section."""
        return {"kind": section} if isinstance(section, str) else section

    @field_validator("techniques", mode="before")
    @classmethod
    def check_entries(cls, entries: Any, info: ValidationInfo) -> dict[str, PartSettings]:
        """Turn each entry into its technique's settings, in the order of the table.

        Raises:
            ConfigError: a technique is unknown, or its settings do not fit.
        """
        if not isinstance(entries, Mapping):
            raise ConfigError(
                f"objective.techniques = {entries!r} does not fit: "
                "name each technique with its settings."
            )
        validate_each(entries, lambda name, _: choose(TECHNIQUES, name, "objective.techniques"))
        if info.data.get("kind") == "language_model":
            return _select_language_model_techniques(entries)
        combined = {**DEFAULT_TECHNIQUES, **entries}
        # The order of the table is the order in which the objective applies the techniques.
        names = [name for name in TECHNIQUES if not _is_off(combined.get(name, "off"))]
        techniques = validate_each({name: combined[name] for name in names}, _validate_technique)
        return dict(drop_clashing_defaults(techniques, requested=set(entries)))

    @field_serializer("techniques")
    def serialize_techniques(self, techniques: dict[str, PartSettings]) -> dict[str, Any]:
        """Write all techniques, and `off` for default ones that are missing.

        Without the `off`, reading the settings back would add them again.
        """
        entries: dict[str, Any] = {
            name: settings.model_dump() for name, settings in techniques.items()
        }
        for name in DEFAULT_TECHNIQUES:
            entries.setdefault(name, "off")
        return entries


def _select_language_model_techniques(entries: Mapping[str, Any]) -> dict[str, PartSettings]:
    """Return the techniques that a language model can use: all others shape a latent.

    Raises:
        ConfigError: the user asked for another technique.
    """
    active = {name: entry for name, entry in entries.items() if not _is_off(entry)}
    for name, entry in active.items():
        # The default techniques arrive here with empty settings if the user wrote nothing.
        is_default = name in DEFAULT_TECHNIQUES and not entry
        if name != "word_dropout" and not is_default:
            raise ConfigError(
                f"objective.techniques.{name} shapes a latent, and a language model has none: "
                "leave it out, or leave objective.kind = language_model out."
            )
    if "word_dropout" not in active:
        return {}
    return {"word_dropout": _validate_technique("word_dropout", active["word_dropout"])}


def _validate_technique(name: str, entry: Any) -> TechniqueSettings:
    """Return one technique's checked settings; an empty entry means its defaults.

    Raises:
        ConfigError: the entry is not a mapping, or a setting does not fit.
    """
    if isinstance(entry, TechniqueSettings):
        return entry
    # YAML reads an empty value as None, and `on` as True.
    if not isinstance(entry, Mapping | None | bool):
        raise ConfigError(
            f"objective.techniques.{name} = {entry!r} does not fit: give its settings, or off."
        )
    options = entry if isinstance(entry, Mapping) else {}
    return validate_settings(
        TECHNIQUES[name].Settings, {"kind": name, **options}, f"objective.techniques.{name}"
    )


@dataclass(frozen=True)
class LossTerms:
    """The loss of one batch and its terms, in nats per sentence.

    Attributes:
        loss: what training minimizes; a scalar with gradient.
        reconstruction: -log p(x | z); a scalar without gradient.
        kl: the KL before techniques shape it; a scalar without gradient.
        shaped_kl: the KL after that, which is part of the loss; a scalar without gradient.
    """

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor
    shaped_kl: Tensor


class Objective:
    """The ELBO, shaped by techniques.

    Attributes:
        techniques: by name, in the order in which they are applied.
        modules: the techniques' own weights, to be trained and saved with the model.
    """

    def __init__(self, settings: ObjectiveSettings, facts: ModelFacts) -> None:
        self.techniques: dict[str, Technique] = {
            name: TECHNIQUES[name](entry, facts) for name, entry in settings.techniques.items()
        }
        self.modules = nn.ModuleDict()
        for name, technique in self.techniques.items():
            if technique.module is not None:
                self.modules[name] = technique.module

    def __call__(
        self, model: nn.Module, batch: Batch, progress: Progress, observes_kl: bool = True
    ) -> LossTerms:
        """Return the loss of a batch and its terms.

        Args:
            model: a TextVAEModel, or a wrapper of one such as DDP.
            batch: this process's share of the batch.
            progress: how far training has come.
            observes_kl: whether techniques may adapt to the KL of this batch.
        """
        techniques = self.list_active(progress)
        for technique in self.list_corrupting(progress):
            batch = technique.corrupt(batch, progress)
        output = model(**batch, sample_latent=partial(self.sample_latent, batch, progress))
        kl = output.kl
        if kl is None:  # the posterior has no density: a plain autoencoder
            kl = output.mean.new_zeros(len(output.mean), 1)
        # During pretraining the KL is free and large. A controller that adapted to it would
        # start the main phase with a weight that is far off.
        if observes_kl and not progress.is_pretraining:
            for technique in techniques:
                technique.observe_kl(kl.detach(), progress)
        shaped = kl
        for technique in techniques:
            shaped = technique.shape_kl(shaped, progress)
        shaped_kl = shaped.sum(1).mean()
        penalty = sum(technique.penalty(output, batch, progress) for technique in techniques)
        if progress.is_refit:
            # The techniques' own weights stay in the graph, as DDP requires of every weight.
            penalty = sum(weights.sum() * 0.0 for weights in self.modules.parameters())
        return LossTerms(
            loss=output.reconstruction + shaped_kl + penalty,
            reconstruction=output.reconstruction.detach(),
            kl=kl.detach().sum(1).mean(),
            shaped_kl=shaped_kl.detach(),
        )

    def list_active(self, progress: Progress) -> list[Technique]:
        """Return the techniques that shape the loss, in order: none while the posterior is refitted.

        The refit fits q to the ELBO itself, which is what is reported.
        """
        return [] if progress.is_refit else list(self.techniques.values())

    def list_corrupting(self, progress: Progress) -> list[Technique]:
        """Return the techniques that may damage the batch, in order.

        While the posterior is refitted, what damages the encoder's input goes on, because it is
        what the encoder is meant to withstand. What hides words from the decoder does not: the
        posterior that is sought is that of whole sentences.
        """
        if not progress.is_refit:
            return list(self.techniques.values())
        return [
            technique
            for technique in self.techniques.values()
            if CorruptedInput.ENCODER in technique.settings.corrupts
        ]

    def sample_latent(
        self, batch: Batch, progress: Progress, model: TextVAEModel, posterior: Distribution
    ) -> tuple[Distribution, Tensor]:
        """Return the posterior whose KL counts, and the z to decode, (batch, latent).

        The model calls this in the middle of its forward pass. Encoding before the call
        would bypass DDP, which synchronizes gradients only of what runs in `forward`.
        """
        techniques = self.list_active(progress)
        for technique in techniques:
            posterior = technique.refine_posterior(posterior, model, batch, progress)
        latent = posterior.sample()
        for technique in techniques:
            latent = technique.shape_latent(latent, posterior, model, batch, progress)
        return posterior, latent

    def before_step(self, train_encoder: TrainEncoder, progress: Progress) -> None:
        """Let the techniques train the encoder alone before a step."""
        if progress.is_pretraining:
            return
        for technique in self.list_active(progress):
            technique.before_step(train_encoder)

    def freezes_encoder(self, progress: Progress) -> bool:
        """Return whether the next step must not change the encoder."""
        if progress.is_pretraining:
            return False
        return any(technique.freezes_encoder for technique in self.list_active(progress))

    def corrupts(self, part: CorruptedInput) -> bool:
        """Return whether a technique damages an input of the model."""
        return any(part in technique.settings.corrupts for technique in self.techniques.values())

    @property
    def pretraining_share(self) -> float:
        """The share of the run before the decoder starts again with fresh weights."""
        shares = (technique.pretraining_share for technique in self.techniques.values())
        return max(shares, default=0.0)

    @property
    def refit(self) -> Refit | None:
        """How the posterior is refitted at the end of the run, or None.

        A refit of the whole posterior includes that of the variances.
        """
        refits = [technique.refit for technique in self.techniques.values() if technique.refit]
        return max(refits, key=lambda refit: refit.moves_means, default=None)

    def on_evaluation(self, record: Mapping[str, Any]) -> None:
        """Pass the measures of the validation split to every technique."""
        for technique in self.techniques.values():
            technique.on_evaluation(record)

    def selection(self, record: Mapping[str, Any]) -> float:
        """Return the number that is lowest for the best model, in nats per sentence.

        This is the negative ELBO, or the reconstruction if information in z costs nothing:
        the KL then grows freely, and the ELBO would prefer the first checkpoints.
        """
        is_kl_free = any(
            ObjectiveTerm.INFORMATION_COST in technique.settings.replaces
            for technique in self.techniques.values()
        )
        if is_kl_free or record["elbo"] is None:  # a posterior without density has no ELBO
            return float(record["reconstruction"])
        return -float(record["elbo"])

    @property
    def kl_target(self) -> float | None:
        """The KL in nats that a technique steers to, or None."""
        for technique in self.techniques.values():
            if technique.kl_target:
                return technique.kl_target
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return every technique's state by name; it can be written as JSON."""
        return {name: technique.state_dict() for name, technique in self.techniques.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        for name, technique in self.techniques.items():
            technique.load_state_dict(state[name])
