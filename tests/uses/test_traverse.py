"""Traversals: one coordinate of the latent moves, the others stay fixed."""

import math
from typing import Any

import pytest

from tests.tiny import DECODER_SETTINGS, SENTENCES, tiny_vae
from textvae.errors import ConfigError, DataError
from textvae.inference.encode import posterior
from textvae.model.posteriors import DiagonalGaussian


@pytest.fixture(scope="module", params=DECODER_SETTINGS)
def vae(request):
    return tiny_vae(request.param)


def test_a_traversal_is_decoding_with_one_coordinate_moved(vae):
    """Step 0 is the reconstruction, and each text is decoded from the reported coordinate."""
    rows = vae.traverse(SENTENCES[2], 1, steps=5, reach=2, reference=SENTENCES)
    assert [row["value"] for row in rows] == [-2, -1, 0, 1, 2]
    assert rows[2]["text"] == vae.reconstruct(SENTENCES[2])[0]
    z = vae.encode(SENTENCES[2]).repeat(5, 0)
    z[:, 1] = [row["coordinate"] for row in rows]
    assert [row["text"] for row in rows] == vae.decode(z)
    assert rows == vae.traverse(SENTENCES[2], 1, values=[-2, -1, 0, 1, 2], reference=SENTENCES)


def test_a_step_is_a_deviation_of_the_aggregate_posterior_or_of_the_prior(vae):
    """The aggregate variance is the variance of the means plus the mean of the variances."""
    reference = SENTENCES * 60
    q = posterior(vae.bundle, reference).map(lambda value: value[:, :3])
    assert isinstance(q, DiagonalGaussian)
    expected = (q.mean.var(0) + q.logvar.exp().mean(0)).sqrt()
    for dimension in (0, 2):
        low, high = vae.traverse("two dogs run .", dimension, values=(0, 1), reference=reference)
        step = high["coordinate"] - low["coordinate"]
        assert step == pytest.approx(float(expected[dimension]), rel=0.15)
        low, high = vae.traverse("two dogs run .", dimension, values=(0, 1), unit="prior")
        assert high["coordinate"] - low["coordinate"] == pytest.approx(1, abs=0.03)


BAD: dict[str, tuple[tuple[int, ...], dict[str, Any], type[Exception], str]] = {
    "no such dimension": (
        (4,),
        {},
        ConfigError,
        "dimension = 4: this model has 4, counted from 0; choose 0 to 3",
    ),
    "below 0": ((-1,), {}, ConfigError, "dimension = -1: expected a whole number, 0 or more"),
    "one step": ((0,), {"steps": 1}, ConfigError, "traverse.steps = 1"),
    "no reach": ((0,), {"reach": 0}, ConfigError, "traverse.reach = 0"),
    "no value": ((0,), {"values": []}, ConfigError, "traverse.values"),
    "a value that is NaN": (
        (0,),
        {"values": [0, float("nan")]},
        ConfigError,
        "should be a finite number",
    ),
    "a value out of reach": (
        (0,),
        {"values": [1e39], "unit": "prior"},
        ConfigError,
        r"traverse\.values\.0 = 1e\+39 does not fit: .* less than or equal to 100",
    ),
    "a value below reach": (
        (0,),
        {"values": [0, -101]},
        ConfigError,
        r"traverse\.values\.1 = -101 does not fit: .* greater than or equal to -100",
    ),
    "steps next to values": (
        (0,),
        {"values": [1], "steps": 7},
        ConfigError,
        r"traverse\.steps = 7 has no effect with values",
    ),
    "a reach next to values": (
        (0,),
        {"values": [1], "reach": 2},
        ConfigError,
        r"traverse\.reach = 2\.0 has no effect with values",
    ),
    "a reference of the prior": (
        (0,),
        {"unit": "prior", "reference": SENTENCES},
        ConfigError,
        "reference has no effect with unit = 'prior'.*unit = 'aggregate'",
    ),
    "an unknown unit": ((0,), {"unit": "mile"}, ConfigError, "traverse.unit = 'mile'"),
    "a lone reference": (
        (0,),
        {"reference": ["a man"]},
        DataError,
        "got 1 reference sentences, too few",
    ),
    "no reference": ((0,), {}, ConfigError, "this model was not loaded from a folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_traversal_with_wrong_arguments_is_refused(case):
    """The message says what came and what was expected."""
    arguments, options, error, message = BAD[case]
    with pytest.raises(error, match=message):
        tiny_vae().traverse("a man", *arguments, **options)


def test_values_of_none_are_evenly_spaced_steps(vae):
    """So `steps` and `reach` may be named next to it."""
    rows = vae.traverse(SENTENCES[0], 0, unit="prior", steps=3, reach=100, values=None)
    assert [row["value"] for row in rows] == [-100, 0, 100]
    assert all(math.isfinite(row["coordinate"]) for row in rows)
