"""Sums of each sentence's importance weights, and the estimates they give.

With K draws of weights w, the estimate of p(x) is mean w. Its relative variance
is (K / ESS - 1) / (K - 1), where ESS = (sum w)^2 / sum w^2 is the effective
sample size (Kong 1992). By the delta method, this is also the variance of the
importance-weighted negative log-likelihood, IW-NLL = -log mean w, and the IW-NLL is
too high by half of it (its bias). Both are estimated from the draws themselves: if
the weights are very unequal and the draws few, the estimates are too small.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from textvae.runtime.processes import Processes

_MIN_VARIANCE = 1e-12  # equal weights give a smaller variance, by rounding alone


@dataclass(frozen=True)
class ImportanceSums:
    """The sums of the importance weights of n sentences, each tensor (n,) in double precision.

    Attributes:
        log_sum: log of the sum of the weights.
        log_sum_squares: log of the sum of the squared weights.
        draws: the number of weights.
    """

    log_sum: Tensor
    log_sum_squares: Tensor
    draws: Tensor

    @classmethod
    def from_log_weights(cls, log_weights: Tensor) -> Self:
        """Return the sums of weights that are given as logarithms, (draws, n)."""
        count = torch.full((log_weights.shape[1],), float(len(log_weights)), dtype=torch.float64)
        weights = log_weights.double().cpu()
        return cls(weights.logsumexp(0), (2 * weights).logsumexp(0), count)

    @classmethod
    def make_zeros(cls, n: int) -> Self:
        """Return zeros for n sentences, which `set_rows` then fills."""
        return cls(*torch.zeros(3, n, dtype=torch.float64))

    def set_rows(self, rows: list[int], other: Self) -> None:
        """Overwrite these rows with the sums of other sentences."""
        for tensor, values in zip(self.tensors, other.tensors, strict=True):
            tensor[rows] = values

    def sum_over_processes(self, processes: Processes) -> Self:
        """Return the rows of all processes; each has zeros in the rows of the others."""
        return type(self)(*processes.sum(torch.stack(self.tensors)))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """The three tensors, in the order of the fields."""
        return self.log_sum, self.log_sum_squares, self.draws

    @property
    def nll(self) -> Tensor:
        """The IW-NLL of each sentence, (n,), in nats."""
        return self.draws.log() - self.log_sum

    @property
    def effective_sample_size(self) -> Tensor:
        """The effective sample size of each sentence, (n,)."""
        return (2 * self.log_sum - self.log_sum_squares).exp()

    @property
    def variance(self) -> Tensor:
        """The Monte Carlo variance of each `nll`, (n,), in nats squared.

        It is 0 for a single draw, from which it cannot be estimated.
        """
        excess = self.draws / self.effective_sample_size - 1
        variance = (excess / (self.draws - 1).clamp(min=1)).clamp(min=0)
        return torch.where(variance > _MIN_VARIANCE, variance, 0.0)
