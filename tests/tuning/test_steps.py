"""Small steps in the search space: they stay in it, change something, and find better settings."""

from typing import Any

import numpy as np
import pytest

from textvae.tuning.space import Parameter
from textvae.tuning.steps import take_step

SPACE = {
    parameter.key: parameter
    for parameter in (
        Parameter("dropout", 0.0, 0.4),
        Parameter("rate", 1e-3, 1e-1, is_log=True),
        Parameter("hidden", 128, 512, is_integer=True, step=32),
        Parameter("batch", 256, 2048, is_integer=True, is_log=True),
        Parameter("bag", choices=("off", "{}")),
        Parameter("one", choices=("a",)),
    )
}
START: dict[str, Any] = {
    "dropout": 0.2,
    "rate": 5e-3,
    "hidden": 256,
    "batch": 512,
    "bag": "off",
    "one": "a",
}


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_of_steps_stays_in_the_space_and_reaches_both_ends_of_it(seed):
    """Each step changes one to three settings."""
    random = np.random.default_rng(seed)
    values = dict(START)
    seen: list[dict[str, Any]] = []
    for _ in range(400):
        moved = take_step(values, SPACE, random)
        assert moved.keys() == SPACE.keys()
        assert all(SPACE[key].contains(value) for key, value in moved.items())
        assert sum(moved[key] != values[key] for key in SPACE) <= 3
        values = moved
        seen.append(moved)
    assert {entry["bag"] for entry in seen} == {"off", "{}"}
    for key in ("dropout", "rate", "hidden", "batch"):
        low, high = SPACE[key].low, SPACE[key].high
        assert min(entry[key] for entry in seen) < low + 0.1 * (high - low)
        assert max(entry[key] for entry in seen) > high - 0.3 * (high - low)


def test_a_whole_number_is_moved_by_one_step_at_least():
    """Otherwise a trial could repeat the one before it."""
    random = np.random.default_rng(0)
    space = {"hidden": SPACE["hidden"]}
    assert all(take_step({"hidden": 256}, space, random)["hidden"] != 256 for _ in range(100))


def test_few_steps_from_the_best_find_what_draws_at_random_do_not():
    """A dozen settings, each best a little beside its start: ten trials, mean of twenty searches."""
    space = {f"s{place}": Parameter(f"s{place}", 0.0, 1.0) for place in range(12)}

    def score(values: dict[str, Any]) -> Any:
        return sum((value - 0.6) ** 2 for value in values.values())

    start: dict[str, Any] = dict.fromkeys(space, 0.5)
    by_steps, at_random = [], []
    for seed in range(20):
        random = np.random.default_rng(seed)
        best = start
        for _ in range(10):
            best = min(best, take_step(best, space, random), key=score)
        by_steps.append(score(best))
        drawn = [dict(zip(space, random.random(12).tolist(), strict=True)) for _ in range(10)]
        at_random.append(min(map(score, [start, *drawn])))
    assert np.mean(at_random) == pytest.approx(score(start))  # no gain at all
    assert np.mean(by_steps) < 0.95 * score(start)
