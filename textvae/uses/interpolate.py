"""Interpolate: sentences along a path through two or more sentences.

The path runs through the posterior means, and consists of one segment for each sentence
and the next one. It is straight (Bowman et al. 2016,
arXiv:1511.06349), or spherical about the mean of the prior, which keeps the distance of z
to it near that of samples from the prior (White 2016, arXiv:1609.04468), or bent towards regions where reference
sentences are dense (`density_path`).
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import decode_latents
from textvae.inference.encode import check_not_blank, posterior
from textvae.inference.memory import check_texts_fit
from textvae.inference.paths import PATHS, LatentPath, linear, spherical
from textvae.inference.settings import DecodingSettings
from textvae.runtime.spacing import take_evenly
from textvae.schema import choose
from textvae.uses.density_path import KernelDensity, density_path

DENSITY_PATH_NAME = "density"  # the path that needs reference sentences

_MAX_REFERENCE = 2_000  # sentences that its density is fitted to, whose distances are in memory


def interpolate(
    bundle: Bundle,
    texts: Sequence[str],
    steps: int,
    path: str,
    options: DecodingSettings,
    reference: Sequence[str] | None = None,
) -> list[str]:
    """Return the sentences on a path from the first text to the last, through all others.

    Between two texts and the next ones, the joint appears once. There are (len(texts) - 1) *
    (steps - 1) + 1 points. Decoding is greedy unless the options say otherwise.

    Args:
        texts: two or more.
        steps: points per segment, 2 or more, both ends included.
        reference: sentences like the training data, needed by the path `density`, and only by it.

    Raises:
        ConfigError: the path is unknown, the path `density` has no reference, or another one has.
        DataError: a text is blank, or there are too few reference sentences.
    """
    check_not_blank(*texts)
    if reference is not None and path != DENSITY_PATH_NAME:
        raise ConfigError(
            f"reference has no effect with path = {path!r}: it is for path = "
            f"{DENSITY_PATH_NAME!r}, which bends towards these sentences. Leave reference out, or "
            "choose that path."
        )
    count = (len(texts) - 1) * (steps - 1) + 1
    check_texts_fit("interpolate.steps", count, bundle.model.config.latent_dim)
    latent_path = build_path(bundle, path, reference)
    points = trace_path(posterior(bundle, texts).mean, steps, latent_path)
    z = bundle.model.prior.project(points)
    return decode_latents(bundle, z, options, samples_by_default=False)


def trace_path(knots: Tensor, steps: int, latent_path: LatentPath) -> Tensor:
    """Return the points of a path through all knots, each knot once, (points, latent).

    Args:
        knots: (knots, latent), two or more.
        steps: points per segment, both ends included.
    """
    segments = [latent_path(start, end, steps) for start, end in pairwise(knots)]
    return torch.cat([segments[0], *(segment[1:] for segment in segments[1:])])


def build_path(bundle: Bundle, path: str, reference: Sequence[str] | None) -> LatentPath:
    """Return the function that computes the points of a path.

    Raises:
        ConfigError: the path is unknown, or `density` without a reference.
        DataError: there are too few reference sentences.
    """
    # `choose` must know all allowed names. `linear` is only a placeholder for the density
    # path, which cannot be built without a reference.
    latent_path = choose({**PATHS, DENSITY_PATH_NAME: linear}, path, "path")
    if path == "spherical":
        # A prior for a fixed label has one row.
        center = bundle.prior.center().detach().cpu().view(-1)
        return partial(spherical, center=center)
    if path != DENSITY_PATH_NAME:
        return latent_path
    if reference is None:
        raise ConfigError(
            f"path = {DENSITY_PATH_NAME!r} needs reference sentences; pass sentences like "
            "the training data as `reference`."
        )
    # A copy would count as a neighbor of its sentence, and make the density too narrow.
    sentences = take_evenly(list(dict.fromkeys(reference)), _MAX_REFERENCE)
    density = KernelDensity.fit(posterior(bundle, sentences).mean)
    return partial(density_path, density=density)
