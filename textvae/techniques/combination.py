"""Combination: which techniques go together.

A technique may own a part of the objective, that is put something else in its
place, and may need a part to be the ELBO's own; what a setting owns and needs
stands beside it. The parts are `kl`, the closed-form KL that is paid, and
`draw`, the z drawn from q. Where something owns a part, the default techniques,
which are a recipe for the ELBO, are taken out unless the user named them; what
was named is never dropped but refused.
"""

from collections.abc import Mapping
from itertools import permutations

from textvae.errors import ConfigError
from textvae.techniques.base import TechniqueSettings

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
