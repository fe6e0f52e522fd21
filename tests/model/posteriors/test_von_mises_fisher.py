"""Bessel functions and densities on the sphere, against closed forms, recurrences and torch."""

import math

import pytest
import torch

from textvae.model.posteriors.von_mises_fisher import (
    kl_to_uniform,
    log_bessel,
    log_normalizer,
    log_sphere_area,
)


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0, 20.0, 80.0, 600.0])
def test_bessel_functions_of_order_0_and_1_equal_those_of_torch(x):
    """The functions of torch are scaled by exp(-x)."""
    value = torch.tensor(x, dtype=torch.float64)
    assert log_bessel(0.0, x) == pytest.approx(torch.special.i0e(value).log().item() + x, abs=1e-9)
    assert log_bessel(1.0, x) == pytest.approx(torch.special.i1e(value).log().item() + x, abs=1e-9)


@pytest.mark.parametrize("x", [0.1, 3.0, 700.0, 10_000.0])
def test_the_bessel_function_of_order_one_half_is_a_hyperbolic_sine(x):
    """I_1/2(x) = sqrt(2 / (pi x)) sinh x, even for x so large that exp overflows."""
    exact = 0.5 * math.log(2 / (math.pi * x)) + x + math.log1p(-math.exp(-2 * x)) - math.log(2)
    assert log_bessel(0.5, x) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("order", "x"), [(1.0, 2.0), (15.0, 80.0), (63.5, 80.0), (383.0, 5.0), (383.0, 2000.0)]
)
def test_three_orders_obey_the_recurrence(order, x):
    """I_{v-1} - I_{v+1} = (2 v / x) I_v, even for the orders of large latents."""
    middle = log_bessel(order, x)
    below = math.exp(log_bessel(order - 1, x) - middle)
    above = math.exp(log_bessel(order + 1, x) - middle)
    assert below - above == pytest.approx(2 * order / x, rel=1e-8)


@pytest.mark.parametrize("kappa", [0.1, 2.0, 50.0])
def test_the_density_in_three_dimensions_has_the_known_normalizer(kappa):
    """C = kappa / (4 pi sinh kappa), and the sphere has area 4 pi."""
    normalizer = kappa / (4 * math.pi * math.sinh(kappa))
    assert log_normalizer(kappa, 3) == pytest.approx(math.log(normalizer), abs=1e-9)
    assert log_sphere_area(3) == pytest.approx(math.log(4 * math.pi))


def test_the_kl_to_the_uniform_sphere_grows_from_0_with_the_concentration():
    """Without concentration, the distribution is the uniform one."""
    values = [kl_to_uniform(kappa, 32) for kappa in (1e-3, 1.0, 10.0, 80.0, 1000.0)]
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values == sorted(values)
