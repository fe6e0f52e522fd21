"""Traverse: decode while one coordinate of the latent moves and all others stay fixed.

Since the beta-VAE (Higgins et al. 2017) this is how the effect of a dimension is
inspected. Steps are measured in standard deviations of the aggregate posterior along
that dimension, so that they reach as far as sentences do, or of the prior. Step 0 is
the reconstruction.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import check_not_blank, posterior, require_latent
from textvae.inference.generate import compute_prior_deviation
from textvae.inference.memory import check_texts_fit
from textvae.inference.settings import DecodingSettings
from textvae.runtime.seeds import Stream, seeded
from textvae.uses.records import TraversalStep
from textvae.uses.settings import TraverseSettings


def traverse(
    bundle: Bundle,
    text: str,
    dimension: int,
    settings: TraverseSettings,
    options: DecodingSettings,
    read_reference: Callable[[], Sequence[str]],
) -> list[TraversalStep]:
    """Return one record per step, or `num_return_sequences` of them, next to each other.

    Keys: `value` (the step in standard deviations), `coordinate` (of the latent after
    the step) and `text` (decoded from it).

    Args:
        dimension: counted from 0.
        read_reference: returns sentences like the training data; called only where the
            unit is the aggregate posterior.

    Raises:
        ConfigError: the model has no such dimension, or so many steps do not fit into memory.
        DataError: the text is blank, or there are fewer than two reference sentences.
    """
    require_latent(bundle)
    check_not_blank(text)
    latent = bundle.model.config.latent_dim
    check_texts_fit("traverse.steps", settings.steps, latent)
    _check_dimension(dimension, latent)
    offsets = settings.offsets
    deviation = (
        compute_prior_deviation(bundle)
        if settings.unit == "prior"
        else _aggregate_deviation(bundle, read_reference())
    )
    z = posterior(bundle, [text]).mean.repeat(len(offsets), 1)
    z[:, dimension] += torch.tensor(offsets) * deviation[dimension]
    z = bundle.model.prior.project(z)
    texts = decode_latents(bundle, z, options, samples_by_default=False)
    coordinates = z[:, dimension].tolist()
    texts_per_step = len(texts) // len(offsets)
    return [
        {
            "value": offsets[index // texts_per_step],
            "coordinate": coordinates[index // texts_per_step],
            "text": decoded,
        }
        for index, decoded in enumerate(texts)
    ]


def _check_dimension(dimension: int, latent: int) -> None:
    """Refuse a dimension that does not exist.

    Raises:
        ConfigError: the model does not have it.
    """
    if not 0 <= dimension < latent:
        raise ConfigError(
            f"dimension = {dimension}: this model has {latent}, counted from 0; "
            f"choose 0 to {latent - 1}."
        )


def _aggregate_deviation(bundle: Bundle, reference: Sequence[str]) -> Tensor:
    """Return the standard deviation of the aggregate posterior in each dimension, (latent,).

    It is estimated from one sample of q(z | x) per sentence.

    Raises:
        DataError: there are fewer than two sentences.
    """
    if len(reference) < 2:
        raise DataError(
            f"got {len(reference)} reference sentences, too few to measure how far latents "
            "spread; give a few hundred, or choose unit = 'prior'."
        )
    q = posterior(bundle, reference)
    with seeded(0, Stream.LATENT_DEVIATION):
        return q.sample().std(0)
