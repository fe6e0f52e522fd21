"""MIG, SAP and DCI: known values for perfect codes, for noise, and for rotated codes."""

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
STANDARD_SIZE = (SIZE - SIZE.mean()) / SIZE.std()
PERFECT = np.stack([NOISE[:, 0], TOPIC, NOISE[:, 1], STANDARD_SIZE], 1).astype(np.float32)


def overall(z, factors=FACTORS):
    """Return the record of the scores of all factors together."""
    return score_factors(z, factors)[-1]


def test_a_perfectly_factorized_code_scores_one():
    """It has one dimension per factor, for classes and for numbers, and dimensions of noise."""
    topic, size, overall_scores = score_factors(PERFECT, FACTORS)
    assert topic["factor"] == "topic"
    assert topic["best_dimension"] == 1
    assert size["best_dimension"] == 3
    # Three classes on a line are separated by their margins, each from the others.
    assert topic["best"] == 1
    tolerances = {"mig": 0.05, "sap": 0.08, "completeness": 0.01, "disentanglement": 0.01}
    for key, tolerance in tolerances.items():
        assert overall_scores[key] == pytest.approx(1, abs=tolerance), key
    assert overall_scores["informativeness"] == pytest.approx(1, abs=0.01)


def test_noise_scores_nearly_zero():
    """Its dimensions are independent of the factors."""
    scores = overall(NOISE)
    for key in ("mig", "sap", "completeness", "disentanglement"):
        assert scores[key] == pytest.approx(0, abs=0.06), key
    assert scores["informativeness"] < 0.1


def test_rotating_a_perfect_code_lowers_every_score_but_informativeness():
    """After 45 degrees, both dimensions are equally informative about each factor."""
    code = PERFECT[:, [1, 3]].copy()
    code[:, 0] -= code[:, 0].mean()
    rotated_code = (code @ np.array([[1, -1], [1, 1]]) / np.sqrt(2)).astype(np.float32)
    original = overall(code)
    rotated = overall(rotated_code)
    for key in ("mig", "sap", "completeness", "disentanglement"):
        assert rotated[key] < original[key] - 0.3, key
    assert rotated["informativeness"] > 0.8


def test_the_information_of_a_copy_is_the_entropy():
    """The normalized information is 1 for monotone functions of the factor, 0 for a constant."""
    z = np.stack([TOPIC, np.exp(TOPIC), -TOPIC, np.zeros(N)], 1).astype(np.float32)
    np.testing.assert_allclose(normalized_information(z, FACTORS[0]), [1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(
        normalized_information(SIZE[:, None].astype(np.float32), FACTORS[1]), [1], atol=1e-6
    )
    np.testing.assert_allclose(single_dimension_skills(z[:, 3:], FACTORS[0]), [0], atol=1e-6)
    np.testing.assert_allclose(single_dimension_skills(z[:, 3:], FACTORS[1]), [0], atol=1e-6)


def test_scores_do_not_depend_on_the_order_of_the_dimensions():
    """Importances are reordered with the dimensions."""
    order = [2, 0, 3, 1]
    record, importances = score_factor(PERFECT, FACTORS[0])
    reordered, reordered_importances = score_factor(PERFECT[:, order], FACTORS[0])
    assert order[reordered["best_dimension"]] == record["best_dimension"]
    for key in ("mig", "sap"):
        assert record[key] == pytest.approx(reordered[key])
    np.testing.assert_allclose(reordered_importances, importances[order], atol=0.01)


def test_classes_named_by_digits_and_few_texts_are_scored():
    """A few texts per class suffice; scores are finite even for a constant latent."""
    column = PropertyColumn("topic", np.array(["10", "9", "8", "7", "6"] * 4), False)
    for z in (NOISE[:20], np.zeros((20, 3), dtype=np.float32)):
        for record in score_factors(z, [column, column]):
            numbers = [value for key, value in record.items() if key != "factor"]
            assert np.isfinite(numbers).all()


def test_concentration_gap_and_disentanglement_follow_their_formulas():
    """Known values for weights on one entry, on all, and on half of four entries."""
    assert concentration(np.array([0.0, 1, 0])) == pytest.approx(1)
    assert concentration(np.ones(5)) == pytest.approx(0)
    assert concentration(np.array([1.0, 1, 0, 0])) == pytest.approx(0.5)
    assert concentration(np.array([3.0])) == 1
    assert concentration(np.zeros(3)) == 0
    assert gap_to_second(np.array([0.2, 0.9, 0.5])) == pytest.approx(0.4)
    assert gap_to_second(np.array([0.7])) == pytest.approx(0.7)
    assert disentanglement(np.array([[1.0, 0], [0, 1], [0, 0]])) == pytest.approx(1)
    assert disentanglement(np.array([[3.0, 0], [0.5, 0.5]])) == pytest.approx(0.75)
    assert disentanglement(np.ones((4, 1))) is None


def test_quantile_groups_have_about_equal_size_and_share_equal_values():
    """Numbers are grouped where they have many values; classes are not."""
    sizes = np.bincount(group_by_quantile(np.arange(100), 20))
    assert sizes.tolist() == pytest.approx([5] * 20, abs=1)
    two_values = np.array([0] * 97 + [1, 1, 1])
    groups = group_by_quantile(two_values, 20)
    assert len(set(zip(two_values, groups, strict=True))) == 2
    assert PropertyColumn("size", np.arange(30.0), True).to_classes(10).max() == 9
    kinds = PropertyColumn("kind", np.array(list("abca")), False)
    assert kinds.to_classes(2).tolist() == [0, 1, 2, 0]


def test_a_number_that_is_nearly_always_its_maximum_is_cut_into_two_groups():
    """All quantiles are the maximum; a text has it or not, and no score is NaN."""
    values = np.full(N, 100.0)
    values[:40] = np.arange(40)
    column = PropertyColumn("rating", values, True)
    assert np.array_equal(column.to_classes(10), values == 100)
    is_largest = (values == 100).astype(np.float32)
    code = np.stack([NOISE[:, 0], is_largest + 0.01 * NOISE[:, 1]], 1)
    record, overall_scores = score_factors(code, [column])
    assert record["best_dimension"] == 1
    assert 0.5 < record["mig"] <= 1
    assert np.isfinite([overall_scores[key] for key in ("mig", "sap", "informativeness")]).all()


def test_a_factor_that_never_varies_has_no_information():
    """Its entropy is 0, by which nothing can be divided."""
    column = PropertyColumn("rating", np.full(N, 3.0), True)
    assert normalized_information(NOISE, column).tolist() == [0, 0, 0, 0]
