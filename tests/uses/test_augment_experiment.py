"""The experiment that compares augmentation with self-training and random edits."""

import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

from augment import (
    Classifier,
    Examples,
    cache_texts,
    edit_randomly,
    format_cell,
    train_on_own_labels,
    write_continuations,
    write_random_edits,
)
from labeled import Split

TEXTS = ["play a song", "play some music", "will it rain", "is it cold outside"]
LABELS = np.array(["music", "music", "weather", "weather"])
UNLABELED = ["play a loud guitar", "will it snow tomorrow"]
STRANGE = Split(["guitar", "tomorrow"], np.array(["music", "weather"]))


def examples():
    """Return two labeled texts per class."""
    return Examples(TEXTS, LABELS, np.ones(4))


def test_a_random_edit_moves_repeats_or_deletes_words_of_the_text():
    """No edit brings in a word that the text does not have, and all three kinds occur."""
    random = Random(0)
    words = "a b c d".split()
    edits = [edit_randomly(" ".join(words), random).split() for _ in range(100)]
    assert {word for edit in edits for word in edit} == set(words)
    assert {len(edit) for edit in edits} == {3, 4, 5}


def test_a_text_of_one_word_has_no_edit():
    """There is nothing to swap it with, and deleting it would leave nothing."""
    assert edit_randomly("stop", Random(0)) == "stop"
    assert write_random_edits(Split(["stop"], np.array(["x"])), 5, 0) == []


def test_self_training_learns_words_that_only_unlabeled_texts_have():
    """Each new word occurs in one of these texts, next to known words."""
    plain = Classifier(examples(), None)
    trained = train_on_own_labels(examples(), UNLABELED, None, rounds=2, weight=1.0)
    assert plain.measure_accuracy(STRANGE) < 100
    assert trained.measure_accuracy(STRANGE) == 100


def test_self_training_without_rounds_is_the_plain_classifier():
    """It then never sees the unlabeled texts."""
    trained = train_on_own_labels(examples(), UNLABELED, None, rounds=0, weight=1.0)
    np.testing.assert_array_equal(
        trained.predict(TEXTS), Classifier(examples(), None).predict(TEXTS)
    )


class Continuer:
    """A fake language model, which ends each beginning in the same three ways."""

    def complete(self, beginning, n, temperature, seed):
        """Return the three texts."""
        return [f"{beginning} song", f"{beginning} rain", f"{beginning} song"][:n]


def test_a_continuation_is_kept_if_the_classifier_agrees_with_its_label():
    """The first half of each text is continued, and no text is kept twice for one original."""
    split = Split(TEXTS[2:], LABELS[2:])
    written = write_continuations(Continuer(), split, 3, 0, examples())  # type: ignore[arg-type]
    assert ("will rain", "weather") in written
    assert ("is it rain", "weather") in written
    assert len(written) == len(set(written))
    judge = Classifier(examples(), None)
    predicted = judge.classes[judge.predict([text for text, _ in written]).argmax(1)]
    assert predicted.tolist() == [label for _, label in written]


def test_stored_texts_are_not_written_again(tmp_path):
    """The second call does not need its function."""
    pairs = [("a text", "label")]
    assert cache_texts(tmp_path, "key", lambda: pairs) == pairs
    assert cache_texts(tmp_path, "key", pytest.fail) == pairs


def test_a_cell_has_the_paired_gain_with_its_standard_error():
    """Two draws that both gain 2 have an error of 0, however far apart they are."""
    cell = format_cell(np.array([82.0, 92.0]), np.array([80.0, 90.0]))
    assert cell == "87.0 ± 7.1 (+2.0 ± 0.0)"
