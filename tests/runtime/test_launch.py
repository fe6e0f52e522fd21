"""The variables of a launcher: who speaks, and which leftovers are refused."""

import pytest

from textvae.errors import ConfigError
from textvae.runtime.launch import check_launch, has_several_processes, is_first_process

NAMES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
COMPLETE = dict(zip(NAMES, ("2", "1", "1", "localhost", "29500"), strict=True))


@pytest.fixture
def launch(monkeypatch):
    """A function that sets the variables of a launch, and no others."""

    def set_variables(**variables: str) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    "variables", [{}, {"RANK": "1"}, {"RANK": "abc"}, {"RANK": "3", "WORLD_SIZE": "1"}]
)
def test_a_single_process_is_the_first_whatever_its_rank(launch, variables):
    """A rank that is left over from another job silences nobody."""
    launch(**variables)
    assert not has_several_processes()
    assert is_first_process()


def test_of_several_processes_only_rank_zero_is_the_first(launch):
    """They all find the same errors, and one of them reports these."""
    launch(**COMPLETE)
    assert has_several_processes()
    assert not is_first_process()
    launch(**{**COMPLETE, "RANK": "0"})
    assert is_first_process()


@pytest.mark.parametrize("variables", [{}, COMPLETE, {"RANK": "1"}, {"WORLD_SIZE": "1"}], ids=str)
def test_a_complete_launch_and_a_single_process_are_accepted(launch, variables):
    """The libraries can read these variables."""
    launch(**variables)
    check_launch()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE = 'two'; expected a number"),
        ({"RANK": "-1"}, "RANK = '-1'; expected a number"),
        ({"WORLD_SIZE": "2"}, "RANK is not set"),
        ({"LOCAL_RANK": "0"}, "WORLD_SIZE is not set"),
        ({**COMPLETE, "RANK": "2"}, "expected a RANK from 0 to 1"),
        ({**COMPLETE, "MASTER_PORT": "http"}, "MASTER_PORT = 'http'"),
        ({name: COMPLETE[name] for name in NAMES if name != "MASTER_ADDR"}, "MASTER_ADDR is not"),
    ],
    ids=str,
)
def test_incomplete_variables_are_refused_with_advice(launch, variables, words):
    """The libraries would fail with errors of their own, or wait for half an hour."""
    launch(**variables)
    with pytest.raises(ConfigError, match="unset WORLD_SIZE, RANK and LOCAL_RANK") as caught:
        check_launch()
    assert words in str(caught.value)
