"""Traverse: the sentences met when one coordinate of the latent is moved, all others held.

How the effect of a dimension is looked at since the beta-VAE (Higgins et al.
2017). The steps are deviations of the aggregate posterior along that dimension,
so that they go as far as sentences do; or of the prior. Step 0 is the
reconstruction.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import check_not_blank, posterior, require_latent
from textvae.inference.generate import sample_prior
from textvae.runtime.seeds import Stream, derive_seed, seeded
from textvae.schema import StrictSettings

_PRIOR_DRAWS = 10_000


class TraverseSettings(StrictSettings):
    """Where to step."""

    steps: int = Field(7, ge=2, description="sentences, evenly from -reach to reach")
    reach: float = Field(3.0, gt=0, le=100, description="of the outermost steps, in deviations")
    values: tuple[float, ...] | None = Field(
        None, min_length=1, description="the steps, in place of even ones"
    )
    unit: Literal["aggregate", "prior"] = Field(
        "aggregate", description="whose standard deviation is a step of 1"
    )

    @property
    def moves(self) -> list[float]:
        """How far each sentence lies from the text, in deviations."""
        if self.values is not None:
            return list(self.values)
        return [self.reach * (2 * step / (self.steps - 1) - 1) for step in range(self.steps)]


def traverse(
    bundle: Bundle,
    text: str,
    dimension: int,
    settings: TraverseSettings,
    options: DecodingSettings,
    reference: Callable[[], Sequence[str]],
) -> list[dict[str, Any]]:
    """Return a record a step: its `value` in deviations, the `coordinate` it leads to, and the `text` written there.

    Args:
        dimension: counted from 0.
        reference: gives sentences that show how far the data reach; asked where the unit is the aggregate posterior.

    Raises:
        ConfigError: there is no such dimension, or a value is not finite.
        DataError: the text is blank, or there are fewer than two reference sentences.
    """
    require_latent(bundle)
    check_not_blank(text)
    latent, moves = bundle.model.config.latent_dim, settings.moves
    if not 0 <= dimension < latent:
        raise ConfigError(
            f"dimension = {dimension}: this model has {latent}, counted from 0; choose 0 to {latent - 1}."
        )
    if not all(map(math.isfinite, moves)):
        raise ConfigError(
            f"values = {settings.values}: wanted are finite numbers, such as -2 or 1.5."
        )
    scale = (
        _prior_deviation(bundle)
        if settings.unit == "prior"
        else _aggregate_deviation(bundle, reference())
    )
    z = posterior(bundle, [text]).mean.repeat(len(moves), 1)
    z[:, dimension] += torch.tensor(moves) * scale[dimension]
    if bundle.model.prior.is_spherical:
        z *= math.sqrt(latent) / z.norm(dim=1, keepdim=True)
    texts = decode_latents(bundle, z, options, samples_by_default=False)
    rows = zip(moves, z[:, dimension].tolist(), texts, strict=True)
    return [
        {"value": value, "coordinate": coordinate, "text": written}
        for value, coordinate, written in rows
    ]


def _aggregate_deviation(bundle: Bundle, reference: Sequence[str]) -> Tensor:
    """Return the standard deviation of q(z) in each dimension, (latent,), by a draw from each sentence's q(z | x)."""
    if len(reference) < 2:
        raise DataError(
            f"{len(reference)} reference sentences do not show how far the data reach; give some hundred, "
            "or choose unit = 'prior'."
        )
    q = posterior(bundle, reference)
    with seeded(0, Stream.LATENT_DEVIATION):
        return q.sample().std(0)


def _prior_deviation(bundle: Bundle) -> Tensor:
    """Return the standard deviation of p(z) in each dimension, (latent,), by draws."""
    return sample_prior(bundle, _PRIOR_DRAWS, derive_seed(0, Stream.LATENT_DEVIATION)).std(0)
