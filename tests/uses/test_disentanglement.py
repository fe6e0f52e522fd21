"""MIG, SAP and DCI: closed forms on codes that match factors, that do not, and that are turned."""

import numpy as np
import pytest

from textvae.uses.insight.columns import PropertyColumn, group_by_quantile
from textvae.uses.insight.disentanglement import (
    concentration,
    disentanglement,
    gap_to_second,
    normalized_information,
    score_factor,
    score_factors,
    single_dimension_skills,
)

N = 600
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.normal(size=(N, 4)).astype(np.float32)
TOPIC = RANDOM.integers(3, size=N)
SIZE = RANDOM.permutation(N).astype(np.float64)
FACTORS = [
    PropertyColumn("topic", np.array(["news", "sport", "weather"])[TOPIC], False),
    PropertyColumn("size", SIZE, True),
]
PERFECT = np.stack([NOISE[:, 0], TOPIC, NOISE[:, 1], (SIZE - SIZE.mean()) / SIZE.std()], 1).astype(
    np.float32
)


def of_all(z, factors=FACTORS):
    return score_factors(z, factors)[-1]


def test_a_perfectly_factorised_code_scores_one():
    """A dimension a factor, classes and numbers, beside dimensions of noise."""
    topic, size, whole = score_factors(PERFECT, FACTORS)
    assert (topic["factor"], topic["best_dimension"], size["best_dimension"]) == ("topic", 1, 3)
    assert topic["best"] == 1  # three classes on a line, each against the others, by margins
    for key, near in {
        "mig": 0.05,
        "sap": 0.08,
        "completeness": 0.01,
        "disentanglement": 0.01,
    }.items():
        assert whole[key] == pytest.approx(1, abs=near), key
    assert whole["informativeness"] == pytest.approx(1, abs=0.01)


def test_noise_scores_nearly_nothing():
    """Dimensions that know nothing of the factors."""
    whole = of_all(NOISE)
    for key in ("mig", "sap", "completeness", "disentanglement"):
        assert whole[key] == pytest.approx(0, abs=0.06), key
    assert whole["informativeness"] < 0.1


def test_turning_a_perfect_code_lowers_every_gap():
    """By 45 degrees two dimensions tell as much of a factor as each other; what all tell together stays."""
    turned = PERFECT[:, [1, 3]].copy()
    turned[:, 0] -= turned[:, 0].mean()
    straight = of_all(turned)
    turned = (turned @ np.array([[1, -1], [1, 1]]) / np.sqrt(2)).astype(np.float32)
    bent = of_all(turned)
    for key in ("mig", "sap", "completeness", "disentanglement"):
        assert bent[key] < straight[key] - 0.3, key
    assert bent["informativeness"] > 0.8


def test_the_information_of_a_copy_is_the_entropy():
    """1 of itself, 0 of a constant; it does not change where a coordinate is stretched or turned over."""
    z = np.stack([TOPIC, np.exp(TOPIC), -TOPIC, np.zeros(N)], 1).astype(np.float32)
    np.testing.assert_allclose(normalized_information(z, FACTORS[0]), [1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(normalized_information(SIZE[:, None], FACTORS[1]), [1], atol=1e-6)
    np.testing.assert_allclose(single_dimension_skills(z[:, 3:], FACTORS[0]), [0], atol=1e-6)
    np.testing.assert_allclose(single_dimension_skills(z[:, 3:], FACTORS[1]), [0], atol=1e-6)


def test_scores_follow_dimensions_wherever_they_stand():
    """The same dimensions in another order: the same scores, at other places."""
    order = [2, 0, 3, 1]
    (one, weights), (other, moved) = (
        score_factor(z, FACTORS[0]) for z in (PERFECT, PERFECT[:, order])
    )
    assert order[other["best_dimension"]] == one["best_dimension"]
    assert (one["mig"], one["sap"]) == pytest.approx((other["mig"], other["sap"]))
    np.testing.assert_allclose(moved, weights[order], atol=0.01)


def test_classes_named_by_digits_and_few_texts_are_scored_too():
    """Two of each class suffice; where nothing can be told, the scores are there and finite."""
    column = PropertyColumn("topic", np.array(["10", "9", "8", "7", "6"] * 4), False)
    for z in (NOISE[:20], np.zeros((20, 3), dtype=np.float32)):
        assert all(
            np.isfinite(value)
            for row in score_factors(z, [column, column])
            for value in list(row.values())[1:]
        )


def test_concentration_and_gap_are_what_their_formulas_say():
    """Importances of one, of all alike, of half and half among four; and dimensions weighed by importance."""
    assert concentration(np.array([0.0, 1, 0])) == pytest.approx(1)
    assert concentration(np.ones(5)) == pytest.approx(0)
    assert concentration(np.array([1.0, 1, 0, 0])) == pytest.approx(0.5)
    assert concentration(np.array([3.0])) == 1
    assert concentration(np.zeros(3)) == 0
    assert (
        gap_to_second(np.array([0.2, 0.9, 0.5])),
        gap_to_second(np.array([0.7])),
    ) == pytest.approx((0.4, 0.7))
    assert disentanglement(np.array([[1.0, 0], [0, 1], [0, 0]])) == pytest.approx(1)
    assert disentanglement(np.array([[3.0, 0], [0.5, 0.5]])) == pytest.approx(0.75)
    assert disentanglement(np.ones((4, 1))) is None


def test_groups_are_of_like_size_and_equal_values_share_one():
    """Quantiles bound them."""
    assert np.bincount(group_by_quantile(np.arange(100), 20)).tolist() == pytest.approx(
        [5] * 20, abs=1
    )
    few = np.array([0] * 97 + [1, 1, 1])
    assert len(set(zip(few, group_by_quantile(few, 20), strict=True))) == 2
    assert PropertyColumn("size", np.arange(30.0), True).classes(10).max() == 9
    assert PropertyColumn("kind", np.array(list("abca")), False).classes(2).tolist() == [0, 1, 2, 0]
