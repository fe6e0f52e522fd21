"""Fit a prior: better samples from a trained model, by drawing z from where its sentences are.

The aggregate posterior, the mixture of all q(z | x), is never quite the prior the
model was trained with; draws from the gaps between decode badly (Dai & Wipf 2019,
arXiv:1903.05789; Ghosh et al. 2020, arXiv:1903.12436). A density fitted on draws
from it stands in.

gaussian_mixture.py flow.py diffusion.py   the kinds
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import posterior
from textvae.model.posteriors import Distribution
from textvae.runs.fitted import load_fitted, save_fitted
from textvae.runtime.seeds import seeded
from textvae.schema import choose
from textvae.uses.fit_prior.base import FittedPrior
from textvae.uses.fit_prior.diffusion import DiffusionPrior
from textvae.uses.fit_prior.flow import FlowPrior
from textvae.uses.fit_prior.gaussian_mixture import GaussianMixturePrior

PRIOR_KIND = "prior"


_HELD_OUT_ONE_IN = 10  # of so many sentences one is kept aside


FITTED_PRIORS: dict[str, type[FittedPrior]] = {
    "gaussian_mixture": GaussianMixturePrior,
    "flow": FlowPrior,
    "diffusion": DiffusionPrior,
}


def fit_prior(
    bundle: Bundle,
    texts: Sequence[str],
    kind: str,
    place: Path,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Fit a prior on draws from q(z | x) of each text, and keep it in a folder; return what it is.

    Raises:
        ConfigError: the kind is unknown.
        DataError: there are too few texts.
    """
    part = choose(FITTED_PRIORS, kind, "kind")
    if len(texts) < part.fewest:
        raise DataError(
            f"{len(texts)} sentences to fit a prior on: wanted are {part.fewest} or more for {kind}."
        )
    prior = fit_on_posterior(posterior(bundle, texts, progress=progress), part, seed)
    record = {"prior": kind, "texts": len(texts), "sizes": prior.sizes}
    save_fitted(place, bundle, PRIOR_KIND, record, prior.state_dict())
    return record


def fit_on_posterior(q: Distribution, part: type[FittedPrior], seed: int = 0) -> FittedPrior:
    """Return a prior fitted on q(z | x) of the sentences that are not kept aside."""
    with seeded(seed):
        order = torch.randperm(len(q.mean))
        held, rest = (
            order[: len(order) // _HELD_OUT_ONE_IN],
            order[len(order) // _HELD_OUT_ONE_IN :],
        )
        return part.fit(q.select_rows(rest), q.select_rows(held).sample())


def load_prior(folder: Path, bundle: Bundle) -> FittedPrior:
    """Return a prior that was kept.

    Raises:
        CheckpointError: there is none, it is damaged, or was fitted on another model.
    """
    record, tensors = load_fitted(folder, bundle, PRIOR_KIND)
    prior = FITTED_PRIORS[record["prior"]](**record["sizes"])
    prior.load_state_dict(tensors)
    return prior


def sample_fitted_prior(prior: FittedPrior, count: int, seed: int) -> Tensor:
    """Return z, (count, latent), the same for the same seed."""
    with seeded(seed), torch.no_grad():
        return prior.sample(count)
