"""Mutual information machine: maximize the agreement of encoder and decoder, and I(x; z).

Encoder and decoder each define a joint distribution of x and z. sMIM (Livne et al. 2020,
arXiv:2003.02645) makes them agree by minimizing

    -log p(x | z) - (log q(z | x) + log p(z)) / 2        (nats per sentence, batch mean)

where the negative ELBO has + log q(z | x) - log p(z). A sharp posterior is rewarded, so
nothing pulls the latent to collapse. The entropy of the data is constant and left out.
The perplexities in the paper use the test sentences' own posteriors as the prior and
are not likelihoods; ours are measured under p(z), as for any model.
"""

from typing import ClassVar, Literal

from torch import Tensor

from textvae.data.batching import Batch
from textvae.model.modeling import TextVAEOutput
from textvae.objective.techniques.base import (
    ObjectiveTerm,
    Progress,
    Requirement,
    Technique,
    TechniqueSettings,
)


class MutualInformationMachineSettings(TechniqueSettings):
    """The technique has no settings."""

    kind: Literal["mutual_information_machine"] = "mutual_information_machine"

    requires: ClassVar[frozenset[Requirement]] = frozenset({Requirement.DENSITY})
    replaces: ClassVar[frozenset[ObjectiveTerm]] = frozenset(
        {ObjectiveTerm.KL, ObjectiveTerm.INFORMATION_COST}
    )


class MutualInformationMachine(Technique):
    """Reward the density of z under the posterior and under the prior."""

    Settings = MutualInformationMachineSettings

    def shape_kl(self, kl: Tensor, progress: Progress) -> Tensor:
        """Return zeros: `penalty` replaces the KL."""
        return kl * 0.0

    def penalty(self, output: TextVAEOutput, batch: Batch, progress: Progress) -> Tensor:
        """Return -(log q(z | x) + log p(z)) / 2, averaged over sentences."""
        latent = output.latent
        posterior = output.posterior
        prior = output.prior
        assert latent is not None
        assert posterior is not None
        assert prior is not None
        return -(posterior.log_prob(latent) + prior.log_prob(latent)).mean() / 2
