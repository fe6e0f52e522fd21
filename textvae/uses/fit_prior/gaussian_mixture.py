"""A mixture of Gaussians by scikit-learn (expectation-maximisation); its size by held-out likelihood."""

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from textvae.model.posteriors import Distribution
from textvae.runtime.extras import check_installed
from textvae.uses.fit_prior.base import FittedPrior

_CANDIDATE_MIXTURES = (
    (1, "full"),
    (4, "full"),
    (16, "full"),
    (16, "diag"),
    (64, "diag"),
)  # components, covariance


class GaussianMixturePrior(FittedPrior):
    """Sum over k of weight_k N(mean_k, factor_k factor_k^T)."""

    fewest: ClassVar[int] = 100
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
    def fit(cls, q: Distribution, held: Tensor) -> Self:
        """Fit every choice that there are draws enough for; keep the likeliest for `held`."""
        check_installed("uses", "mixtures of Gaussians", "sklearn")
        from sklearn.mixture import GaussianMixture

        z = q.sample()
        seed = int(torch.randint(2**31, ()))
        tried: list[Any] = [
            GaussianMixture(components, covariance_type=kind, random_state=seed).fit(
                z.double().numpy()
            )
            for components, kind in _CANDIDATE_MIXTURES
            if components * 20 <= len(z)
        ]
        best = max(tried, key=lambda mixture: mixture.score(held.double().numpy()))
        prior = cls(best.n_components, z.shape[1])
        covariances = torch.tensor(best.covariances_)
        if best.covariance_type == "diag":
            covariances = covariances.diag_embed()
        prior.weights.copy_(torch.tensor(best.weights_))
        prior.means.copy_(torch.tensor(best.means_))
        prior.factors.copy_(torch.linalg.cholesky(covariances))
        return prior

    def sample(self, count: int) -> Tensor:
        """Draw z, (count, latent)."""
        chosen = torch.multinomial(self.weights, count, replacement=True)
        noise = torch.randn(count, self.means.shape[1], 1)
        return self.means[chosen] + (self.factors[chosen] @ noise).squeeze(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, (n,)."""
        parts = torch.distributions.MultivariateNormal(
            self.means, scale_tril=self.factors, validate_args=False
        )
        density: Tensor = (parts.log_prob(z.unsqueeze(1)) + self.weights.log()).logsumexp(1)
        return density
