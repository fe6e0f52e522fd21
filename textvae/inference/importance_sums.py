"""Sums of each sentence's importance weights, and the estimates they give.

With K draws of weights w, the estimate of p(x) is mean w. Its relative variance
is (K / ESS - 1) / (K - 1), where ESS = (sum w)^2 / sum w^2 is the effective
sample size (Kong 1992). By the delta method, this is also the variance of the
importance-weighted negative log-likelihood, IW-NLL = -log mean w. If the weights
are very unequal and the draws few, this variance is too small, because the heavy
weights that matter most have not been drawn.

The IW-NLL is an upper bound on -log p(x) in expectation, and its looseness is how
far it is above. Looseness and variance are therefore also estimated from parts of
the draws: the IW-NLL of a half, a quarter and an eighth of them is known without
bias, and shows how fast the bound falls when K doubles. With few heavy weights the
looseness falls as 1 / K (Nowozin 2018), with more of them more slowly. So the power
of K is fitted, not assumed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from textvae.runtime.processes import Processes

MIN_DRAWS_FOR_PARTS = 8  # an eighth of the draws is then at least one
_PARTS = (2, 4, 8)  # the draws are divided by each of these
_MIN_VARIANCE = 1e-12  # equal weights give a smaller variance, by rounding alone
_MIN_DROP = 1e-9  # nats; equal weights give a smaller drop, by rounding alone
_MIN_POWER = 0.1  # noise can make the bound seem not to converge at all
_MAX_POWER = 1.0  # the power for weights of finite variance and many draws


@dataclass(frozen=True)
class ImportanceSums:
    """The sums of the importance weights of n sentences, in double precision.

    Attributes:
        log_sum: log of the sum of the weights, (n,).
        log_sum_squares: log of the sum of the squared weights, (n,).
        draws: the number of weights, (n,).
        part_nll: the IW-NLL of a half, a quarter and an eighth of the draws, (n, 3), averaged
            over parts; NaN for fewer than 8 draws.
        part_variance: the variance of each of these between parts without common draws, (n, 3).
    """

    log_sum: Tensor
    log_sum_squares: Tensor
    draws: Tensor
    part_nll: Tensor
    part_variance: Tensor

    @classmethod
    def from_log_weights(cls, log_weights: Tensor) -> Self:
        """Return the sums of weights that are given as logarithms, (draws, n)."""
        count = torch.full((log_weights.shape[1],), float(len(log_weights)), dtype=torch.float64)
        weights = log_weights.double().cpu()
        part_nll = torch.full((len(count), len(_PARTS)), torch.nan, dtype=torch.float64)
        part_variance = part_nll.clone()
        if len(weights) >= MIN_DRAWS_FOR_PARTS:
            for column, divisor in enumerate(_PARTS):
                nll, variance = _measure_parts(weights, len(weights) / divisor)
                part_nll[:, column] = nll
                part_variance[:, column] = variance
        return cls(weights.logsumexp(0), (2 * weights).logsumexp(0), count, part_nll, part_variance)

    @classmethod
    def make_zeros(cls, n: int) -> Self:
        """Return zeros for n sentences, which `set_rows` then fills."""
        single = torch.zeros(3, n, dtype=torch.float64)
        parts = torch.zeros(2, n, len(_PARTS), dtype=torch.float64)
        return cls(*single, *parts)

    def set_rows(self, rows: list[int], other: Self) -> None:
        """Overwrite these rows with the sums of other sentences."""
        for tensor, values in zip(self.tensors, other.tensors, strict=True):
            tensor[rows] = values

    def sum_over_processes(self, processes: Processes) -> Self:
        """Return the rows of all processes; each has zeros in the rows of the others."""
        return type(self)(*map(processes.sum, self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))

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
        """The Monte Carlo variance of each `nll`, (n,), by the delta method, in nats squared.

        It is 0 for a single draw, from which it cannot be estimated.
        """
        excess = self.draws / self.effective_sample_size - 1
        variance = (excess / (self.draws - 1).clamp(min=1)).clamp(min=0)
        return torch.where(variance > _MIN_VARIANCE, variance, 0.0)

    def estimate_mean_variance(self) -> float:
        """Return the Monte Carlo variance of `nll`, averaged over sentences.

        It is the variance between halves of the draws, times the factor by which the
        variance falls per doubling of the draws. That factor is 1/2 for many draws, and
        closer to 1 while heavy weights are rare. With fewer than 8 draws, it is the mean
        of `variance`.
        """
        variances = self.part_variance.mean(0)
        half = float(variances[0])
        eighth = float(variances[2])
        if math.isnan(half):
            return float(self.variance.mean())
        if half < _MIN_VARIANCE:
            return 0.0
        decay = math.sqrt(half / eighth) if eighth > 0 else 1.0
        return half * min(1.0, max(0.5, decay))

    def estimate_looseness(self) -> tuple[float, float] | None:
        """Return how far the mean `nll` is above -log p(x), in nats, and its standard error.

        The error is the jackknife's over sentences. Both are None for fewer than 8 draws.
        """
        bounds = torch.cat([self.nll.unsqueeze(1), self.part_nll], 1)
        if not bounds.isfinite().all():
            return None
        drops = bounds.diff(dim=1)  # (n, 3); how much each doubling lowers the bound, last first
        looseness = float(_extrapolate(drops.mean(0)))
        return looseness, _jackknife_error(drops, _extrapolate)


def _measure_parts(log_weights: Tensor, size: float) -> tuple[Tensor, Tensor]:
    """Return the mean IW-NLL of parts of `size` draws, and its variance between parts, (n,) each.

    A size between two whole numbers is interpolated, because half of 25 draws is neither
    12 nor 13.
    """
    whole = math.floor(size)
    nll, variance = _measure_whole_parts(log_weights, whole)
    if size > whole:
        nll_above, variance_above = _measure_whole_parts(log_weights, whole + 1)
        nll = nll.lerp(nll_above, size - whole)
        # Two parts of more than half of the draws would have draws in common.
        if 2 * (whole + 1) <= len(log_weights):
            variance = variance.lerp(variance_above, size - whole)
    return nll, variance


def _measure_whole_parts(log_weights: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the same for a whole number of draws."""
    nll = math.log(size) - _sum_windows(log_weights, size)
    # The windows that start at k and at k + size have no draw in common.
    variance = 0.5 * (nll - nll.roll(-size, 0)).square().mean(0)
    return nll.mean(0), variance


