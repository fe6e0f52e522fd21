"""A Gaussian for each label as the prior, p(z | y): the conditional VAE's (Sohn, Lee & Yan 2015).

Of z alone it is the mixture of them, each weighted by its label's share of the training sentences.
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

LOGVAR_BOUND = 6.0  # nats, as the posterior's


class LabelGaussianSettings(PartSettings):
    """Nothing to set."""

    kind: Literal["label_gaussian"] = "label_gaussian"


class LabelGaussian(Prior):
    """Sum over y of p(y) N(mean_y, exp(logvar_y)); given labels, each row's own Gaussian.

    All start as N(0, I).
    """

    Settings = LabelGaussianSettings
    is_learned: ClassVar[bool] = True
    is_factorized: ClassVar[bool] = True  # given the label
    needs_labels: ClassVar[bool] = True

    def bind_posterior(self, posterior: Posterior, label_counts: Sequence[int] = ()) -> None:
        """Make a Gaussian for each label; their counts give p(y).

        Raises:
            ConfigError: the model has no labels.
        """
        if not label_counts:
            raise ConfigError(
                "model.prior = 'label_gaussian' is made of labels, and this model has none."
            )
        self.label_counts = tuple(label_counts)
        self.mean = nn.Parameter(torch.zeros(len(label_counts), self.latent))
        self.logvar = nn.Parameter(torch.zeros(len(label_counts), self.latent))

    @property
    def components(self) -> DiagonalGaussian:
        """The Gaussians, a row a label."""
        return DiagonalGaussian(self.mean, bound_logvar(self.logvar, LOGVAR_BOUND))

    def conditional_on(self, label_ids: Tensor | None) -> Prior:
        """Return p(z | y), a row a label; without labels, the mixture."""
        if label_ids is None:
            return self
        return _ConditionalGaussian(
            self.components.map(lambda tensor: tensor[label_ids.to(tensor.device)])
        )

    def relabel(self, z: Tensor, label_ids: Tensor, to: Tensor) -> Tensor:
        """Return z where the other label's Gaussian has it: as many standard deviations from the mean."""
        components = self.components.map(lambda tensor: tensor.to(z))
        old, new = (components.map(itemgetter(ids)) for ids in (label_ids, to))
        return new.mean + (z - old.mean) * torch.exp(0.5 * (new.logvar - old.logvar))

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), each of a label of its own."""
        shares = torch.tensor(self.label_counts, dtype=torch.float)
        return self.conditional_on(torch.multinomial(shares, count, replacement=True)).sample(count)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, whatever the label."""
        counts = torch.tensor(self.label_counts, dtype=z.dtype, device=z.device)
        return (
            self.components.log_prob(z.unsqueeze(-2)) + counts.log() - counts.sum().log()
        ).logsumexp(-1)


class _ConditionalGaussian(Prior):
    """p(z | y) of a batch: one Gaussian a row, or one row for all."""

    def __init__(self, gaussian: DiagonalGaussian) -> None:
        super().__init__(LabelGaussianSettings(), gaussian.mean.shape[1])
        self.gaussian = gaussian

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent), from the row of each."""
        return self.gaussian.map(lambda tensor: tensor.cpu().expand(count, -1)).sample()

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z | y) in nats: (..., batch) for z of (..., batch, latent)."""
        return self.gaussian.log_prob(z)

    def kl(self, posterior: Distribution, z: Tensor) -> Tensor:
        """Return the closed form between two Gaussians, per dimension."""
        if not isinstance(posterior, DiagonalGaussian):
            return super().kl(posterior, z)
        mean, logvar = self.gaussian.mean, self.gaussian.logvar
        apart = (posterior.logvar.exp() + (posterior.mean - mean).square()) * torch.exp(-logvar)
        return 0.5 * (apart + logvar - posterior.logvar - 1)
