"""Combinations: which techniques go with which posterior and prior."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from textvae.errors import ConfigError
from textvae.model.posteriors import POSTERIORS, DiagonalGaussian
from textvae.model.priors import PRIORS
from textvae.objective.techniques.base import TechniqueSettings


def check_techniques(posterior: str, prior: str, techniques: Mapping[str, Any]) -> None:
    """Refuse techniques that ask for what this posterior, or its KL to this prior, does not have.

    Raises:
        ConfigError: with each of them, the reason and the mend.
    """
    unfit = {name: reason for name, entry in techniques.items() if (reason := objection(posterior, prior, entry))}
    if unfit:
        reasons = "; ".join(f"{name} {reason}" for name, reason in unfit.items())
        mends = ", ".join(f"objective.techniques.{name}: off" for name in unfit)
        raise ConfigError(f"model.posterior = {posterior!r} with model.prior = {prior!r}: {reasons}. Set {mends}.")


def objection(posterior: str, prior: str, settings: Any) -> str | None:
    """Return why a technique cannot be used, if it cannot."""
    q = POSTERIORS[posterior].distribution
    if "kl" in settings.needs and not q.has_density:
        return "shapes the KL, and there is none"
    if "kl" in settings.needs and q.has_fixed_kl:
        return "shapes the KL, and it is a constant"
    if settings.needs_density and not q.has_density:
        return "asks for densities of z, and there are none"
    if PRIORS[prior].is_learned and "kl" in settings.owns and not settings.needs_density:
        return "puts something in the KL's place that tells a learned prior nothing"
    is_gaussian = issubclass(q, DiagonalGaussian)
    if settings.needs_logvar and not is_gaussian:
        return "asks for a mean and a log-variance, and there is none"
    if settings.needs_kl_per_dimension and not (is_gaussian and PRIORS[prior].is_factorised):
        return "asks for the KL of each dimension, and there is only the whole"
    return None


REASONS = {
    "kl": "{owner} pays something else in the place of the KL, which {other} needs as the ELBO has it",
    "draw": "{owner} chooses the z that is decoded, and {other} changes it",
}


REASONS_BETWEEN_OWNERS = {
    "kl": "each puts something else in the place of the KL",
    "draw": "each chooses the z that is decoded",
}


def compatible(techniques: Mapping[str, TechniqueSettings], named: set[str]) -> dict[str, TechniqueSettings]:
    """Return the techniques without the defaults that no longer fit.

    Args:
        named: those the user asked for.

    Raises:
        ConfigError: two that were named cannot work together.
    """
    is_elbo = not any(entry.owns for entry in techniques.values())
    kept = {name: entry for name, entry in techniques.items() if is_elbo or name in named}
    for owner, other in permutations(kept, 2):
        refuse_clash(owner, other, kept)
    return kept


def refuse_clash(owner: str, other: str, techniques: Mapping[str, TechniqueSettings]) -> None:
    """Refuse two techniques of which one owns what the other owns or needs.

    Raises:
        ConfigError: with the reason, and which to take out.
    """
    owns, both = techniques[owner].owns, techniques[owner].owns & techniques[other].owns
    for part in sorted(owns & (techniques[other].owns | techniques[other].needs)):
        reason = (REASONS_BETWEEN_OWNERS if part in both else REASONS)[part].format(owner=owner, other=other)
        raise ConfigError(
            f"objective.techniques.{owner} and {other} do not go together: {reason}. "
            f"Write {other}: off, or leave {owner} out."
        )
