"""A text VAE with known results: p(z) = N(0, I), p(x | z) = N(W z, noise^2 I).

A "sentence" is one token, the row number of a point x in a table. The columns of
W are orthogonal, so the true posterior is a diagonal Gaussian, and posterior, KL
and evidence all have closed forms.
"""

from types import SimpleNamespace
from typing import cast

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from tests.tiny import SpecialTokens, draws
from textvae.evaluation.measures import EvaluationInput, run_model
from textvae.inference.bundle import Bundle
from textvae.model.modeling import TextVAEModel, TextVAEOutput
from textvae.model.posteriors import DiagonalGaussian
from textvae.model.priors import PRIORS

LATENT = 2
SPACE = 3  # dimensions of x
FIRST = 4  # the id of the first point; smaller ids are special tokens
NOISE = 0.8


class LinearGaussian(nn.Module):
    """Implements the part of `TextVAEModel` that the measures use.

    Args:
        n: number of points x, sampled from the model itself.
        scale: lengths of the columns of W; zeros make a decoder that ignores z.
        shift, spread: error of the encoder's mean, and factor of its standard deviation.
    """

    def __init__(
        self,
        n: int = 200,
        scale: tuple[float, ...] = (1.5, 0.7),
        shift: float = 0.0,
        spread: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(draws(SPACE, SPACE, seed=99))
        self.weight = rotation[:, :LATENT] * torch.tensor(scale)
        noise = NOISE * draws(n, SPACE, seed=seed + 1)
        self.points = draws(n, LATENT, seed=seed) @ self.weight.t() + noise
        self.shift = shift
        self.spread = spread
        self.decoder = SimpleNamespace(has_frozen_layers_below=False)
        self.config = SimpleNamespace(latent_dim=LATENT, labels=None, label_column=None)
        self.prior = PRIORS["standard_normal"](
            PRIORS["standard_normal"].Settings(kind="standard_normal"), LATENT
        )
        self.device = torch.device("cpu")

    def log_evidence(self) -> Tensor:
        """Return the exact log p(x) of every point, (n,)."""
        covariance = self.weight @ self.weight.t() + NOISE**2 * torch.eye(SPACE)
        evidence = MultivariateNormal(torch.zeros(SPACE), covariance)
        log_prob: Tensor = evidence.log_prob(self.points)
        return log_prob

    def encode(self, encoder_input_ids: Tensor, encoder_attention_mask: Tensor) -> DiagonalGaussian:
        """Return the exact posterior, shifted by `shift` and widened by `spread`."""
        x = self.points[encoder_input_ids[:, 0] - FIRST]
        # The precision is I + W'W / noise^2, which is diagonal for orthogonal columns.
        variance = 1 / (1 + self.weight.square().sum(0) / NOISE**2)
        mean = x @ self.weight / NOISE**2 * variance
        logvar = (variance * self.spread**2).log().expand_as(mean)
        return DiagonalGaussian(mean + self.shift, logvar)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        latent: Tensor | None = None,
        encoder_input_ids: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        noise_seeds: Tensor | None = None,
    ) -> TextVAEOutput:
        """Return the output of the model, with -log p(x | z) as the reconstruction."""
        output = TextVAEOutput()
        if latent is None:
            assert encoder_input_ids is not None
            assert encoder_attention_mask is not None
            q = self.encode(encoder_input_ids, encoder_attention_mask)
            assert noise_seeds is not None
            latent = q.sample_with_seeds(noise_seeds.tolist())[0]
            output.kl = self.prior.kl(q, latent)
            output.posterior = q
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
        log_prob: Tensor = likelihood.log_prob(self.points[labels[:, 0] - FIRST])
        return -log_prob


def build_inputs(model: LinearGaussian, samples: int = 10, seed: int = 0) -> EvaluationInput:
    """Return the model with all its points, as the input of the measures."""
    rows = range(len(model.points))
    columns = {
        "input_ids": [[FIRST + row] for row in rows],
        "length": [1 for _ in rows],
        # Unequal counts, so that a measure per word or per byte has to weight them.
        "words": [1 + row % 3 for row in rows],
        "bytes": [5 + row % 4 for row in rows],
    }
    bundle = Bundle(cast("TextVAEModel", model), SpecialTokens())
    dataset = Dataset.from_dict(columns)
    outputs = run_model(bundle, dataset, seed)
    return EvaluationInput(bundle, dataset, outputs, samples, seed, progress=False)
