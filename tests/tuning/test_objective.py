"""The score of a trial: a collapsed model loses, and the front has what nothing dominates."""

import pytest

from textvae.tuning.objective import Bounds, choose_floor, find_front

TARGET = 16.0
# About what the default recipe and a language model reach on captions, in nats per sentence.
USEFUL = Bounds(elbo=-38.0, reconstruction=26.0, kl=12.0)
COLLAPSED = Bounds(elbo=-34.0, reconstruction=33.9, kl=0.1)
NOISY = Bounds(elbo=-46.0, reconstruction=34.0, kl=12.0)  # its KL carries nothing


@pytest.mark.parametrize("has_two_objectives", [False, True], ids=["bound", "front"])
def test_a_collapsed_model_loses_although_its_elbo_is_better(has_two_objectives):
    """Its ELBO alone would win, by 4 nats; in both modes its score is worse, and so is every part."""
    assert COLLAPSED.elbo > USEFUL.elbo
    floor = choose_floor(TARGET, USEFUL.kl, has_two_objectives=has_two_objectives)
    assert COLLAPSED.compute_score(floor) > USEFUL.compute_score(floor) + 9
    collapsed = COLLAPSED.compute_pair(floor)
    assert all(
        worse > better for worse, better in zip(collapsed, USEFUL.compute_pair(floor), strict=True)
    )
    assert COLLAPSED.compute_balance(floor) > USEFUL.compute_balance(floor)


def test_a_kl_that_carries_nothing_loses_too():
    """It is above the floor, but a part of -ELBO."""
    floor = choose_floor(TARGET, USEFUL.kl, has_two_objectives=False)
    assert NOISY.compute_score(floor) > USEFUL.compute_score(floor)


@pytest.mark.parametrize("floor", [1.0, 5.0, 20.0])
def test_no_collapsed_model_wins_against_a_useful_one_at_the_floor(floor):
    """The statement of the module's docstring: whatever the reconstruction of both is."""
    for collapsed in (20.0, 100.0):
        for useful in (collapsed - 1e-6, collapsed / 2):
            loser = Bounds(-collapsed, collapsed, 0.0).compute_score(floor)
            winner = Bounds(-useful - floor, useful, floor).compute_score(floor)
            assert loser > winner + 8.9 * floor


def test_the_floor_follows_the_first_trial_but_not_into_a_collapse():
    """Half of the target counts if the first trial has collapsed, has not ended, or with a front."""
    assert choose_floor(TARGET, 12.0, has_two_objectives=False) == pytest.approx(11.4)
    assert choose_floor(TARGET, 0.1, has_two_objectives=False) == 8
    assert choose_floor(TARGET, None, has_two_objectives=False) == 8
    assert choose_floor(TARGET, 12.0, has_two_objectives=True) == 8


def test_the_score_of_a_model_above_the_floor_is_its_bound():
    """The penalty is 10 nats per missing nat, in both objectives."""
    assert USEFUL.compute_score(11) == 38
    assert USEFUL.compute_score(12.5) == 38 + 5
    assert USEFUL.compute_pair(12.5) == (38 + 5, 26 + 5)


def test_the_front_has_exactly_what_nothing_dominates():
    """Compared with the definition, on a grid with equal values."""
    pairs = [(float(x), float(x * 7 % 5)) for x in range(8) for _ in range(2)]
    front = find_front(pairs)
    for index, pair in enumerate(pairs):
        is_dominated = any(
            other != pair and other[0] <= pair[0] and other[1] <= pair[1] for other in pairs
        )
        assert any(pairs[member] == pair for member in front) == (not is_dominated)
        assert (index in front) <= (not is_dominated)
    assert find_front([]) == []
    assert len({pairs[member] for member in front}) == len(front)
