"""The exact transport against all assignments, and the word mover's distance as a metric."""

from itertools import permutations

import numpy as np
import pytest

from textvae.evaluation.measures.word_movers_distance import solve_transport, word_movers_distance
from textvae.evaluation.measures.word_vectors import WordBag


def make_bag(random, words, size=3, max_count=3):
    """Return a bag of random words; there are few different vectors, so that ties are common."""
    vectors = random.integers(0, 3, (words, size)).astype(float)
    return WordBag(vectors, random.integers(1, max_count + 1, words))


@pytest.mark.parametrize("seed", range(8))
def test_the_transport_is_the_cheapest_of_all_assignments(seed):
    """All assignments of single units are tried, for costs with and without ties."""
    random = np.random.default_rng(seed)
    supply = random.multinomial(6, [1 / 3] * 3)
    demand = random.multinomial(6, [1 / 4] * 4)
    cost = random.integers(0, 4, (3, 4)).astype(float) if seed % 2 else random.random((3, 4))
    sources = np.repeat(np.arange(3), supply)
    sinks = np.repeat(np.arange(4), demand).tolist()
    cheapest = min(cost[sources, list(order)].sum() for order in set(permutations(sinks)))
    assert solve_transport(cost, supply, demand) == pytest.approx(cheapest)


def test_the_distance_of_large_bags_is_between_two_bounds():
    """Moving each word to its nearest one is a lower bound, an even spread an upper bound."""
    random = np.random.default_rng(0)
    one = make_bag(random, 30)
    other = make_bag(random, 40)
    cost = np.sqrt(((one.vectors[:, None] - other.vectors[None]) ** 2).sum(-1))
    share = one.counts / one.counts.sum()
    other_share = other.counts / other.counts.sum()
    lower = max((cost.min(1) * share).sum(), (cost.min(0) * other_share).sum())
    upper = share @ cost @ other_share
    assert lower - 1e-9 <= word_movers_distance(one, other) <= upper + 1e-9


def test_the_distance_is_a_metric():
    """It is 0 for equal proportions, symmetric, and obeys the triangle inequality."""
    random = np.random.default_rng(1)
    for _ in range(10):
        a, b, c = (make_bag(random, random.integers(1, 6)) for _ in range(3))
        doubled = WordBag(a.vectors, 2 * a.counts)
        assert word_movers_distance(a, doubled) == pytest.approx(0, abs=1e-12)
        assert word_movers_distance(a, b) == pytest.approx(word_movers_distance(b, a))
        detour = word_movers_distance(a, b) + word_movers_distance(b, c)
        assert word_movers_distance(a, c) <= detour + 1e-12