def _sum_windows(log_weights: Tensor, size: int) -> Tensor:
    """Return the log of the sum of each run of `size` draws, (draws, n).

    The last draw is followed by the first, so that each draw is in equally many runs.
    """
    # By the binary digits of `size`: a run of 13 is runs of 1, 4 and 8, one after another.
    runs = log_weights
    run_size = 1
    total = torch.full_like(log_weights, -torch.inf)
    summed = 0
    while True:
        if size & run_size:
            total = torch.logaddexp(total, runs.roll(-summed, 0))
            summed += run_size
        if summed == size:
            return total
        runs = torch.logaddexp(runs, runs.roll(-run_size, 0))
        run_size *= 2


def _extrapolate(drops: Tensor) -> Tensor:
    """Return the sum of all further drops, (...), if they go on as the last three, (..., 3).

    For a looseness of c K^-a, each drop is 2^-a times the one before it, and what is left
    is the last drop / (2^a - 1).
    """
    last = drops[..., 0].clamp(min=0)
    first = drops[..., 2].clamp(min=_MIN_DROP)
    power = (first / last.clamp(min=_MIN_DROP)).log2() / 2
    looseness = last / (2 ** power.clamp(_MIN_POWER, _MAX_POWER) - 1)
    return torch.where(last > _MIN_DROP, looseness, 0.0)


def _jackknife_error(values: Tensor, statistic: Callable[[Tensor], Tensor]) -> float:
    """Return the standard error of a statistic of the mean of rows; 0 for a single row."""
    n = len(values)
    if n < 2:
        return 0.0
    without_one = (values.sum(0) - values) / (n - 1)
    deviations = statistic(without_one)
    return math.sqrt((n - 1) * float(deviations.var(unbiased=False)))
