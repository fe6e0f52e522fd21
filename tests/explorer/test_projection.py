"""The arrangement of the map, and the way back from a place to a latent."""

import pytest
import torch

from textvae.errors import ConfigError
from textvae.explorer.projection import NearestPoints, PrincipalComponents, require_projection


def points(n=40, latent=5, seed=0):
    """Return latents whose first two directions vary most."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(n, latent, generator=random) * torch.tensor([5.0, 3.0, 0.5, 0.2, 0.1])


def test_a_place_comes_back_from_its_latent():
    places = torch.tensor([[0.0, 0.0], [1.5, -2.0], [30.0, 4.0]])
    projection = PrincipalComponents.fit(points())
    assert torch.allclose(projection.to_places(projection.to_latents(places)), places, atol=1e-4)


def test_principal_components_keep_the_most_variance():
    z = points()
    places = PrincipalComponents.fit(z).to_places(z)
    singular = torch.linalg.svdvals(z - z.mean(0))
    assert torch.allclose(places.square().sum(0).sqrt(), singular[:2], rtol=1e-3)


def test_principal_components_do_not_depend_on_the_order_of_the_sentences():
    z = points()
    shuffled = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(1))]
    one, other = PrincipalComponents.fit(z), PrincipalComponents.fit(shuffled)
    assert torch.allclose(one.axes, other.axes, atol=1e-4)


def test_a_latent_of_one_number_has_places_too():
    z = torch.arange(6.0).unsqueeze(1)
    projection = PrincipalComponents.fit(z)
    assert torch.allclose(projection.to_latents(projection.to_places(z)), z, atol=1e-5)


def test_the_place_of_a_known_point_has_its_latent():
    z = points()
    projection = NearestPoints(z, z[:, :2])
    assert torch.allclose(projection.to_latents(z[:3, :2]), z[:3], atol=1e-3)
    assert torch.allclose(projection.to_places(z[3:5]), z[3:5, :2], atol=1e-3)


def test_a_place_between_points_has_a_latent_between_theirs():
    z = points()
    found = NearestPoints(z, z[:, :2]).to_latents(torch.tensor([[0.5, 0.5]]))
    assert (found >= z.min(0).values).all()
    assert (found <= z.max(0).values).all()


def test_an_unknown_projection_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"did you mean 'umap'.*pca, umap"):
        require_projection("umapp")
