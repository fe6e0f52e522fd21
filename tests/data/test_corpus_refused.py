"""Corpora that are refused: too small to learn from, or without the columns of the settings."""

import re

import pytest

from tests.corpora import LINES, SENTENCES, prepared, write, write_table
from textvae.errors import ConfigError, DataError


def check_refused(tmp_path, corpus, words, **settings):
    """Check that preparing a corpus fails with these words."""
    with pytest.raises(DataError, match=re.escape(words)):
        prepared(tmp_path / "out", corpus, **settings)


def test_no_corpus_at_all_is_refused_with_two_ways_to_name_one(tmp_path):
    """The message shows two commands to type."""
    check_refused(
        tmp_path,
        None,
        "no corpus is named. Give a file, a folder or a name: textvae train my.txt, or: textvae",
    )


@pytest.mark.parametrize("content", [" \n\t\n\n", "\n", "\u3000\n\u00a0\n"])
def test_a_file_of_blanks_is_refused(tmp_path, content):
    """Cleaning leaves no sentence."""
    check_refused(
        tmp_path,
        write(tmp_path / "a.txt", content),
        "a.txt: no sentence is left after cleaning; are there only",
    )


def test_a_table_with_only_a_header_is_refused(tmp_path):
    """A table without rows has no sentence."""
    check_refused(
        tmp_path,
        write(tmp_path / "a.csv", "text,label\n"),
        "a.csv: no sentence is left after cleaning",
    )


def test_one_sentence_is_refused(tmp_path):
    """The noun in the message is singular."""
    check_refused(
        tmp_path,
        write(tmp_path / "a.txt", "all alone\n"),
        "a.txt: only 1 sentence to train on; at least 8",
    )


def test_seven_sentences_are_refused_and_eight_are_not(tmp_path):
    """The limit is the one that the message names."""
    check_refused(
        tmp_path,
        write(tmp_path / "a.txt", "\n".join(SENTENCES[:7])),
        "only 7 sentences to train on; at least 8",
    )
    prepared(tmp_path / "out", write(tmp_path / "a.txt", "\n".join(SENTENCES[:8])))


def test_a_corpus_of_one_sentence_repeated_is_refused(tmp_path):
    """The sentences may become equal only when white space is folded."""
    corpus = write(tmp_path / "a.txt", "same  again\nsame again\n" * 10)
    check_refused(
        tmp_path,
        corpus,
        "a.txt: all 20 sentences are the same ('same again'); there is nothing to learn.",
    )


def test_a_held_out_split_with_nothing_left_is_refused(tmp_path):
    """With an empty validation split the run would fail much later, with another message."""
    write(tmp_path / "in" / "train.txt", LINES)
    write(tmp_path / "in" / "valid.txt", "\n \n")
    check_refused(tmp_path, str(tmp_path / "in"), "validation")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_missing_text_column_is_refused_with_those_that_exist(tmp_path, name):
    """The message names the setting to change."""
    corpus = write_table(tmp_path / name, SENTENCES, label=SENTENCES)
    words = f"{name}: there is no column 'body'; the columns are text, label. Set data.text"
    if name == "a.csv":  # a table of lines names the line, too
        words = (
            f"{name}, line 1: there is no column 'body'; the columns are text, label. Set data.text"
        )
    check_refused(tmp_path, corpus, words, text_column="body")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_column_that_is_not_text_is_refused(tmp_path, name):
    """The message shows the row and the value."""
    corpus = write_table(tmp_path / name, SENTENCES, stars=list(range(1, 21)))
    check_refused(
        tmp_path,
        corpus,
        f"{name}: row 1: column 'stars' holds 1, not text. Set data.text_column.",
        text_column="stars",
    )


def test_a_missing_label_column_is_refused_with_those_that_exist(tmp_path):
    """The message names the setting to change."""
    corpus = write_table(tmp_path / "a.csv", SENTENCES, label=SENTENCES)
    words = "there is no column 'lable'; the columns are text, label. Set data.label_columns."
    check_refused(tmp_path, corpus, words, label_columns=["lable"])


@pytest.mark.parametrize("column", ["text", "length", "words", "bytes", "input_ids"])
def test_a_label_named_like_a_column_that_textvae_adds_is_refused(tmp_path, column):
    """Two columns would have the same name; the error is our own, not one of the table library."""
    columns = {} if column == "text" else {column: SENTENCES}
    corpus = write_table(tmp_path / "a.jsonl", SENTENCES, **columns)
    with pytest.raises((ConfigError, DataError), match=column):
        prepared(tmp_path / "out", corpus, label_columns=[column])


def test_a_text_file_has_no_column_of_labels(tmp_path):
    """The lines of a text file become a single column."""
    check_refused(
        tmp_path,
        write(tmp_path / "a.txt", LINES),
        "there is no column 'label'; the columns are",
        label_columns=["label"],
    )
