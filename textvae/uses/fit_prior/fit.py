"""Fit a prior to the latents of a trained model, to sample sentences from.

The aggregate posterior, the mixture of all q(z | x), never equals the prior that the
model was trained with. Latents from regions without sentences decode badly (Dai & Wipf
2019, arXiv:1903.05789; Ghosh et al. 2020, arXiv:1903.12436). A density fitted to the
aggregate posterior takes the prior's place.

gaussian_mixture.py, flow.py, diffusion.py: the kinds of density
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from textvae.errors import ConfigError, DataError
from textvae.inference.bundle import Bundle
from textvae.inference.encode import posterior, require_latent
from textvae.model.posteriors import Distribution
from textvae.model.priors import Prior
from textvae.runs.fitted import explain_damage, load_fitted, save_fitted
from textvae.runtime.seeds import seeded
from textvae.schema import choose
from textvae.uses.fit_prior.base import FittedPrior, draw_fixed
from textvae.uses.fit_prior.diffusion import DiffusionPrior
from textvae.uses.fit_prior.flow import FlowPrior
from textvae.uses.fit_prior.gaussian_mixture import GaussianMixturePrior
from textvae.uses.records import FittedPriorRecord
from textvae.uses.settings import PriorKind

PRIOR_KIND = "prior"

_HELD_OUT_ONE_IN = 10  # one sentence in ten is held out for validation

FITTED_PRIORS: dict[str, type[FittedPrior]] = {
    "gaussian_mixture": GaussianMixturePrior,
    "flow": FlowPrior,
    "diffusion": DiffusionPrior,
}


def fit_prior(
    bundle: Bundle,
    texts: Sequence[str],
    kind: PriorKind,
    folder: Path,
    seed: int = 0,
    progress: bool = False,
) -> FittedPriorRecord:
    """Fit a prior on samples from q(z | x) of each text and save it in a folder; return its record.

    Raises:
        ConfigError: the kind is unknown, or needs a larger latent; or the model is a language
            model.
        DataError: there are too few texts.
    """
    prior_class = choose(FITTED_PRIORS, kind, "kind")
    require_latent(bundle)
    latent = bundle.model.config.latent_dim
    if latent < prior_class.min_latent:
        supported = [name for name, one in FITTED_PRIORS.items() if latent >= one.min_latent]
        raise ConfigError(
            f"kind = {kind!r} needs a latent of {prior_class.min_latent} or more dimensions, and "
            f"this model's has {latent}: choose from {', '.join(supported)}."
        )
    if len(texts) < prior_class.min_sentences:
        raise DataError(
            f"got {len(texts)} sentences to fit a prior on; {kind} needs at least "
            f"{prior_class.min_sentences}."
        )
    q = posterior(bundle, texts, progress=progress)
    prior = fit_on_posterior(q, prior_class, seed)
    record = FittedPriorRecord(prior=kind, texts=len(texts), sizes=prior.sizes)
    save_fitted(folder, bundle, PRIOR_KIND, dict(record), prior.state_dict())
    return record


def fit_on_posterior(q: Distribution, prior_class: type[FittedPrior], seed: int = 0) -> FittedPrior:
    """Return a prior fitted on q(z | x) of most sentences and validated on the others."""
    with seeded(seed):
        order = torch.randperm(len(q.mean))
        validation_count = len(order) // _HELD_OUT_ONE_IN
        validation = draw_fixed(q.select_rows(order[:validation_count]))
        return prior_class.fit(q.select_rows(order[validation_count:]), validation)


def load_prior(folder: Path, bundle: Bundle) -> FittedPrior:
    """Load a saved prior.

    Raises:
        CheckpointError: it is missing or damaged, or was fitted on another model.
    """
    record, tensors = load_fitted(folder, bundle, PRIOR_KIND)
    latent = bundle.model.config.latent_dim
    with explain_damage(folder):
        # On the meta device, wrong sizes take no memory: tensors of other sizes are refused.
        with torch.device("meta"):
            prior = FITTED_PRIORS[record["prior"]](**record["sizes"])
        prior.load_state_dict(tensors, assign=True)
        with seeded(0), torch.no_grad():  # restores the random state of the caller
            sample = prior.sample(1)
        if sample.shape != (1, latent):
            raise ValueError(f"its samples do not have {latent} dimensions")
    return prior


def sample_fitted_prior(prior: Prior | FittedPrior, count: int, seed: int) -> Tensor:
    """Return samples of z, (count, latent); the same seed gives the same samples."""
    with seeded(seed), torch.no_grad():
        return prior.sample(count)
