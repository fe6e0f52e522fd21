"""Interpolation: its ends, its paths, and what is refused."""

import pytest
import torch

from tests.tiny import DECODER_SETTINGS, LATENT, SENTENCES, draws, tiny_vae
from tests.tiny_run import SENTENCES as MANY
from textvae.errors import ConfigError, DataError
from textvae.inference.paths import PATHS, linear, spherical
from textvae.uses.density_path import KernelDensity, density_path, select_kernel_width, space_evenly
from textvae.uses.interpolate import build_path


@pytest.fixture(scope="module")
def vae():
    return tiny_vae()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("steps", [2, 7])
def test_an_interpolation_begins_and_ends_with_the_decoded_ends(vae, path, steps):
    """There is one text per step; the first and last are the reconstructions of the sentences."""
    texts = vae.interpolate(SENTENCES[0], SENTENCES[1], steps=steps, path=path)
    assert len(texts) == steps
    assert [texts[0], texts[-1]] == vae.decode(vae.encode(SENTENCES[:2]))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_runs_from_end_to_end(path):
    """The first point is the start, and the last is the end."""
    start, end = draws(2, 5)
    points = PATHS[path](start, end, 9)
    assert points.shape == (9, 5)
    torch.testing.assert_close(points[0], start)
    torch.testing.assert_close(points[-1], end)


def test_a_linear_path_has_equal_steps():
    """With nine points, each step is an eighth of the way."""
    start, end = draws(2, 5)
    steps = linear(start, end, 9).diff(dim=0)
    torch.testing.assert_close(steps, ((end - start) / 8).expand(8, -1))


@pytest.mark.parametrize("lengths", [(1.0, 1.0), (0.5, 3.0)])
def test_a_spherical_path_keeps_its_length_and_turns_by_equal_angles(lengths):
    """Between ends of unequal length, it is only checked that no point is shorter than both."""
    ends = torch.nn.functional.normalize(draws(2, 5), dim=1) * torch.tensor(lengths).unsqueeze(1)
    points = spherical(ends[0], ends[1], 9)
    norms = points.norm(dim=1)
    if lengths[0] == lengths[1]:
        torch.testing.assert_close(norms, torch.full((9,), lengths[0]))
        angles = torch.nn.functional.cosine_similarity(points[1:], points[:-1]).arccos()
        torch.testing.assert_close(angles, angles[:1].expand(8), atol=1e-3, rtol=1e-3)
    assert (norms >= min(lengths) - 1e-5).all()


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_a_spherical_path_without_a_defined_arc_is_straight(factor):
    """The ends have the same direction, or opposite ones."""
    start = draws(5)
    points = spherical(start, factor * start, 5)
    assert points.isfinite().all()
    torch.testing.assert_close(points, linear(start, factor * start, 5))


def test_a_single_step_and_an_unknown_path_are_refused(vae):
    """The messages say what was expected."""
    with pytest.raises(ConfigError, match=r"interpolate\.steps = 1 does not fit"):
        vae.interpolate("a man", "two dogs", steps=1)
    with pytest.raises(
        ConfigError, match="path = 'spheric' does not fit: did you mean 'spherical'"
    ):
        vae.interpolate("a man", "two dogs", path="spheric")


@pytest.fixture(scope="module")
def ring():
    """Points on a half circle from (-1, 0) over (0, 1) to (1, 0), and their density."""
    angle = torch.linspace(0, torch.pi, 200)
    points = torch.stack([-angle.cos(), angle.sin()], dim=1)
    return points, KernelDensity.fit(points + 0.05 * draws(200, 2))


def test_a_density_path_goes_around_a_region_without_points(ring):
    """Its ends are fixed, its points evenly spaced, and its density above the straight path's."""
    points, density = ring
    path = density_path(points[0], points[-1], 9, density)
    torch.testing.assert_close(path[[0, -1]], points[[0, -1]])
    distances = path.diff(dim=0).norm(dim=1)
    torch.testing.assert_close(distances, distances.mean().expand(8), rtol=0.1, atol=0)
    straight = linear(points[0], points[-1], 9)
    assert density.log_prob(path)[1:-1].mean() > density.log_prob(straight)[1:-1].mean() + 1
    assert path[4, 1] > 0.5


def test_a_large_length_penalty_makes_a_density_path_straight(ring):
    """Between equal ends, all points of the path are equal."""
    points, density = ring
    path = density_path(points[0], points[-1], 5, density, length_penalty=1e6)
    torch.testing.assert_close(path, linear(points[0], points[-1], 5), atol=0.1, rtol=0)
    torch.testing.assert_close(
        density_path(points[3], points[3], 4, density), points[3].expand(4, 2)
    )


def test_kernels_do_not_depend_on_the_scale_of_the_latent():
    """The density of a scaled latent is the same; more points give narrower kernels."""
    points = draws(300, 3)
    z = draws(5, 3, seed=1)
    expected = KernelDensity.fit(points).log_prob(z)
    scaled = KernelDensity.fit(2 * points).log_prob(2 * z)
    torch.testing.assert_close(expected, scaled, atol=1e-3, rtol=1e-3)
    assert select_kernel_width(draws(2000, 3)) <= select_kernel_width(draws(40, 3))


