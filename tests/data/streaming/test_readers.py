"""Readers: together they read each sentence once per epoch, and can resume anywhere."""

import json
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from tests.corpora import write
from tests.streams import (
    SENTENCES,
    build_loaders,
    build_plan,
    read,
    read_epoch,
    texts,
    write_shards,
)
from textvae.data.streaming.readers import StreamPosition, StreamReader
from textvae.errors import CheckpointError, DataError


@pytest.mark.parametrize("readers", [1, 2, 3, 5, 7, 12])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_sentence_comes_once_per_epoch_over_all_readers(tmp_path, readers, epoch):
    """There may be more files than readers or fewer; pools are smaller than files."""
    plan = build_plan(write_shards(tmp_path), readers)
    assert sorted(read(plan, epoch)) == sorted(SENTENCES)


def test_the_same_seed_gives_the_same_stream_and_another_seed_or_epoch_does_not(tmp_path):
    """The order depends on the seed, the epoch and the pool."""
    files = write_shards(tmp_path)
    first = read(build_plan(files, 2))
    assert first == read(build_plan(files, 2))
    assert first != read(build_plan(files, 2, seed=2))
    assert first != read(build_plan(files, 2), epoch=1)


def test_files_are_divided_again_in_each_epoch(tmp_path):
    """A reader gets other files, or the same ones in another order."""
    plan = build_plan(write_shards(tmp_path), 2)
    assert len({tuple(plan.assign_file_parts(0, epoch)) for epoch in range(8)}) > 2


def test_a_pool_mixes_what_a_file_holds_in_order(tmp_path):
    """A buffer as large as the corpus shuffles all of it; one of size 1 only the files."""
    files = write_shards(tmp_path, count=1)
    in_file = (tmp_path / "part-0.txt").read_text().splitlines()
    assert read(build_plan(files, buffer=1)) == in_file
    mixed = read(build_plan(files, buffer=1000))
    assert mixed != in_file
    assert sorted(mixed) == sorted(in_file)


def test_a_cut_sentence_does_not_end_within_a_character(tmp_path):
    """As in a corpus that is not streamed: a byte-level token may be part of a character."""
    file = write(tmp_path / "a.txt", "日本語の文章です\n")
    plan = build_plan([file])
    plan = replace(plan, data=plan.data.model_copy(update={"max_tokens": 8}))
    (batch,) = islice(StreamReader(plan, 0).read_batches(StreamPosition()), 1)
    assert texts(batch) == ["日本"]


def test_batches_keep_to_their_budget_and_have_similar_lengths(tmp_path):
    """The budget includes padding, and there is little of it."""
    batches = read_epoch(build_plan(write_shards(tmp_path), buffer=100))
    masks = [batch.batch["attention_mask"] for batch in batches]
    assert all(mask.numel() <= 200 for mask in masks)
    assert sum(mask.sum() for mask in masks) / sum(mask.numel() for mask in masks) > 0.9


@pytest.mark.parametrize("taken", [1, 2, 9, 10, 19, 20, 21, 30])
def test_a_reader_resumes_anywhere_as_if_it_had_not_stopped(tmp_path, taken):
    """In a pool, at its end, or after an epoch: the next batches and reports are the same."""
    plan = build_plan(write_shards(tmp_path), 2)
    unbroken = list(islice(StreamReader(plan, 1).read_batches(StreamPosition()), 50))
    position = unbroken[taken - 1].position
    resumed = list(islice(StreamReader(plan, 1).read_batches(position), 50 - taken))
    assert len(resumed) == 50 - taken
    for batch, expected in zip(resumed, unbroken[taken:], strict=True):
        assert texts(batch) == texts(expected)
        assert (batch.position, batch.report) == (expected.position, expected.report)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_resumes_from_its_state_as_if_it_had_not_stopped(tmp_path, workers):
    """Batches that workers had ready do not matter; counts are restored; the state is JSON."""
    plan = build_plan(write_shards(tmp_path), max(1, workers))
    (unbroken,) = build_loaders(plan, 1, workers)
    expected = [batch["labels"].tolist() for batch in islice(iter(unbroken), 31)]
    (before,) = build_loaders(plan, 1, workers)
    taken = [batch["labels"].tolist() for batch in islice(iter(before), 13)]
    (after,) = build_loaders(plan, 1, workers)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    rest = [batch["labels"].tolist() for batch in islice(iter(after), 18)]
    assert taken + rest == expected
    assert after.state_dict() == unbroken.state_dict()


def test_ranks_and_workers_have_readers_of_their_own(tmp_path):
    """Two processes with two workers each are four readers of the whole corpus."""
    plan = build_plan(write_shards(tmp_path, SENTENCES), 4)
    seen = []
    for loader in build_loaders(plan, 2, 2):
        for batch in islice(loader.iterate_batches(), 60):
            if batch.position.epoch == 0:
                seen += texts(batch)
    assert sorted(seen) == sorted(SENTENCES)


def test_another_number_of_readers_is_refused_on_resuming(tmp_path):
    """The saved positions belong to another division of the files."""
    files = write_shards(tmp_path)
    (two,) = build_loaders(build_plan(files, 2), 1, 2)
    (three,) = build_loaders(build_plan(files, 3), 1, 3)
    with pytest.raises(
        CheckpointError,
        match=r"divided among 2 readers.*now there are 3.*as many processes and workers as before",
    ):
        three.load_state_dict(two.state_dict())


def test_no_reader_yields_a_held_out_sentence(tmp_path):
    """Duplicates, even those that only cleaning makes equal, are left out and counted."""
    held_out = SENTENCES[:7]
    disguised = [f"  {sentence.replace(' ', '  ')}" for sentence in held_out]
    plan = build_plan(write_shards(tmp_path, [*SENTENCES, *disguised]), held_out=held_out)
    assert sorted(read(plan)) == sorted(SENTENCES[7:])
    assert sum_counts(plan)["also_held_out"] == 14


def test_a_stream_is_cleaned_like_any_corpus_and_counted(tmp_path):
    """Blank and short lines are left out, and long ones are cut."""
    files = [write(tmp_path / "a.txt", "\n\none\nTwo words\nthree more words\n" + "x " * 300)]
    plan = build_plan(files, min_words=2, lowercase=True, max_characters=20, max_tokens=9)
    assert sorted(read(plan)) == ["three mor", "two words", "x x x x x"]
    assert sum_counts(plan) == {"read": 6, "blank": 2, "too short": 1, "kept": 3, "truncated": 1}


def sum_counts(plan) -> Counter[str]:
    """Return the counts of the first reader in its first epoch."""
    reports = [batch.report for batch in read_epoch(plan) if batch.report]
    return sum((report.counts for report in reports), Counter())


def test_a_reader_without_a_sentence_says_so(tmp_path):
    """A reader does not search forever, but one epoch of empty files does not stop it."""
    files = [write(tmp_path / "a.txt", "\n\n"), write(tmp_path / "b.txt", "\n")]
    plan = build_plan(files, 2)
    with pytest.raises(
        DataError, match=r"no sentence for reader 2 of 2: .*fewer training\.workers"
    ):
        next(StreamReader(plan, 1).read_batches(StreamPosition()))
    write(tmp_path / "a.txt", "at last\n")
    assert texts(next(StreamReader(plan, 1).read_batches(StreamPosition()))) == ["at last"]
