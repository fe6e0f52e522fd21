"""A text VAE whose every number is known: p(z) = N(0, I), p(x | z) = N(W z, noise^2 I).

A "sentence" is one token, the number of a row of a table of points x. The
columns of W are orthogonal, so the true posterior is a diagonal Gaussian.
"""

from types import SimpleNamespace

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from tests.tiny import SpecialTokens, draws
from textvae.evaluation.measures import EvaluationInput, run_model
from textvae.inference.bundle import Bundle
from textvae.model.modeling import TextVAEOutput
from textvae.model.posteriors import DiagonalGaussian
from textvae.model.priors import PRIORS

LATENT, SPACE, FIRST = 2, 3, 4  # FIRST: ids below it are special
NOISE = 0.8


class LinearGaussian(nn.Module):
    """Has what the measures ask of a model.

    Args:
        points: x, (n, SPACE); without them, drawn from the model itself.
        scale: lengths of the columns of W; zeros make a decoder that ignores z.
        shift, spread: what the encoder's mean is off by, and by what factor its standard deviation.
    """

    def __init__(self, n=200, scale=(1.5, 0.7), shift=0.0, spread=1.0, seed=0):
        super().__init__()
        rotation, _ = torch.linalg.qr(draws(SPACE, SPACE, seed=99))
        self.weight = rotation[:, :LATENT] * torch.tensor(scale)
        self.points = draws(n, LATENT, seed=seed) @ self.weight.t() + NOISE * draws(
            n, SPACE, seed=seed + 1
        )
        self.shift, self.spread = shift, spread
        self.config = SimpleNamespace(latent_dim=LATENT, labels=None, label_column=None)
        self.prior = PRIORS["standard_normal"](PRIORS["standard_normal"].Settings(), LATENT)
        self.device = torch.device("cpu")

    def log_evidence(self) -> Tensor:
        """Return the exact log p(x) of every point, (n,)."""
        covariance = self.weight @ self.weight.t() + NOISE**2 * torch.eye(SPACE)
        return MultivariateNormal(torch.zeros(SPACE), covariance).log_prob(self.points)

    def encode(self, encoder_input_ids: Tensor, encoder_attention_mask: Tensor) -> DiagonalGaussian:
        """Return the exact posterior, moved by `shift` and widened by `spread`."""
        x = self.points[encoder_input_ids[:, 0] - FIRST]
        variance = 1 / (1 + self.weight.square().sum(0) / NOISE**2)
        mean = x @ self.weight / NOISE**2 * variance
        return DiagonalGaussian(
            mean + self.shift, (variance * self.spread**2).log().expand_as(mean)
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        latent: Tensor | None = None,
        encoder_input_ids: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
    ) -> TextVAEOutput:
        """Return what the model returns, -log p(x | z) in place of the reconstruction."""
        output = TextVAEOutput()
        if latent is None:
            q = self.encode(encoder_input_ids, encoder_attention_mask)
            latent = q.sample()
            output.kl, output.posterior = self.prior.kl(q, latent), q
        output.latent = latent
        output.sentence_reconstruction = self.sentence_nll(
            input_ids, attention_mask, labels, latent
        )
        return output

    def sentence_nll(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, latent: Tensor
    ) -> Tensor:
        """Return -log p(x | z), (batch,)."""
        likelihood = Independent(Normal(latent @ self.weight.t(), NOISE), 1)
        return -likelihood.log_prob(self.points[labels[:, 0] - FIRST])


def subject(model: LinearGaussian, samples: int = 10, seed: int = 0) -> EvaluationInput:
    """Return the model with all its points, as the measures take it."""
    n = len(model.points)
    columns = {"input_ids": [[FIRST + place] for place in range(n)], "length": [1] * n}
    counts = {
        "words": [1 + place % 3 for place in range(n)],
        "bytes": [5 + place % 4 for place in range(n)],
    }
    bundle, dataset = Bundle(model, SpecialTokens()), Dataset.from_dict({**columns, **counts})
    return EvaluationInput(
        bundle, dataset, run_model(bundle, dataset, seed), samples, seed, progress=False
    )
