"""Features: turn each text into a vector for other models, such as a linear classifier.

The kinds, from least to most information: the posterior mean; the mean with the
log-variance, which tells how certain the encoder is of each coordinate; and the
encoder's pooled states, of which the mean is a linear map. docs/uses/features.md compares
them with few labels and with many. The states are the default; the mean is what
`encode` returns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm import tqdm

from textvae.data.vectors import require_vectors
from textvae.errors import ConfigError
from textvae.inference.bundle import Bundle
from textvae.inference.decoding import batch_by_length
from textvae.inference.encode import require_latent, tokenize_and_truncate
from textvae.model.modeling import TextVAEModel
from textvae.model.posteriors import DiagonalGaussian
from textvae.schema import choose
from textvae.terminal import is_bar_hidden

DEFAULT_FEATURES = "states"  # the best on validation data, with 10 and with 100 labels per class


def features(
    bundle: Bundle,
    texts: Sequence[str],
    kind: str = DEFAULT_FEATURES,
    batch_size: int = 256,
    progress: bool = False,
) -> NDArray[np.float32]:
    """Return the features of each text, (n, width), in the order of the texts.

    Texts longer than the model can read are cut.

    Raises:
        ConfigError: the kind is unknown, or this model does not have it.
    """
    feature = choose(FEATURES, kind, "features")
    require_latent(bundle)
    rows = np.empty((len(texts), feature.width(bundle.model)), dtype=np.float32)
    ids = tokenize_and_truncate(bundle, texts)
    batches = list(batch_by_length([len(row) for row in ids], batch_size))
    with torch.inference_mode():
        for indices in tqdm(
            batches, desc="encoding", unit="batch", disable=is_bar_hidden(progress)
        ):
            batch = bundle.make_batch([ids[index] for index in indices])
            values = feature.compute(
                bundle.model, batch["encoder_input_ids"], batch["encoder_attention_mask"]
            )
            rows[indices] = values.cpu().numpy()
    return rows


def compute_feature_width(bundle: Bundle, kind: str = DEFAULT_FEATURES) -> int:
    """Return how many numbers the features of a text have.

    Raises:
        ConfigError: the kind is unknown, or the model is a language model.
    """
    feature = choose(FEATURES, kind, "features")
    require_latent(bundle)
    return feature.width(bundle.model)


def recover_latents(
    bundle: Bundle, vectors: ArrayLike, kind: str = DEFAULT_FEATURES
) -> NDArray[np.float32]:
    """Return the posterior means, (n, latent), of texts with these features.

    Args:
        vectors: (n, width), or those of one text, (width,).

    Raises:
        ConfigError: the kind is unknown, or the model is a language model.
        ShapeError: the vectors have another width.
        DataError: they are not an array of numbers, or one of them is not finite.
    """
    feature = choose(FEATURES, kind, "features")
    width = compute_feature_width(bundle, kind)
    rows = require_vectors(vectors, "vectors", width, f"the width of features = {kind!r}")
    with torch.inference_mode():
        means = feature.recover(bundle.model, rows.to(bundle.device))
    recovered: NDArray[np.float32] = means.cpu().numpy()
    return recovered


@dataclass(frozen=True)
class _Feature:
    """One kind of feature.

    Attributes:
        compute: (model, ids, mask) -> (batch, width), with ids and mask of (batch, length).
        width: numbers per text.
        recover: (model, features) -> (batch, latent): the posterior mean.
    """

    compute: Callable[[TextVAEModel, Tensor, Tensor], Tensor]
    width: Callable[[TextVAEModel], int]
    recover: Callable[[TextVAEModel, Tensor], Tensor]


def _mean_features(model: TextVAEModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the posterior mean, (batch, latent)."""
    return model.encode(ids, mask).mean


def _gaussian_features(model: TextVAEModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the posterior's mean and log-variance, (batch, 2 latent).

    Raises:
        ConfigError: the posterior is not a diagonal Gaussian.
    """
    q = model.encode(ids, mask)
    if not isinstance(q, DiagonalGaussian):
        raise ConfigError(
            "features = 'gaussian': this model's posterior has no log-variance; "
            "choose mean or states."
        )
    return torch.cat([q.mean, q.logvar], dim=1)


def _state_features(model: TextVAEModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the encoder's pooled states, (batch, width)."""
    states = model.encoder(ids, mask)
    # An encoder may return one state per sentence.
    pooled: Tensor = model.posterior.pool(states, mask[:, : states.shape[1]])
    return pooled


def _recover_from_mean(model: TextVAEModel, vectors: Tensor) -> Tensor:
    """Return the mean, which comes first in the features."""
    return vectors[:, : int(model.config.latent_dim)]


def _recover_from_states(model: TextVAEModel, vectors: Tensor) -> Tensor:
    """Return the mean that the posterior computes from pooled states."""
    mean: Tensor = model.posterior.head(vectors).mean
    return mean


FEATURES = {
    "mean": _Feature(
        _mean_features, lambda model: int(model.config.latent_dim), _recover_from_mean
    ),
    "gaussian": _Feature(
        _gaussian_features, lambda model: 2 * int(model.config.latent_dim), _recover_from_mean
    ),
    "states": _Feature(
        _state_features, lambda model: int(model.posterior.width), _recover_from_states
    ),
}
