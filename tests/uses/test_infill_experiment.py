"""The experiment that measures how well blanks are filled."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

from infill import (
    Records,
    compare_fills,
    format_difference,
    insert_blanks,
)

from textvae.uses.records import Infill


def test_adjacent_hidden_words_become_one_blank():
    """The truths are the words of each blank, in order."""
    visible, truths = insert_blanks("a man rides a wave".split(), {1, 2, 4})
    assert visible == "a ___ a ___"
    assert truths == [["man", "rides"], ["wave"]]


def test_a_word_counts_only_at_its_place_and_a_blank_only_as_a_whole():
    """The second fill has the right word at the wrong place."""
    found, exact = compare_fills(["man rides", "big wave"], [["man", "rides"], ["wave"]])
    assert found == pytest.approx(2 / 3)
    assert exact == 0.5


def test_the_interval_of_paired_differences_ignores_how_hard_sentences_are():
    """Both methods differ by the same amount on each sentence, so the interval is a point."""
    shares = np.array([0.0, 0.5, 0.25])
    assert format_difference(shares + 0.1, shares) == "+10.0 (+10.0 to +10.0)"


def test_the_interval_of_a_method_with_itself_is_zero():
    """No resample of zeros differs from zero."""
    shares = np.array([0.0, 1.0, 0.5, 0.5])
    assert format_difference(shares, shares) == "+0.0 (+0.0 to +0.0)"


def test_results_and_their_seconds_are_read_back(tmp_path):
    """An interrupted measurement computes nothing twice."""
    file = str(tmp_path / "records.jsonl")
    result = [Infill(text="a dog", fills=["dog"], score=-3.0)]
    first = Records(file).get(("way", "a ___", "a dog"), lambda: result)
    again = Records(file).get(("way", "a ___", "a dog"), pytest.fail)
    assert again == first
    assert first[0] == result
