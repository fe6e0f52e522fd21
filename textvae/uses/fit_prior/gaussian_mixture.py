"""A mixture of Gaussians, fitted by scikit-learn with expectation-maximization.

The number of components and the kind of covariance are those with the highest
likelihood of held-out latents.
"""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from textvae.model.posteriors import Distribution
from textvae.runtime.extras import check_installed
from textvae.uses.fit_prior.base import FittedPrior, draw_fixed

# Number of components and kind of covariance.
_CANDIDATE_MIXTURES = (
    (1, "full"),
    (4, "full"),
    (16, "full"),
    (16, "diag"),
    (64, "diag"),
)

_MIN_SAMPLES_PER_COMPONENT = 20


class GaussianMixturePrior(FittedPrior):
    """The density sum_k weight_k N(mean_k, factor_k factor_k^T).

    Shapes:
        weights: (components,); means: (components, latent)
        factors: (components, latent, latent), lower triangular
    """

    min_sentences: ClassVar[int] = 100
    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        self.sizes = {"components": components, "latent": latent}
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, latent))
        self.register_buffer("factors", torch.eye(latent).repeat(components, 1, 1))

    @classmethod
    def fit(cls, q: Distribution, validation: Tensor) -> Self:
        """Fit each candidate with enough samples; return the most likely on `validation`.

        Raises:
            ConfigError: scikit-learn is not installed.
        """
        check_installed("insight", "mixtures of Gaussians", "sklearn")
        from sklearn.mixture import GaussianMixture

        z = draw_fixed(q)
        # scikit-learn does not use torch's random numbers, so its seed is drawn from them.
        seed = int(torch.randint(2**31, ()))
        points = z.double().numpy()
        fitted: list[Any] = []
        for components, kind in _CANDIDATE_MIXTURES:
            if components * _MIN_SAMPLES_PER_COMPONENT <= len(z):
                mixture = GaussianMixture(components, covariance_type=kind, random_state=seed)
                fitted.append(mixture.fit(points))
        validation_points = validation.double().numpy()
        best = max(fitted, key=lambda mixture: mixture.score(validation_points))
        return cls._from_scikit_learn(best)

    @classmethod
    def _from_scikit_learn(cls, mixture: Any) -> Self:
        """Return the prior with the parameters of a fitted `GaussianMixture`."""
        prior = cls(mixture.n_components, mixture.means_.shape[1])
        covariances = torch.tensor(mixture.covariances_)
        if mixture.covariance_type == "diag":
            covariances = covariances.diag_embed()
        prior.weights.copy_(torch.tensor(mixture.weights_))
        prior.means.copy_(torch.tensor(mixture.means_))
        prior.factors.copy_(torch.linalg.cholesky(covariances))
        return prior

    def sample(self, count: int) -> Tensor:
        """Return samples of z, (count, latent)."""
        chosen = torch.multinomial(self.weights, count, replacement=True)
        noise = torch.randn(count, self.means.shape[1], 1)
        return self.means[chosen] + (self.factors[chosen] @ noise).squeeze(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,), for z of (n, latent)."""
        components = torch.distributions.MultivariateNormal(
            self.means, scale_tril=self.factors, validate_args=False
        )
        weighted = components.log_prob(z.unsqueeze(1)) + self.weights.log()
        density: Tensor = weighted.logsumexp(1)
        return density
