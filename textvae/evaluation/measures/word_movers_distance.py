"""Word mover's distance: what it costs to move one bag of words onto another (Kusner et al. 2015).

Each word has an equal share of its sentence; moving a share costs the Euclidean distance between the words' vectors.
The transport is exact: shares are moved along shortest ways, undoing earlier moves where that is cheaper, until all
have arrived (successive shortest paths; bags are sentences, so a few dozen ways do).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from textvae.evaluation.measures.word_vectors import WordBag

_MIN_IMPROVEMENT = 1e-12  # a way must be shorter by more than rounding


_Float64Array = NDArray[np.float64]


def word_movers_distance(one: WordBag, other: WordBag) -> float:
    """Return the distance between two bags of words, in the vectors' unit."""
    squared = ((one.vectors[:, None] - other.vectors[None]) ** 2).sum(-1)
    supply, demand = (
        one.counts * other.counts.sum(),
        other.counts * one.counts.sum(),
    )  # whole numbers that agree
    return solve_transport(np.sqrt(squared), supply, demand) / float(supply.sum())


def solve_transport(
    cost: _Float64Array, supply: NDArray[np.int64], demand: NDArray[np.int64]
) -> float:
    """Return the least cost of moving `supply` onto `demand`.

    Shapes:
        cost: (sources, sinks), not negative
        supply, demand: (sources,), (sinks,), whole, with equal sums
    """
    flow, supply, demand = np.zeros(cost.shape, dtype=np.int64), supply.copy(), demand.copy()
    while supply.any():
        steps = _find_shortest_path(cost, flow, supply, demand)
        start, end = steps[0][0], steps[-1][1]
        undone = [(source, sink) for (_, sink), (source, _) in pairwise(steps)]
        amount = min(supply[start], demand[end], *(flow[move] for move in undone))
        for move in steps:
            flow[move] += amount
        for move in undone:
            flow[move] -= amount
        supply[start] -= amount
        demand[end] -= amount
    return float((flow * cost).sum())


def _find_shortest_path(
    cost: _Float64Array,
    flow: NDArray[np.int64],
    supply: NDArray[np.int64],
    demand: NDArray[np.int64],
) -> list[tuple[int, int]]:
    """Return the moves of the cheapest way from what is left to where it is wanted; between two, one is undone."""
    at_source, back = np.where(supply > 0, 0.0, np.inf), np.full(len(supply), -1)
    at_sink, via = (
        np.full(len(demand), np.inf),
        np.full(len(demand), -1),
    )  # back, via: whence each is reached
    is_settled = False
    while not is_settled:
        at_sink, via, _ = _relax_distances(at_source[:, None] + cost, at_sink, via)
        undo = np.where(flow > 0, at_sink[None] - cost, np.inf)
        at_source, back, is_settled = _relax_distances(undo.T, at_source, back)
    sink = int(np.where(demand > 0, at_sink, np.inf).argmin())
    steps = [(int(via[sink]), sink)]
    while back[steps[0][0]] >= 0:
        sink = int(back[steps[0][0]])
        steps.insert(0, (int(via[sink]), sink))
    return steps


def _relax_distances(
    reach: _Float64Array, known: _Float64Array, whence: NDArray[np.int64]
) -> tuple[_Float64Array, NDArray[np.int64], bool]:
    """Return the lengths and last steps of the shortest ways, and whether none of `reach` is shorter than was known."""
    is_shorter = reach.min(0) < known - _MIN_IMPROVEMENT
    return (
        np.where(is_shorter, reach.min(0), known),
        np.where(is_shorter, reach.argmin(0), whence),
        not is_shorter.any(),
    )
