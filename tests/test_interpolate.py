"""Interpolation: its ends, its paths and what it refuses."""

import pytest
import torch

from tests.tiny import SENTENCES, draws, tiny_vae
from textvae.errors import ConfigError
from textvae.uses.interpolate import PATHS, linear, spherical


@pytest.fixture(scope="module")
def vae():
    return tiny_vae()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("steps", [2, 7])
def test_an_interpolation_begins_and_ends_with_the_decoded_ends(vae, path, steps):
    """As many texts as asked for, the first and last those of the two sentences themselves."""
    texts = vae.interpolate(SENTENCES[0], SENTENCES[1], steps=steps, path=path)
    assert len(texts) == steps
    assert [texts[0], texts[-1]] == vae.decode(vae.encode(SENTENCES[:2]))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_runs_from_end_to_end(path):
    """Both points included."""
    start, end = draws(2, 5)
    points = PATHS[path](start, end, 9)
    assert points.shape == (9, 5)
    torch.testing.assert_close(points[0], start)
    torch.testing.assert_close(points[-1], end)


def test_a_linear_path_has_equal_steps():
    """Each is an eighth of the way."""
    start, end = draws(2, 5)
    strides = linear(start, end, 9).diff(dim=0)
    torch.testing.assert_close(strides, ((end - start) / 8).expand(8, -1))


@pytest.mark.parametrize("lengths", [(1.0, 1.0), (0.5, 3.0)])
def test_a_spherical_path_between_equal_lengths_turns_evenly_and_keeps_its_length(lengths):
    """Each step turns by the same angle; for ends of unequal length, of the path's directions at unit length."""
    ends = torch.nn.functional.normalize(draws(2, 5), dim=1) * torch.tensor(lengths).unsqueeze(1)
    points = spherical(*ends, 9)
    sizes = points.norm(dim=1)
    if lengths[0] == lengths[1]:
        torch.testing.assert_close(sizes, torch.full((9,), lengths[0]))
        angles = torch.nn.functional.cosine_similarity(points[1:], points[:-1]).arccos()
        torch.testing.assert_close(angles, angles[:1].expand(8), atol=1e-3, rtol=1e-3)
    assert (sizes >= min(lengths) - 1e-5).all()


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_where_no_arc_is_defined_the_spherical_path_is_straight(factor):
    """The same direction, or the opposite one."""
    start = draws(5)
    points = spherical(start, factor * start, 5)
    assert points.isfinite().all()
    torch.testing.assert_close(points, linear(start, factor * start, 5))


def test_a_single_step_and_an_unknown_path_are_refused(vae):
    """The messages say what would do."""
    with pytest.raises(ConfigError, match="steps = 1: an interpolation has at least 2"):
        vae.interpolate("a man", "two dogs", steps=1)
    with pytest.raises(ConfigError, match="path = 'spheric' is unknown: did you mean 'spherical'"):
        vae.interpolate("a man", "two dogs", path="spheric")
