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
    unfit = {
        name: reason
        for name, entry in techniques.items()
        if (reason := find_conflict(posterior, prior, entry))
    }
    if unfit:
        reasons = "; ".join(f"{name} {reason}" for name, reason in unfit.items())
        mends = ", ".join(f"objective.techniques.{name}: off" for name in unfit)
        raise ConfigError(
            f"model.posterior = {posterior!r} with model.prior = {prior!r}: {reasons}. Set {mends}."
        )


def find_conflict(posterior: str, prior: str, settings: Any) -> str | None:
    """Return why a technique cannot be used, if it cannot."""
    q = POSTERIORS[posterior].distribution
    if "kl" in settings.required_terms and not q.has_density:
        return "shapes the KL, and there is none"
    if "kl" in settings.required_terms and q.has_fixed_kl:
        return "shapes the KL, and it is a constant"
    if settings.needs_density and not q.has_density:
        return "asks for densities of z, and there are none"
    if PRIORS[prior].is_learned and "kl" in settings.replaced_terms and not settings.needs_density:
        return "puts something in the KL's place that tells a learned prior nothing"
    is_gaussian = issubclass(q, DiagonalGaussian)
    if settings.needs_logvar and not is_gaussian:
        return "asks for a mean and a log-variance, and there is none"
    if settings.needs_kl_per_dimension and not (is_gaussian and PRIORS[prior].is_factorized):
        return "asks for the KL of each dimension, and there is only the whole"
    return None


_CLASH_REASONS = {
    "kl": "{owner} pays something else in the place of the KL, which {other} needs as the ELBO has it",
    "draw": "{owner} chooses the z that is decoded, and {other} changes it",
}


_OWNER_CLASH_REASONS = {
    "kl": "each puts something else in the place of the KL",
    "draw": "each chooses the z that is decoded",
}


def drop_clashing_defaults(
    techniques: Mapping[str, TechniqueSettings], named: set[str]
) -> dict[str, TechniqueSettings]:
    """Return the techniques without the defaults that no longer fit.

    Args:
        named: those the user asked for.

    Raises:
        ConfigError: two that were named cannot work together.
    """
    is_elbo = not any(entry.replaced_terms for entry in techniques.values())
    kept = {name: entry for name, entry in techniques.items() if is_elbo or name in named}
    for owner, other in permutations(kept, 2):
        _refuse_clash(owner, other, kept)
    return kept


def _refuse_clash(owner: str, other: str, techniques: Mapping[str, TechniqueSettings]) -> None:
    """Refuse two techniques of which one owns what the other owns or needs.

    Raises:
        ConfigError: with the reason, and which to take out.
    """
    owns, both = (
        techniques[owner].replaced_terms,
        techniques[owner].replaced_terms & techniques[other].replaced_terms,
    )
    for part in sorted(
        owns & (techniques[other].replaced_terms | techniques[other].required_terms)
    ):
        reason = (_OWNER_CLASH_REASONS if part in both else _CLASH_REASONS)[part].format(
            owner=owner, other=other
        )
        raise ConfigError(
            f"objective.techniques.{owner} and {other} do not go together: {reason}. "
            f"Write {other}: off, or leave {owner} out."
        )
