"""Lanes: that together they read each sentence once an epoch, in an order that is drawn, and go on from any place."""

import json
from collections import Counter
from itertools import islice

import pytest

from tests.corpora import write
from tests.streams import SENTENCES, dealing, epoch_of, loaders, read, texts, write_shards
from textvae.data.streaming.readers import StreamPosition, StreamReader
from textvae.errors import CheckpointError, DataError


@pytest.mark.parametrize("lanes", [1, 2, 3, 5, 7, 12])
@pytest.mark.parametrize("epoch", [0, 3])
def test_every_sentence_comes_once_an_epoch_over_all_lanes(tmp_path, lanes, epoch):
    """Fewer files than lanes, or more; pools smaller than files."""
    assert sorted(read(dealing(write_shards(tmp_path), lanes), epoch)) == sorted(SENTENCES)


def test_the_same_seed_gives_the_same_stream_and_another_seed_or_epoch_does_not(tmp_path):
    """The order is by seed, epoch and pool."""
    files = write_shards(tmp_path)
    first = read(dealing(files, 2))
    assert first == read(dealing(files, 2))
    assert first != read(dealing(files, 2, seed=2))
    assert first != read(dealing(files, 2), epoch=1)


def test_files_are_dealt_anew_in_each_epoch(tmp_path):
    """A lane meets other files, or the same in another order."""
    dealt = dealing(write_shards(tmp_path), 2)
    assert len({tuple(dealt.pieces(0, epoch)) for epoch in range(8)}) > 2


def test_a_pool_mixes_what_a_file_holds_in_order(tmp_path):
    """A buffer larger than the corpus shuffles all of it; a buffer of one shuffles only the files."""
    files = write_shards(tmp_path, count=1)
    in_file = (tmp_path / "part-0.txt").read_text().splitlines()
    assert read(dealing(files, buffer=1)) == in_file
    mixed = read(dealing(files, buffer=1000))
    assert mixed != in_file
    assert sorted(mixed) == sorted(in_file)


def test_batches_keep_to_their_budget_and_hold_sentences_of_like_length(tmp_path):
    """Padding included; less of it than without buckets."""
    served = epoch_of(dealing(write_shards(tmp_path), buffer=100))
    masks = [entry.batch["attention_mask"] for entry in served]
    assert all(mask.numel() <= 200 for mask in masks)
    assert sum(mask.sum() for mask in masks) / sum(mask.numel() for mask in masks) > 0.9


@pytest.mark.parametrize("taken", [1, 2, 9, 10, 19, 20, 21, 30])
def test_a_lane_goes_on_from_any_place_as_if_unbroken(tmp_path, taken):
    """Mid-pool, at its end, over the end of an epoch: the batches that follow are the same, and so is their news."""
    dealt = dealing(write_shards(tmp_path), 2)
    unbroken = list(islice(StreamReader(dealt, 1).batches(StreamPosition()), 50))
    place = unbroken[taken - 1].place
    resumed = list(islice(StreamReader(dealt, 1).batches(place), 50 - taken))
    assert [texts(served) for served in resumed] == [texts(served) for served in unbroken[taken:]]
    assert [(served.place, served.news) for served in resumed] == [
        (served.place, served.news) for served in unbroken[taken:]
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_from_its_state_as_if_unbroken(tmp_path, workers):
    """Whatever its workers had ready when it stopped; counts included; the state is JSON."""
    dealt = dealing(write_shards(tmp_path), max(1, workers))
    (unbroken,) = loaders(dealt, 1, workers)
    straight = [batch["labels"].tolist() for batch in islice(iter(unbroken), 31)]
    (before,) = loaders(dealt, 1, workers)
    taken = [batch["labels"].tolist() for batch in islice(iter(before), 13)]
    (after,) = loaders(dealt, 1, workers)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    rest = [batch["labels"].tolist() for batch in islice(iter(after), 18)]
    assert taken + rest == straight
    assert after.state_dict() == unbroken.state_dict()


def test_ranks_and_workers_read_lanes_of_their_own(tmp_path):
    """Two processes with two workers each are four lanes; together they read each sentence once."""
    dealt = dealing(write_shards(tmp_path, SENTENCES), 4)
    seen = []
    for loader in loaders(dealt, 2, 2):
        for served in islice(loader.served(), 60):
            seen += texts(served) if served.place.epoch == 0 else []
    assert sorted(seen) == sorted(SENTENCES)


def test_another_number_of_readers_is_refused_on_resuming(tmp_path):
    """Their places would mean nothing."""
    files = write_shards(tmp_path)
    (loader,) = loaders(dealing(files, 2), 1, 2)
    with pytest.raises(
        CheckpointError,
        match=r"dealt among 2 readers.*now there are 3.*as many processes as before",
    ):
        loaders(dealing(files, 3), 1, 3)[0].load_state_dict(loader.state_dict())


def test_a_held_out_sentence_never_comes_wherever_it_stands(tmp_path):
    """Duplicates of it, and forms that cleaning makes the same, are left out and counted."""
    held = SENTENCES[:7]
    disguised = [f"  {sentence.replace(' ', '  ')}" for sentence in held]
    dealt = dealing(write_shards(tmp_path, [*SENTENCES, *disguised]), held=held)
    assert sorted(read(dealt)) == sorted(SENTENCES[7:])
    assert counted(dealt)["also_held_out"] == 14


def test_cleaning_is_that_of_any_corpus_and_counted(tmp_path):
    """Blank and short lines are left out, long ones cut."""
    files = [write(tmp_path / "a.txt", "\n\none\nTwo words\nthree more words\n" + "x " * 300)]
    dealt = dealing(files, min_words=2, lowercase=True, max_characters=20, max_tokens=9)
    assert sorted(read(dealt)) == ["three mor", "two words", "x x x x x"]
    assert counted(dealt) == {"read": 6, "blank": 2, "too short": 1, "kept": 3, "truncated": 1}


def counted(dealt) -> Counter[str]:
    news = [served.news for served in epoch_of(dealt) if served.news]
    return sum((entry.counts for entry in news), Counter())


def test_a_lane_without_a_sentence_says_so(tmp_path):
    """Rather than searching for ever; one that now and then gets an empty file goes on with the next epoch."""
    files = [write(tmp_path / "a.txt", "\n\n"), write(tmp_path / "b.txt", "\n")]
    with pytest.raises(
        DataError, match=r"no sentence for reader 2 of 2: .*fewer training\.workers"
    ):
        next(StreamReader(dealing(files, 2), 1).batches(StreamPosition()))
    files[0] = write(tmp_path / "a.txt", "at last\n")
    assert texts(next(StreamReader(dealing(files, 2), 1).batches(StreamPosition()))) == ["at last"]
