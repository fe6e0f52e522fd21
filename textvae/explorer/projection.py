"""Projections of latents to the plane of the map, and back.

PCA is linear, so every place of the plane has a latent of its own. UMAP (McInnes et al.
2018, arXiv:1802.03426) has no inverse that is fast enough for a click: a place gets the
mean of the latents of the nearest points, weighted by their inverse squared distance, and
a new latent gets a place in the same way.

Shapes: z is (n, latent), places are (n, 2).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from textvae.runtime.extras import check_installed
from textvae.schema import choose

ProjectionKind = Literal["pca", "umap"]

_NEIGHBORS = 8  # points whose weighted mean stands for the inverse of UMAP
_MIN_SQUARED_DISTANCE = 1e-9


class Projection(ABC):
    """A map from latents to places, and back."""

    kind: ProjectionKind

    @abstractmethod
    def to_places(self, z: Tensor) -> Tensor:
        """Return the place of each latent."""

    @abstractmethod
    def to_latents(self, places: Tensor) -> Tensor:
        """Return a latent for each place."""


@dataclass(frozen=True)
class PrincipalComponents(Projection):
    """The two directions in which the latents vary most.

    Shapes:
        mean: (latent,); axes: (latent, 2), orthonormal
    """

    mean: Tensor
    axes: Tensor
    kind: ProjectionKind = "pca"

    @classmethod
    def fit(cls, z: Tensor) -> "PrincipalComponents":
        """Fit the directions; with a latent of one number, all places have the second coordinate 0."""
        mean = z.mean(0)
        # eigh sorts by ascending variance, so the last two directions are the ones to take.
        _, vectors = torch.linalg.eigh((z - mean).T.cov(correction=0).view(z.shape[1], -1))
        axes = vectors[:, -2:].flip(1)
        # The sign of an eigenvector is arbitrary; fix it, so that the map looks the same each time.
        largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
        axes = axes * torch.where(largest < 0, -1.0, 1.0)
        if axes.shape[1] < 2:
            axes = torch.cat([axes, torch.zeros_like(axes)], dim=1)
        return cls(mean, axes)

    def to_places(self, z: Tensor) -> Tensor:
        """Return the place of each latent."""
        return (z - self.mean) @ self.axes

    def to_latents(self, places: Tensor) -> Tensor:
        """Return the point on the plane of the two directions."""
        return self.mean + places @ self.axes.T


@dataclass(frozen=True)
class NearestPoints(Projection):
    """A projection known only at its points, as UMAP's is.

    Shapes:
        z: (n, latent); places: (n, 2)
    """

    z: Tensor
    places: Tensor
    kind: ProjectionKind = "umap"

    def to_places(self, z: Tensor) -> Tensor:
        """Return the weighted mean place of the nearest latents."""
        return _interpolate(z, self.z, self.places)

    def to_latents(self, places: Tensor) -> Tensor:
        """Return the weighted mean latent of the nearest places."""
        return _interpolate(places, self.places, self.z)


def _interpolate(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return for each query the mean of the values of its nearest keys, by inverse squared distance."""
    squared = torch.cdist(queries, keys).square()
    nearest = squared.topk(min(_NEIGHBORS, len(keys)), largest=False)
    weights = 1 / nearest.values.clamp_min(_MIN_SQUARED_DISTANCE)
    weights = weights / weights.sum(1, keepdim=True)
    mean: Tensor = (weights.unsqueeze(2) * values[nearest.indices]).sum(1)
    return mean


def fit_projection(z: Tensor, kind: ProjectionKind = "pca") -> Projection:
    """Fit a projection to latents."""
    if kind == "pca":
        return PrincipalComponents.fit(z)
    from umap import UMAP

    places = UMAP(n_components=2, random_state=0).fit_transform(z.numpy())
    return NearestPoints(z, torch.from_numpy(places).float())


def require_projection(kind: str) -> ProjectionKind:
    """Return the kind of a projection that can be fitted here.

    Raises:
        ConfigError: it is unknown, or UMAP is not installed.
    """
    choose(dict.fromkeys(get_args(ProjectionKind)), kind, "projection")
    if kind == "umap":
        check_installed("umap", "maps arranged by UMAP", "umap")
    return cast(ProjectionKind, kind)
