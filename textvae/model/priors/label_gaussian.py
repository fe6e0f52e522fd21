"""One Gaussian per label as the prior, p(z | y), of a conditional VAE (Sohn, Lee & Yan 2015).

Without a label, p(z) is their mixture, weighted by each label's share of the
training sentences.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from textvae.errors import ConfigError
from textvae.model.posteriors import DiagonalGaussian, Distribution, Posterior
from textvae.model.posteriors.distribution import bound_logvar
from textvae.model.priors.base import Prior
from textvae.schema import PartSettings

LOGVAR_BOUND = 6.0  # of |log variance|; the posterior has the same default


class LabelGaussianSettings(PartSettings):
    """No settings."""

    kind: Literal["label_gaussian"] = "label_gaussian"


class LabelGaussian(Prior):
    """Sum over y of p(y) N(mean_y, exp(logvar_y)); for given labels, the Gaussian of each.

    All Gaussians start as N(0, I).
    """

    Settings = LabelGaussianSettings
    is_learned: ClassVar[bool] = True
    is_factorized: ClassVar[bool] = True  # conditional on a label, as in training
    needs_labels: ClassVar[bool] = True

    def bind_posterior(self, posterior: Posterior, label_counts: Sequence[int] = ()) -> None:
        """Make one Gaussian per label; the counts give p(y).

        Raises:
            ConfigError: the model has no labels.
        """
        if not label_counts:
            raise ConfigError(
                "model.prior = 'label_gaussian' has one Gaussian per label, but the model has no "
                "labels: set data.label, or choose another prior."
            )
        self.set_label_counts(label_counts)
        self.mean = nn.Parameter(torch.zeros(len(label_counts), self.latent))
        self.logvar = nn.Parameter(torch.zeros(len(label_counts), self.latent))

    def set_label_counts(self, counts: Sequence[int]) -> None:
        """Let p(y) be the share of each label; one without sentences is never sampled."""
        self.label_counts = tuple(counts)

    @property
    def components(self) -> DiagonalGaussian:
        """The Gaussians, one row per label."""
        return DiagonalGaussian(self.mean, bound_logvar(self.logvar, LOGVAR_BOUND))

    def conditional_on(self, label_ids: Tensor | None) -> Prior:
        """Return p(z | y), one row per label of `label_ids`; the mixture if it is None."""
        if label_ids is None:
            return self
        return ConditionalGaussian(
            self.components.map(lambda tensor: tensor[label_ids.to(tensor.device)])
        )

    def relabel(self, z: Tensor, label_ids: Tensor, new_label_ids: Tensor) -> Tensor:
        """Map z to another label's Gaussian, at the same number of standard deviations."""
        # The callers keep z on the CPU, while the model may be on a GPU.
        components = self.components.map(lambda tensor: tensor.to(z))
        old = components.map(itemgetter(label_ids))
        new = components.map(itemgetter(new_label_ids))
        return new.mean + (z - old.mean) * torch.exp(0.5 * (new.logvar - old.logvar))

    def center(self) -> Tensor:
        """Return the mean of the mixture, (latent,): the labels' means, weighted by p(y)."""
        counts = torch.tensor(self.label_counts, dtype=self.mean.dtype, device=self.mean.device)
        return (counts / counts.sum()) @ self.mean

    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent), each row from the Gaussian of a label sampled from p(y)."""
        counts = torch.tensor(self.label_counts, dtype=torch.float)
        label_ids = torch.multinomial(counts, count, replacement=True)
        return self.conditional_on(label_ids).sample(count)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, summed over labels: (...) for z of shape (..., latent)."""
        counts = torch.tensor(self.label_counts, dtype=z.dtype, device=z.device)
        # log sum_y p(y) N(z; y), with p(y) = count_y / sum of counts.
        per_label = self.components.log_prob(z.unsqueeze(-2))  # (..., labels)
        return (per_label + counts.log() - counts.sum().log()).logsumexp(-1)


class ConditionalGaussian(Prior):
    """p(z | y) of a batch: one Gaussian per row, or one for all rows."""

    depends_on_label: ClassVar[bool] = True

    def __init__(self, gaussian: DiagonalGaussian) -> None:
        super().__init__(LabelGaussianSettings(), gaussian.mean.shape[1])
        self.gaussian = gaussian

    def center(self) -> Tensor:
        """Return the mean of each row's Gaussian, (batch, latent)."""
        return self.gaussian.mean

    def sample(self, count: int) -> Tensor:
        """Sample z, (count, latent), each row from its own Gaussian."""
        return self.gaussian.map(lambda tensor: tensor.cpu().expand(count, -1)).sample()

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z | y) in nats: (..., batch) for z of shape (..., batch, latent)."""
        return self.gaussian.log_prob(z)

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return the closed form between two Gaussians, per dimension, (batch, latent).

        It is ((var_q + (mean_q - mean_p)^2) / var_p + log var_p - log var_q - 1) / 2.
        """
        if not isinstance(posterior, DiagonalGaussian):
            return super().kl(posterior, z)
        mean = self.gaussian.mean
        logvar = self.gaussian.logvar
        squared_terms = posterior.logvar.exp() + (posterior.mean - mean).square()
        ratio = squared_terms * torch.exp(-logvar)
        return 0.5 * (ratio + logvar - posterior.logvar - 1)
