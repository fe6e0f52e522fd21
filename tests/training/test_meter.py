"""The meter counts the time of steps, and that of evaluations and checkpoints separately."""

import time

import pytest

from textvae.runtime.processes import SINGLE_PROCESS
from textvae.training.meter import Meter


def test_a_pause_does_not_count_as_time_of_steps():
    """Its time is added up under its reason, and a restored meter goes on with it."""
    meter = Meter(SINGLE_PROCESS)
    with meter.pause("evaluation"):
        time.sleep(0.05)
        inside = meter.state_dict()
    state = meter.state_dict()
    assert inside["seconds"] < 0.05
    assert state["seconds"] < 0.05 <= state["paused_seconds"]["evaluation"]
    assert state["paused_seconds"]["saving"] == 0.0
    restored = Meter(SINGLE_PROCESS)
    restored.load_state_dict(state)
    assert restored.seconds == meter.seconds


def test_an_error_in_a_pause_starts_the_clock_again():
    """Otherwise the next log would have an infinite speed."""
    meter = Meter(SINGLE_PROCESS)
    with pytest.raises(ValueError, match="stop"), meter.pause("saving"):
        raise ValueError("stop")
    assert meter.pause_start is None
