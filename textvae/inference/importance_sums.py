"""Sums over each sentence's importance weights, and what follows from them.

With n draws of weights w, the estimate of p(x) is mean w. Its relative variance
is (n / ESS - 1) / (n - 1), where ESS = (sum w)^2 / sum w^2 is the effective
sample size (Kong 1992); by the delta method it is the variance of log mean w,
and half of it the bias of IW-NLL, which is too high. Both see only the draws
there are: with few of very unequal weight they are too small.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from textvae.runtime.processes import Processes

_MIN_VARIANCE = 1e-12  # a variance below it is that of equal weights


@dataclass(frozen=True)
class ImportanceSums:
    """What is kept of the weights of n sentences; all of shape (n,), in double precision.

    Attributes:
        log_sum, log_squares: log of the sum of the weights, and of their squares.
        draws: how many weights there are.
    """

    log_sum: Tensor
    log_squares: Tensor
    draws: Tensor

    @classmethod
    def of(cls, log_weights: Tensor) -> Self:
        """Return those of weights by their logarithms, (draws, n)."""
        count = torch.full((log_weights.shape[1],), float(len(log_weights)), dtype=torch.float64)
        weights = log_weights.double().cpu()
        return cls(weights.logsumexp(0), (2 * weights).logsumexp(0), count)

    @classmethod
    def make_zeros(cls, n: int) -> Self:
        """Return those of no sentence yet, zeros."""
        return cls(*torch.zeros(3, n, dtype=torch.float64))

    def set_rows(self, rows: list[int], other: Self) -> None:
        """Write other sentences' sums into these rows."""
        for mine, theirs in zip(self.table, other.table, strict=True):
            mine[rows] = theirs

    def shared(self, processes: Processes) -> Self:
        """Return all processes' rows; those of the others are zeros here."""
        return type(self)(*processes.sum(torch.stack(self.table)))

    @property
    def table(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three, in order."""
        return self.log_sum, self.log_squares, self.draws

    @property
    def nll(self) -> Tensor:
        """IW-NLL of each sentence, (n,), in nats."""
        return self.draws.log() - self.log_sum

    @property
    def effective(self) -> Tensor:
        """The effective sample size of each, (n,)."""
        return (2 * self.log_sum - self.log_squares).exp()

    @property
    def variance(self) -> Tensor:
        """The Monte Carlo variance of each `nll`, (n,), in nats squared; of one draw it is not known, and 0."""
        variance = ((self.draws / self.effective - 1) / (self.draws - 1).clamp(min=1)).clamp(min=0)
        return torch.where(variance > _MIN_VARIANCE, variance, 0.0)
