"""The score of a trial: a bound on the likelihood, at a floor of the KL.

    score = -ELBO + 10 max(0, floor - KL)        (nats per sentence, lower is better)

The ELBO alone is often won by a collapsed model: its decoder ignores z, so it pays no KL,
and is a language model. Such a model cannot win here. Compare it with a model at the floor
whose latent is of any use, so that its reconstruction D is below the D0 of the collapsed
one. The collapsed model has the score D0 + 10 floor, and the other one at most
D + KL = D + floor, which is lower by 9 floor at least. A KL that is only noise does not help
either: it is a part of -ELBO, so it costs more than it gains unless it lowers the
reconstruction. The factor leaves room for a model that is near the floor by chance.

With two objectives, -ELBO and the reconstruction, both have the same penalty, so a collapsed
model is dominated by every model at the floor that is useful in this sense.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PENALTY = 10.0  # nats of score per nat of KL below the floor

_FLOOR_SHARE_OF_DEFAULT = 0.95  # of the KL of the first trial
_LEAST_SHARE_OF_TARGET = 0.5  # of the KL target of the first trial


@dataclass(frozen=True)
class Bounds:
    """What a model scores on validation sentences, in nats per sentence.

    Attributes:
        elbo: a negative number.
        reconstruction: -log p(x | z).
        kl: the KL of the ELBO, at weight 1.
    """

    elbo: float
    reconstruction: float
    kl: float

    def compute_score(self, floor: float) -> float:
        """Return the score at a floor of the KL; lower is better."""
        return -self.elbo + self._compute_penalty(floor)

    def compute_pair(self, floor: float) -> tuple[float, float]:
        """Return the two objectives, likelihood and reconstruction; lower is better."""
        penalty = self._compute_penalty(floor)
        return -self.elbo + penalty, self.reconstruction + penalty

    def compute_balance(self, floor: float) -> float:
        """Return the mean of the two objectives, which is reconstruction + KL / 2 above the floor."""
        return sum(self.compute_pair(floor)) / 2

    def _compute_penalty(self, floor: float) -> float:
        """Return the cost of the KL that is missing."""
        return PENALTY * max(0.0, floor - self.kl)


def choose_floor(kl_target: float, default_kl: float | None, *, has_two_objectives: bool) -> float:
    """Return the floor of the KL in nats per sentence, unless the user sets one.

    Args:
        kl_target: the target of the default recipe for this corpus.
        default_kl: the KL that the first trial reached; None before it has finished.
        has_two_objectives: a front may have models with less KL than the first trial.
    """
    least = _LEAST_SHARE_OF_TARGET * kl_target
    if has_two_objectives or default_kl is None:
        return least
    # At a lower KL, the likelihood improves by itself. The floor keeps the search from winning
    # with nothing else. If even the first trial has collapsed, the target counts.
    return max(least, _FLOOR_SHARE_OF_DEFAULT * default_kl)


def find_front(pairs: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the pairs that no other pair dominates, by their first number.

    Lower is better. Of equal pairs, the first is on the front.
    """
    order = sorted(range(len(pairs)), key=lambda index: (*pairs[index], index))
    front: list[int] = []
    for index in order:
        if not front or pairs[index][1] < pairs[front[-1]][1]:
            front.append(index)
    return front
