"""Mutual information machine: encoder and decoder shall agree on p(x, z), and z tell much of x.

sMIM (Livne et al. 2020, arXiv:2003.02645) minimises

    -log p(x | z) - (log q(z | x) + log p(z)) / 2        (nats, averaged over sentences)

where the negative ELBO has + log q(z | x) - log p(z): a sharp posterior is
rewarded, so nothing draws the latent to collapse. The entropy of the data,
which is constant, is left out. The perplexities that the paper reports take the
test sentences' own posteriors for the prior and are no likelihoods; ours are
measured under p(z), as any model's.
"""

from typing import Literal

from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import Progress, Technique, TechniqueSettings


class MutualInformationMachineSettings(TechniqueSettings):
    """Nothing to set."""

    kind: Literal["mutual_information_machine"] = "mutual_information_machine"

    @property
    def needs_density(self) -> bool:
        """It rewards it."""
        return True

    @property
    def replaced_terms(self) -> frozenset[str]:
        """It stands in the KL's place."""
        return frozenset({"kl"})

    @property
    def penalizes_kl(self) -> bool:
        """None of it."""
        return False


class MutualInformationMachine(Technique):
    """Rewards the densities of z, under posterior and prior alike."""

    Settings = MutualInformationMachineSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: it is not paid."""
        return kl * 0.0

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return minus the mean of both log-densities of z, averaged over sentences."""
        latent, posterior, prior = output.latent, output.posterior, output.prior
        assert latent is not None
        assert posterior is not None
        assert prior is not None
        return -(posterior.log_prob(latent) + prior.log_prob(latent)).mean() / 2
