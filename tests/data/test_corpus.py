"""The corpus of a run: held-out sentences, labels, tokens, and their counts."""

import json

import numpy as np
import pytest

from tests.corpora import SENTENCES, TRICKY, prepared, texts, write, write_table
from tests.tiny_run import train_tiny
from textvae.data.corpus import HELD_OUT_SPLITS, prepare_splits
from textvae.data.settings import DataSettings
from textvae.data.tokenization import TokenizerSettings, build_tokenizer
from textvae.runs.run import Run


def join_lines(sentences):
    """Return the content of a text file of sentences."""
    return "\n".join(sentences) + "\n"


def number_sentences(count):
    """Return different sentences."""
    return [f"sentence {n}" for n in range(count)]


def test_no_sentence_is_lost_or_repeated_by_splitting(tmp_path):
    """The three splits together are the corpus, and the training split keeps its order."""
    counts, splits = prepared(
        tmp_path / "out", write(tmp_path / "a.txt", join_lines(SENTENCES + TRICKY))
    )
    together = [text for split in splits.values() for text in split["text"]]
    assert sorted(together) == sorted(SENTENCES + TRICKY)
    positions = [(SENTENCES + TRICKY).index(text) for text in splits["train"]["text"]]
    assert positions == sorted(positions)
    assert counts["cleaned"]["train"] == {"read": 25, "kept": 25}


@pytest.mark.parametrize(
    ("count", "share", "most", "size"),
    [
        (100, 0.05, 5000, 5),
        (100, 0.05, 3, 3),
        (8, 0.01, 5000, 1),
        (10_100, 0.2, 5000, 2020),
        (50, 0.3, 5000, 15),
    ],
)
def test_held_out_splits_have_the_size_of_the_settings(tmp_path, count, share, most, size):
    """The size is a share of the corpus within limits, also for a corpus of several blocks."""
    corpus = write(tmp_path / "a.txt", join_lines(number_sentences(count)))
    _, splits = prepared(tmp_path / "out", corpus, held_out=share, held_out_most=most)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": count - 2 * size,
        "validation": size,
        "test": size,
    }


@pytest.mark.parametrize("count", [8, 10, 12])
def test_there_is_always_something_left_to_train_on(tmp_path, count):
    """Even the largest share allowed does not take all of a small corpus."""
    _, splits = prepared(
        tmp_path / "out",
        write(tmp_path / "a.txt", join_lines(number_sentences(count))),
        held_out=0.49,
    )
    assert len(splits["train"]) > 0


def test_the_seed_chooses_the_held_out_sentences(tmp_path):
    """Equal seeds hold out the same sentences, different seeds others."""
    corpus = write(tmp_path / "a.txt", join_lines(number_sentences(100)))
    held_out = [
        prepared(tmp_path / f"out{n}", corpus, seed=seed)[1]["test"]["text"]
        for n, seed in enumerate([1, 1, 2])
    ]
    assert list(held_out[0]) == list(held_out[1]) != list(held_out[2])


@pytest.mark.parametrize("present", HELD_OUT_SPLITS)
def test_only_a_missing_split_is_held_out(tmp_path, present):
    """A split that the source has is not changed."""
    write(tmp_path / "in" / "train.txt", join_lines(number_sentences(20)))
    write(tmp_path / "in" / f"{present}.txt", join_lines(TRICKY))
    _, splits = prepared(tmp_path / "out", str(tmp_path / "in"))
    assert list(splits[present]["text"]) == TRICKY
    assert len(splits["train"]) == 19


def test_labels_stay_with_their_sentences(tmp_path):
    """Labels of any type survive splitting and tokenizing."""
    labels = [int(sentence.split()[-2]) for sentence in SENTENCES]
    names = [f"of {sentence}" for sentence in SENTENCES]
    corpus = write_table(tmp_path / "a.jsonl", SENTENCES, label=labels, name=names)
    _, splits = prepared(tmp_path / "out", corpus, label_columns=["label", "name"])
    rows = [row for split in splits.values() for row in split]
    assert len(rows) == len(SENTENCES)
    assert all(
        row["name"] == f"of {row['text']}" and row["label"] == row["text"].split()[-2]
        for row in rows
    )


def test_texts_match_their_tokens(tmp_path):
    """Ids, length, words and bytes are those of the text in the same row."""
    _, splits = prepared(
        tmp_path / "out", write(tmp_path / "a.txt", join_lines(SENTENCES + TRICKY))
    )
    for row in (row for split in splits.values() for row in split):
        size = len(row["text"].encode())
        assert len(row["input_ids"]) == row["length"] == row["bytes"] == size
        assert row["words"] == len(row["text"].split())


