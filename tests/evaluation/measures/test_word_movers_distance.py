"""The exact transport against every assignment, and the metric that the word mover's distance is."""

from itertools import permutations

import numpy as np
import pytest

from textvae.evaluation.measures.word_movers_distance import solve_transport, word_movers_distance
from textvae.evaluation.measures.word_vectors import WordBag


def bag(random, words, size=3, most=3):
    """Return a bag of random words; few different vectors, so that ties are many."""
    vectors = random.integers(0, 3, (words, size)).astype(float)
    return WordBag(vectors, random.integers(1, most + 1, words))


@pytest.mark.parametrize("seed", range(8))
def test_the_transport_is_the_cheapest_of_all_assignments(seed):
    """Every unit of supply stands alone, and every way to deal them out is tried; costs with and without ties."""
    random = np.random.default_rng(seed)
    supply, demand = random.multinomial(6, [1 / 3] * 3), random.multinomial(6, [1 / 4] * 4)
    cost = random.integers(0, 4, (3, 4)).astype(float) if seed % 2 else random.random((3, 4))
    ones, others = np.repeat(np.arange(3), supply), np.repeat(np.arange(4), demand)
    cheapest = min(cost[ones, list(order)].sum() for order in set(permutations(others.tolist())))
    assert solve_transport(cost, supply, demand) == pytest.approx(cheapest)


def test_large_bags_end_and_come_to_no_less_than_the_relaxed_bound():
    """Each word moved to its nearest, whoever else goes there, costs no more; an even spread costs no less."""
    random = np.random.default_rng(0)
    one, other = bag(random, 30), bag(random, 40)
    cost = np.sqrt(((one.vectors[:, None] - other.vectors[None]) ** 2).sum(-1))
    share = [of.counts / of.counts.sum() for of in (one, other)]
    relaxed = max((cost.min(1) * share[0]).sum(), (cost.min(0) * share[1]).sum())
    assert relaxed - 1e-9 <= word_movers_distance(one, other) <= share[0] @ cost @ share[1] + 1e-9


def test_the_distance_is_a_metric():
    """0 from a bag to itself in whatever proportion it is repeated, symmetric, and no detour is shorter."""
    random = np.random.default_rng(1)
    for _ in range(10):
        a, b, c = (bag(random, random.integers(1, 6)) for _ in range(3))
        assert word_movers_distance(a, WordBag(a.vectors, 2 * a.counts)) == pytest.approx(
            0, abs=1e-12
        )
        assert word_movers_distance(a, b) == pytest.approx(word_movers_distance(b, a))
        assert (
            word_movers_distance(a, c)
            <= word_movers_distance(a, b) + word_movers_distance(b, c) + 1e-12
        )
