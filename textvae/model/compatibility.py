"""Which posterior works with which prior."""

from textvae.errors import ConfigError
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS

_SUPPORTS = {True: "on a sphere", False: "in all of space"}  # by `is_spherical`


def check_prior(posterior: str, prior: str) -> None:
    """Check that a posterior and a prior, named by their kinds, work together.

    Raises:
        ConfigError: they do not; the message gives the reason and how to fix it.
    """
    q = POSTERIORS[posterior].distribution
    p = PRIORS[prior]
    both = f"model.posterior = {posterior!r} and model.prior = {prior!r} do not go together: "
    # On different supports the KL is infinite: one has no density where the other has all of it.
    if q.is_spherical != p.is_spherical:
        matching = [name for name, part in PRIORS.items() if part.is_spherical == q.is_spherical]
        raise ConfigError(
            f"{both}one has z {_SUPPORTS[q.is_spherical]}, the other {_SUPPORTS[p.is_spherical]}. "
            f"For this posterior, set model.prior to {' or '.join(matching)}."
        )
    if p.is_learned and not q.has_density:
        raise ConfigError(
            f"{both}without a KL the prior learns nothing. Set model.prior: standard_normal."
        )
    if p.supported_posteriors is not None and posterior not in p.supported_posteriors:
        raise ConfigError(
            f"{both}this prior is made of posteriors {' or '.join(p.supported_posteriors)}. "
            "Set model.posterior to one of these."
        )
