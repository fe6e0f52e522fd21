"""Interpolation: its ends, its paths and what it refuses."""

import pytest
import torch

from tests.tiny import DECODER_SETTINGS, SENTENCES, draws, tiny_vae
from tests.tiny_run import SENTENCES as MANY
from textvae.errors import ConfigError, DataError
from textvae.inference.paths import PATHS, linear, spherical
from textvae.uses.density_path import KernelDensity, density_path, select_kernel_width, space_evenly


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


@pytest.fixture(scope="module")
def ring():
    """Points on a half circle from (-1, 0) over (0, 1) to (1, 0)."""
    angle = torch.linspace(0, torch.pi, 200)
    points = torch.stack([-angle.cos(), angle.sin()], dim=1)
    return points, KernelDensity.of(points + 0.05 * draws(200, 2))


def test_a_density_path_goes_round_where_there_are_no_points(ring):
    """Its ends are kept, its points evenly apart, and it is likelier than the straight path all along."""
    points, density = ring
    path = density_path(points[0], points[-1], 9, density)
    torch.testing.assert_close(path[[0, -1]], points[[0, -1]])
    strides = path.diff(dim=0).norm(dim=1)
    torch.testing.assert_close(strides, strides.mean().expand(8), rtol=0.1, atol=0)
    straight = linear(points[0], points[-1], 9)
    assert density.log_prob(path)[1:-1].mean() > density.log_prob(straight)[1:-1].mean() + 1
    assert path[4, 1] > 0.5


def test_a_dear_enough_length_makes_a_density_path_straight(ring):
    """The price is of length; and between equal ends there is one point."""
    points, density = ring
    path = density_path(points[0], points[-1], 5, density, price=1e6)
    torch.testing.assert_close(path, linear(points[0], points[-1], 5), atol=0.1, rtol=0)
    torch.testing.assert_close(
        density_path(points[3], points[3], 4, density), points[3].expand(4, 2)
    )


def test_kernels_do_not_depend_on_the_scale_of_the_latent():
    """Twice the latent: the same density, up to a constant; and crowds want narrower kernels than a few."""
    points, z = draws(300, 3), draws(5, 3, seed=1)
    once, twice = KernelDensity.of(points).log_prob(z), KernelDensity.of(2 * points).log_prob(2 * z)
    torch.testing.assert_close(once, twice, atol=1e-3, rtol=1e-3)
    assert select_kernel_width(draws(2000, 3)) <= select_kernel_width(draws(40, 3))


def test_points_along_a_line_are_evenly_apart():
    """Wherever its knots are; the ends are the line's."""
    knots = torch.tensor([[0.0, 0], [1, 0], [1, 3]])
    torch.testing.assert_close(
        space_evenly(knots, 5), torch.tensor([[0.0, 0], [1, 0], [1, 1], [1, 2], [1, 3]])
    )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_density_path_of_sentences_has_their_ends(writer):
    """With a reference of sentences of unequal lengths; the same every time."""
    vae = tiny_vae(writer)
    texts = [
        vae.interpolate(*SENTENCES[:2], steps=5, path="density", reference=MANY) for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert [texts[0][0], texts[0][-1]] == vae.decode(vae.encode(SENTENCES[:2]))


def test_a_density_path_without_enough_to_bend_it_to_is_refused(vae):
    """No folder to find sentences in; too few of them; none."""
    with pytest.raises(ConfigError, match=r"in no folder.* give sentences like those"):
        vae.interpolate("a man", "two dogs", path="density")
    for few in (SENTENCES, []):
        with pytest.raises(DataError, match=f"{len(few)} reference sentences .* give 8 or more"):
            vae.interpolate("a man", "two dogs", path="density", reference=few)