def test_a_density_of_one_dimension_is_that_of_a_line_in_two():
    """The line lies along the first of two axes, so that the second one has no variance."""
    points = draws(200, 1)
    z = draws(5, 1, seed=1)
    in_plane = KernelDensity.fit(torch.cat([points, torch.zeros(200, 1)], dim=1))
    expected = in_plane.log_prob(torch.cat([z, torch.zeros(5, 1)], dim=1))
    torch.testing.assert_close(KernelDensity.fit(points).log_prob(z), expected)


@pytest.mark.parametrize("path", ["linear", "spherical", "density"])
def test_a_latent_of_one_dimension_has_every_path(path):
    """The first and last texts are the reconstructions of the sentences."""
    vae = tiny_vae(latent=1)
    reference = MANY if path == "density" else None
    texts = vae.interpolate(*SENTENCES[:2], steps=5, path=path, reference=reference)
    assert [texts[0], texts[-1]] == vae.decode(vae.encode(SENTENCES[:2]))


def test_points_along_a_line_are_evenly_spaced():
    """The positions of the knots do not matter, and the ends of the line are included."""
    knots = torch.tensor([[0.0, 0], [1, 0], [1, 3]])
    torch.testing.assert_close(
        space_evenly(knots, 5), torch.tensor([[0.0, 0], [1, 0], [1, 1], [1, 2], [1, 3]])
    )


@pytest.mark.parametrize("writer", DECODER_SETTINGS)
def test_a_density_path_of_sentences_has_their_ends(writer):
    """Reference sentences have unequal lengths; the result is the same every time."""
    vae = tiny_vae(writer)
    first, second = SENTENCES[:2]
    texts = vae.interpolate(first, second, steps=5, path="density", reference=MANY)
    assert texts == vae.interpolate(first, second, steps=5, path="density", reference=MANY)
    assert [texts[0], texts[-1]] == vae.decode(vae.encode(SENTENCES[:2]))


def test_a_density_path_without_enough_reference_sentences_is_refused(vae):
    """A model without a folder has no sentences by default; too few of them are refused."""
    with pytest.raises(ConfigError, match=r"not loaded from a folder.* give sentences like those"):
        vae.interpolate("a man", "two dogs", path="density")
    for few in (SENTENCES, []):
        with pytest.raises(
            DataError, match=f"got {len(few)} different reference sentences, .* give 8 or more"
        ):
            vae.interpolate("a man", "two dogs", path="density", reference=few)


@pytest.mark.parametrize("path", PATHS)
def test_a_reference_for_a_path_that_does_not_follow_one_is_refused(vae, path):
    """The message says which path it is for."""
    with pytest.raises(ConfigError, match=f"no effect with path = '{path}'.*path = 'density'"):
        vae.interpolate("a man", "two dogs", path=path, reference=MANY)


def test_a_spherical_path_turns_about_the_mean_of_the_prior():
    """All points have the same distance to it if the ends have."""
    center = draws(LATENT, seed=4) * 3
    ends = torch.nn.functional.normalize(draws(2, LATENT)) + center
    points = spherical(ends[0], ends[1], 5, center)
    torch.testing.assert_close((points - center).norm(dim=1), torch.ones(5))
    torch.testing.assert_close(points[[0, -1]], ends)


def test_a_conditional_model_s_spherical_path_uses_the_mean_of_the_label():
    """The mean of the fixed label's prior is the center of the arc."""
    vae = tiny_vae(labels={"good": 3, "bad": 1}).with_label("bad")
    path = build_path(vae.bundle, "spherical", None)
    ends = draws(2, vae.latent_dim)
    center = vae.model.prior.mean[1].detach()
    expected = spherical(ends[0], ends[1], 4, center)
    torch.testing.assert_close(path(ends[0], ends[1], 4), expected)


@pytest.mark.parametrize("path", ["linear", "spherical", "density"])
def test_a_path_through_several_sentences_consists_of_paths_between_two(vae, path):
    """A sentence in the middle appears once; each segment has as many steps as a single path."""
    options = {"steps": 4, "path": path, "reference": MANY[:20] if path == "density" else None}
    texts = SENTENCES[:3]
    first = vae.interpolate(texts[0], texts[1], **options)
    second = vae.interpolate(texts[1], texts[2], **options)
    assert vae.interpolate(*texts, **options) == [*first, *second[1:]]


def test_a_sentence_that_is_blank_or_no_text_is_refused_wherever_it_is(lstm):
    """The message says which one."""
    with pytest.raises(DataError, match="sentence 4 is 3"):
        lstm.interpolate("a man", "a dog", "a horse", 3)
    with pytest.raises(DataError, match="blank"):
        lstm.interpolate("a man", "a dog", " ")


def test_copies_among_the_reference_do_not_change_a_density_path(lstm):
    """A copy would be a neighbor at no distance, and make the kernels too narrow."""
    reference = [f"{text} {word}" for text in SENTENCES for word in ("man", "old", "park")]
    paths = [
        lstm.interpolate(*SENTENCES[:2], steps=4, path="density", reference=reference * copies)
        for copies in (1, 3)
    ]
    assert paths[0] == paths[1]
