"""Rules: which techniques go together with a posterior and a prior, and with each other.

A technique says what it `requires` and what it `replaces` (see techniques/base.py);
the two tables below say when that cannot work, and why. Which posterior goes with
which prior is in model/compatibility.py, because a model is also built without an
objective.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from textvae.errors import ConfigError
from textvae.model.posteriors import POSTERIORS, DiagonalGaussian, Distribution
from textvae.model.priors import PRIORS, Prior
from textvae.objective.techniques.base import ObjectiveTerm, Requirement, TechniqueSettings


@dataclass(frozen=True)
class _ModelRule:
    """A condition on the posterior and the prior.

    Attributes:
        applies: whether the rule concerns a technique with these settings.
        is_met: whether a posterior and a prior satisfy it.
        reason: why the technique is refused otherwise; it follows the technique's name.
    """

    applies: Callable[[TechniqueSettings], bool]
    is_met: Callable[[type[Distribution], type[Prior]], bool]
    reason: str


@dataclass(frozen=True)
class _PairRule:
    """A term that a technique may replace only if no other technique replaces or requires it.

    Attributes:
        term: the term of the objective.
        requirement: what the other technique requires if it needs this term unchanged.
        reason_if_required: why they clash if the other one requires it; a template in which
            {owner} replaces the term and {other} requires it.
        reason_if_replaced: why they clash if the other one replaces it, too.
    """

    term: ObjectiveTerm
    requirement: Requirement
    reason_if_required: str
    reason_if_replaced: str


def _requires(requirement: Requirement) -> Callable[[TechniqueSettings], bool]:
    """Return a function that tells whether a technique has this requirement."""
    return lambda technique: requirement in technique.requires


def _trains_no_prior(technique: TechniqueSettings) -> bool:
    """Return whether a technique leaves no term of the loss that depends on the prior's density."""
    # A technique that needs the density of z puts log q(z | x) and log p(z), or a share of the KL,
    # in the KL's place, and log p(z) trains the prior as well as the KL does.
    replaces_kl = ObjectiveTerm.KL in technique.replaces
    return replaces_kl and Requirement.DENSITY not in technique.requires


def _is_gaussian(q: type[Distribution], prior: type[Prior]) -> bool:
    """Return whether the posterior has a mean and a log-variance."""
    return issubclass(q, DiagonalGaussian)


# The first rule that is not met gives the reason, so the most general ones come first.
_MODEL_RULES = (
    _ModelRule(
        _requires(Requirement.ELBO_KL),
        lambda q, prior: q.has_density,
        "shapes the KL, but this posterior has none",
    ),
    _ModelRule(
        _requires(Requirement.ELBO_KL),
        lambda q, prior: not q.has_fixed_kl,
        "shapes the KL, but the KL of this posterior is constant",
    ),
    _ModelRule(
        _requires(Requirement.DENSITY),
        lambda q, prior: q.has_density,
        "needs the density of z, but this posterior has none",
    ),
    _ModelRule(
        _trains_no_prior,
        lambda q, prior: not prior.is_learned,
        "replaces the KL, the only term that trains a learned prior",
    ),
    _ModelRule(
        _requires(Requirement.LOGVAR),
        _is_gaussian,
        "needs a mean and a log-variance, but this posterior has no log-variance",
    ),
    _ModelRule(
        _requires(Requirement.KL_PER_DIMENSION),
        lambda q, prior: _is_gaussian(q, prior) and prior.is_factorized,
        "needs the KL of each dimension, but here only the total is known",
    ),
)

_PAIR_RULES = (
    _PairRule(
        ObjectiveTerm.LATENT,
        Requirement.PLAIN_LATENT,
        "{owner} chooses the z to decode, but {other} changes it",
        "both choose the z to decode",
    ),
    _PairRule(
        ObjectiveTerm.KL,
        Requirement.ELBO_KL,
        "{owner} replaces the KL, but {other} needs the KL of the ELBO",
        "both replace the KL",
    ),
)


def check_techniques(posterior: str, prior: str, techniques: Mapping[str, Any]) -> None:
    """Refuse techniques that need what this posterior and this prior do not have.

    Args:
        posterior: the kind of the posterior.
        prior: the kind of the prior.
        techniques: settings by name.

    Raises:
        ConfigError: the message has every such technique, the reason, and how to fix it.
    """
    conflicts = {}
    for name, settings in techniques.items():
        reason = find_conflict(posterior, prior, settings)
        if reason:
            conflicts[name] = reason
    if conflicts:
        reasons = "; ".join(f"{name} {reason}" for name, reason in conflicts.items())
        fixes = ", ".join(f"objective.techniques.{name}: off" for name in conflicts)
        raise ConfigError(
            f"model.posterior = {posterior!r} with model.prior = {prior!r}: {reasons}. Set {fixes}."
        )


def find_conflict(posterior: str, prior: str, settings: TechniqueSettings) -> str | None:
    """Return why a technique does not go together with a posterior and a prior, or None."""
    q = POSTERIORS[posterior].distribution
    for rule in _MODEL_RULES:
        if rule.applies(settings) and not rule.is_met(q, PRIORS[prior]):
            return rule.reason
    return None


def drop_clashing_defaults(
    techniques: Mapping[str, TechniqueSettings], requested: set[str]
) -> dict[str, TechniqueSettings]:
    """Return the techniques without the default ones that no longer fit.

    The default techniques are tuned together for the ELBO, so if any technique
    replaces a term of it, all of them are dropped except those the user requested. A default one
    that weights the KL is also dropped if the user requested another one that does: the
    controller of `target_kl` would undo a weight of the user's.

    Args:
        techniques: settings by name.
        requested: the names that the user wrote.

    Raises:
        ConfigError: two of the remaining techniques do not go together.
    """
    # A KL of no weight is still the KL of the ELBO.
    replaced = {term for settings in techniques.values() for term in settings.replaces}
    is_elbo = not replaced - {ObjectiveTerm.INFORMATION_COST}
    is_kl_weighted = any(techniques[name].weights_kl for name in requested & techniques.keys())
    remaining = {}
    for name, settings in techniques.items():
        clashes = not is_elbo or (settings.weights_kl and is_kl_weighted)
        if name in requested or not clashes:
            remaining[name] = settings
    for owner, other in permutations(remaining, 2):
        _refuse_clash(owner, other, remaining)
    return remaining


def _refuse_clash(owner: str, other: str, techniques: Mapping[str, TechniqueSettings]) -> None:
    """Refuse two techniques if one replaces what the other replaces or requires.

    Raises:
        ConfigError: the message has the reason, and which technique to leave out.
    """
    for rule in _PAIR_RULES:
        if rule.term not in techniques[owner].replaces:
            continue
        if rule.term in techniques[other].replaces:
            reason = rule.reason_if_replaced
        elif rule.requirement in techniques[other].requires:
            reason = rule.reason_if_required.format(owner=owner, other=other)
        else:
            continue
        raise ConfigError(
            f"objective.techniques.{owner} and {other} do not go together: {reason}. "
            f"Set {other}: off, or leave {owner} out."
        )