@pytest.mark.parametrize("kind", ["bpe", "byte", "word"])
def test_a_sentence_cut_at_max_tokens_is_counted_and_kept_as_it_reads(tmp_path, kind):
    """Words and bytes are those after the cut, so that measures per word are right."""
    corpus = write(tmp_path / "a.txt", join_lines(SENTENCES))
    counts, splits = prepared(tmp_path / "out", corpus, kind=kind, max_tokens=4)
    for name, split in splits.items():
        count = counts["tokenized"][name]
        whole = [row for row in split if row["text"] in SENTENCES]
        assert count.get("truncated", 0) == len(split) - len(whole)
        assert all(any(full.startswith(text) for full in SENTENCES) for text in split["text"])
        assert max(split["length"]) == 4
        assert list(split["words"]) == [len(text.split()) for text in split["text"]]
        assert list(split["bytes"]) == [len(text.encode()) for text in split["text"]]
        assert count["words"] == sum(split["words"])
        assert count["tokens"] == sum(split["length"]) + len(split)


def test_a_cut_through_a_character_leaves_no_half_character(tmp_path):
    """An emoji is four tokens here: the text must remain what the tokens decode to."""
    corpus = write(tmp_path / "a.txt", join_lines(f"{n:02} 😀😀" for n in range(20)))
    _, splits = prepared(tmp_path / "out", corpus, max_tokens=9)
    for row in (row for split in splits.values() for row in split):
        assert row["text"].endswith(" 😀")
        assert row["bytes"] == row["length"] == 7


def test_a_line_of_a_megabyte_is_cut_and_counted(tmp_path):
    """Such a line costs little memory and time, and does not stop the run."""
    corpus = write(tmp_path / "a.txt", join_lines([*SENTENCES, "word " * 200_000, "x" * 1_000_000]))
    counts, splits = prepared(tmp_path / "out", corpus, max_tokens=64)
    assert counts["cleaned"]["train"] == {"read": 22, "kept": 22, "truncated": 2}
    assert sum(count.get("truncated", 0) for count in counts["tokenized"].values()) == 2
    assert max(max(split["length"]) for split in splits.values()) == 64


def test_nothing_is_left_but_the_splits_and_the_counts(tmp_path):
    """The files of cleaned text are removed."""
    counts, _ = prepared(tmp_path / "out", write(tmp_path / "a.txt", join_lines(SENTENCES)))
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "train.arrow", "validation.arrow", "test.arrow", "counts.json",
    }  # fmt: skip
    assert json.loads((tmp_path / "out" / "counts.json").read_text()) == counts


def test_sentences_from_python_are_a_corpus(tmp_path):
    """Rows need not come from a file."""
    _, splits = prepared(
        tmp_path, None, splits={"train": lambda: ({"text": text} for text in SENTENCES)}
    )
    assert sum(map(len, splits.values())) == len(SENTENCES)


def test_a_split_of_another_name_leaves_nothing_behind(tmp_path):
    """An `unsupervised` split of a data set is neither read nor written."""
    rows = {
        name: lambda: ({"text": text} for text in SENTENCES) for name in ("train", "unsupervised")
    }
    prepared(tmp_path, None, splits=rows)
    assert not list(tmp_path.glob("*.text.arrow"))


def test_the_training_sentences_are_what_a_tokenizer_learns_from(tmp_path):
    """A tokenizer never sees a held-out sentence."""
    seen = []

    def build(sentences):
        seen.extend(sentences)
        return build_tokenizer(TokenizerSettings(kind="byte"), iter(seen))

    corpus = write(tmp_path / "a.txt", join_lines(SENTENCES))
    prepare_splits(DataSettings(corpus=corpus), 1, tmp_path / "out", build)
    assert len(seen) == 18
    assert set(seen) < set(texts(corpus))


def test_lengths_are_those_of_the_rows(tmp_path):
    """The lengths that a sampler sorts by are those of the ids."""
    _, splits = prepared(
        tmp_path / "out", write(tmp_path / "a.txt", join_lines(SENTENCES + TRICKY))
    )
    np.testing.assert_array_equal(
        splits["train"]["length"], [len(ids) for ids in splits["train"]["input_ids"]]
    )


def test_the_training_seed_does_not_change_what_is_held_out(tmp_path):
    """Runs with several seeds are measured on the same sentences."""
    tests = []
    for seed in (1, 2):
        train_tiny(tmp_path / str(seed), training={"seed": seed, "steps": 2})
        tests.append(list(Run(tmp_path / str(seed)).open_split("test")["text"]))
    assert tests[0] == tests[1]
