"""Interpolate: the sentences on the way from one to another.

The path runs between the posterior means: straight (Bowman et al. 2016,
arXiv:1511.06349), or spherical, which keeps the length of z near that of draws
from the prior (White 2016, arXiv:1609.04468), or bent to where reference
sentences lie (`density_path`).
"""

from collections.abc import Sequence
from functools import partial

from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import DecodingSettings, decode_latents
from textvae.inference.encode import check_not_blank, posterior
from textvae.inference.paths import PATHS, LatentPath, linear
from textvae.schema import choose
from textvae.uses.density_path import KernelDensity, density_path

DENSITY_PATH_NAME = "density"  # the path that is bent to a reference


def interpolate(
    bundle: Bundle,
    first: str,
    second: str,
    steps: int,
    path: str,
    options: DecodingSettings,
    reference: Sequence[str] | None = None,
) -> list[str]:
    """Return `steps` sentences from `first` to `second`; greedy unless options say otherwise.

    Args:
        reference: sentences that show where the data are, for the path `density`.

    Raises:
        ConfigError: fewer than two steps, an unknown path, or none to bend it to.
        DataError: a text is blank, or there are too few reference sentences.
    """
    check_not_blank(first, second)
    if steps < 2:
        raise ConfigError(f"steps = {steps}: an interpolation has at least 2, its ends.")
    course = build_path(bundle, path, reference)
    ends = posterior(bundle, [first, second]).mean
    return decode_latents(
        bundle, course(ends[0], ends[1], steps), options, samples_by_default=False
    )


def build_path(bundle: Bundle, path: str, reference: Sequence[str] | None) -> LatentPath:
    """Return the function that makes a path's points."""
    plain = choose({**PATHS, DENSITY_PATH_NAME: linear}, path, "path")
    if path != DENSITY_PATH_NAME:
        return plain
    if reference is None:
        raise ConfigError(
            f"path = {DENSITY_PATH_NAME!r} needs sentences that show where the data are; give a reference."
        )
    return partial(density_path, density=KernelDensity.of(posterior(bundle, reference).mean))
