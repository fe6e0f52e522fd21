"""Small steps in the search space: what the first trials after the start try.

A dozen settings that are all drawn at random nearly always give a worse model than the
default recipe. So a short search changes a few settings of the best trial so far, as an
evolution strategy with one parent does (Rechenberg 1973).
"""

import math
from collections.abc import Mapping

import numpy as np

from textvae.tuning.space import Parameter, Value

_MOST_CHANGES = 3  # settings in a step
_SPREAD = 0.2  # standard deviation of a change, as a share of the range


def take_step(
    values: Mapping[str, Value], space: Mapping[str, Parameter], random: np.random.Generator
) -> dict[str, Value]:
    """Return values of which one to three are changed, within their ranges.

    Args:
        values: one for each parameter of the space.
    """
    count = int(random.integers(1, min(_MOST_CHANGES, len(space)) + 1))
    chosen = random.choice(sorted(space), count, replace=False).tolist()
    return {**values, **{key: _move(space[key], values[key], random) for key in chosen}}


def _move(parameter: Parameter, value: Value, random: np.random.Generator) -> Value:
    """Return another value of a parameter: another choice, or a number nearby."""
    if isinstance(value, str):
        others = [choice for choice in parameter.choices if choice != value]
        return others[int(random.integers(len(others)))] if others else value
    scale, inverse = (math.log, math.exp) if parameter.is_log else (float, float)
    low, high = scale(parameter.low), scale(parameter.high)
    change = abs(random.normal(0, _SPREAD * (high - low)))
    if parameter.is_integer and not parameter.is_log:
        change = max(change, parameter.step)
    place = scale(value)
    if place + change > high or (
        place - change >= low and random.integers(2)
    ):  # there is no room above it
        change = -change
    moved = min(max(inverse(place + change), parameter.low), parameter.high)
    if not parameter.is_integer:
        return moved
    step = 1 if parameter.is_log else parameter.step
    return int(parameter.low + round((moved - parameter.low) / step) * step)
