"""Word mover's distance: the cost of moving one bag of words onto another (Kusner et al. 2015).

Each word has an equal share of its sentence. Moving a share from one word to another
costs the Euclidean distance between their vectors. The transport is exact, by
successive shortest paths: shares move along the cheapest path that is left, which may
undo earlier moves, until all have arrived. Bags are sentences, so a few dozen paths
are enough.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from textvae.evaluation.measures.word_vectors import WordBag

# A path must be shorter by more than rounding, or the search could go around in circles.
_MIN_IMPROVEMENT = 1e-12

_Float64Array = NDArray[np.float64]


def word_movers_distance(one: WordBag, other: WordBag) -> float:
    """Return the distance between two bags of words, in the unit of their vectors."""
    squared = ((one.vectors[:, None] - other.vectors[None]) ** 2).sum(-1)
    # Multiplying by the other bag's size makes whole numbers with equal sums, so that the
    # transport can be exact.
    supply = one.counts * other.counts.sum()
    demand = other.counts * one.counts.sum()
    return solve_transport(np.sqrt(squared), supply, demand) / float(supply.sum())


def solve_transport(
    cost: _Float64Array, supply: NDArray[np.int64], demand: NDArray[np.int64]
) -> float:
    """Return the least cost of moving `supply` onto `demand`.

    Shapes:
        cost: (sources, sinks), not negative
        supply, demand: (sources,), (sinks,), whole numbers with equal sums
    """
    flow = np.zeros(cost.shape, dtype=np.int64)
    supply = supply.copy()
    demand = demand.copy()
    while supply.any():
        moves = _find_shortest_path(cost, flow, supply, demand)
        start = moves[0][0]
        end = moves[-1][1]
        # Between two moves, the path goes back from a sink to the source of the next move.
        undone = [(source, sink) for (_, sink), (source, _) in pairwise(moves)]
        amount = min(supply[start], demand[end], *(flow[move] for move in undone))
        for move in moves:
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
    """Return the moves of the cheapest path from open supply to open demand.

    Each move is a (source, sink) pair. Between two moves, the flow from the second
    move's source to the first move's sink is undone.
    """
    # Bellman-Ford, in turn from sources to sinks and back along flow that can be undone,
    # which has a negative cost. Dijkstra's algorithm does not allow negative costs.
    source_distance = np.where(supply > 0, 0.0, np.inf)
    source_predecessor = np.full(len(supply), -1)
    sink_distance = np.full(len(demand), np.inf)
    sink_predecessor = np.full(len(demand), -1)
    is_settled = False
    while not is_settled:
        sink_distance, sink_predecessor, _ = _relax_distances(
            source_distance[:, None] + cost, sink_distance, sink_predecessor
        )
        undo = np.where(flow > 0, sink_distance[None] - cost, np.inf)
        source_distance, source_predecessor, is_settled = _relax_distances(
            undo.T, source_distance, source_predecessor
        )
    sink = int(np.where(demand > 0, sink_distance, np.inf).argmin())
    moves = [(int(sink_predecessor[sink]), sink)]
    while source_predecessor[moves[0][0]] >= 0:
        sink = int(source_predecessor[moves[0][0]])
        moves.insert(0, (int(sink_predecessor[sink]), sink))
    return moves


def _relax_distances(
    candidates: _Float64Array, distances: _Float64Array, predecessors: NDArray[np.int64]
) -> tuple[_Float64Array, NDArray[np.int64], bool]:
    """Return shorter distances with their predecessors, and whether none has become shorter.

    Shapes:
        candidates: (from, to), the distance to each place by way of each other place
        distances, predecessors: (to,)
    """
    is_shorter = candidates.min(0) < distances - _MIN_IMPROVEMENT
    return (
        np.where(is_shorter, candidates.min(0), distances),
        np.where(is_shorter, candidates.argmin(0), predecessors),
        not is_shorter.any(),
    )
