"""Duplicates between the splits are counted, and left out where that is wanted."""

import pytest

from tests.corpora import SENTENCES, prepared, write

LONG = "this one sentence is much longer than the tokens it is allowed to have"


def folder_with(tmp_path, shared):
    write(tmp_path / "in" / "train.txt", "\n".join([*SENTENCES, *shared]) + "\n")
    write(tmp_path / "in" / "valid.txt", "\n".join([*shared, "seen here alone"]) + "\n")
    write(tmp_path / "in" / "test.txt", "seen there alone\n")
    return str(tmp_path / "in")


@pytest.mark.parametrize("shared", [[], ["seen twice"], ["seen twice", "and this"]])
def test_training_sentences_that_are_also_held_out_are_counted(tmp_path, shared):
    """They are kept, since nobody asked otherwise."""
    counts, splits = prepared(tmp_path / "out", folder_with(tmp_path, shared))
    assert counts["tokenized"]["train"]["also_held_out"] == len(shared)
    assert len(splits["train"]) == len(SENTENCES) + len(shared)


def test_they_are_left_out_where_duplicates_are_to_be_dropped(tmp_path):
    """The held-out side keeps them."""
    _, splits = prepared(tmp_path / "out", folder_with(tmp_path, ["seen twice"]), drop_duplicates=True)
    assert list(splits["train"]["text"]) == SENTENCES
    assert "seen twice" in splits["validation"]["text"]


def test_counts_are_of_what_is_kept(tmp_path):
    """Sentences, tokens and words that were dropped as duplicates do not count."""
    counts, splits = prepared(tmp_path / "out", folder_with(tmp_path, ["seen twice"]), drop_duplicates=True)
    train, count = splits["train"], counts["tokenized"]["train"]
    assert count["also_held_out"] == 1
    assert count["sentences"] == len(train)
    assert count["words"] == sum(train["words"])
    assert count["tokens"] == sum(train["length"]) + len(train)


def test_a_shared_sentence_that_is_cut_is_still_found(tmp_path):
    """Both sides are cut alike, so they are duplicates after the cut as before it."""
    counts, _ = prepared(tmp_path / "out", folder_with(tmp_path, [LONG]), max_tokens=30)
    assert counts["tokenized"]["train"]["also_held_out"] == 1


def test_duplicates_within_a_split_are_dropped_where_wanted(tmp_path):
    """The first of them stays."""
    corpus = write(tmp_path / "a.txt", "\n".join(SENTENCES * 3))
    counts, splits = prepared(tmp_path / "out", corpus, drop_duplicates=True)
    assert counts["cleaned"]["train"] == {"read": 60, "kept": 20, "duplicate": 40}
    assert sum(map(len, splits.values())) == 20
    assert counts["tokenized"]["train"]["also_held_out"] == 0
