"""Pairing: which posterior goes with which prior."""

from textvae.errors import ConfigError
from textvae.model.posteriors import POSTERIORS
from textvae.model.priors import PRIORS


def check_prior(posterior: str, prior: str) -> None:
    """Refuse a posterior and a prior, named by their kinds, that do not go together.

    Raises:
        ConfigError: with the reason and the mend.
    """
    q, p = POSTERIORS[posterior].distribution, PRIORS[prior]
    both = f"model.posterior = {posterior!r} and model.prior = {prior!r} do not go together: "
    if q.is_spherical != p.is_spherical:
        where = {True: "on a sphere", False: "in all of space"}
        fitting = [name for name, part in PRIORS.items() if part.is_spherical == q.is_spherical]
        raise ConfigError(
            f"{both}one has z {where[q.is_spherical]}, the other {where[p.is_spherical]}. "
            f"Beside this posterior set model.prior to {' or '.join(fitting)}."
        )
    if p.is_learned and not q.has_density:
        raise ConfigError(
            f"{both}without a KL the prior learns nothing. Set model.prior: standard_normal."
        )
    if p.posteriors is not None and posterior not in p.posteriors:
        raise ConfigError(
            f"{both}this prior is made of posteriors {' or '.join(p.posteriors)}; choose one of these."
        )
