"""Batches: every sentence once per epoch, within the budget, padded on the right."""

import numpy as np
import pytest
import torch

from tests.corpora import SENTENCES, TRICKY
from textvae.data.batching import Collator, LengthBuckets
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, encode_batch

LENGTHS = np.random.default_rng(0).integers(1, 40, 203)
CASES = [(64, None), (64, 5), (400, None), (41, 3), (10**6, None), (10**6, 1), (1, None)]


def list_epoch(buckets, number):
    """Return the batches of an epoch."""
    buckets.set_epoch(number)
    return list(buckets)


@pytest.mark.parametrize(("tokens", "sentences"), CASES)
def test_every_sentence_comes_exactly_once_per_epoch(tokens, sentences):
    """No sentence is lost where batches are cut."""
    buckets = LengthBuckets(LENGTHS, tokens, sentences, seed=1)
    for number in range(3):
        assert sorted(index for batch in list_epoch(buckets, number) for index in batch) == list(
            range(len(LENGTHS))
        )


@pytest.mark.parametrize(("tokens", "sentences"), CASES)
def test_the_number_of_batches_is_the_same_in_every_epoch(tokens, sentences):
    """The number of a step therefore determines its epoch."""
    buckets = LengthBuckets(LENGTHS, tokens, sentences, seed=1)
    assert {len(list_epoch(buckets, number)) for number in range(4)} == {len(buckets)}


@pytest.mark.parametrize(("tokens", "sentences"), CASES)
def test_only_a_single_long_sentence_exceeds_the_budget(tokens, sentences):
    """The budget includes padding and the end token."""
    for batch in LengthBuckets(LENGTHS, tokens, sentences, seed=1):
        assert len(batch) <= (sentences or len(LENGTHS))
        assert len(batch) == 1 or len(batch) * (max(LENGTHS[batch]) + 1) <= tokens


def test_the_budget_is_used():
    """One more sentence of the next length would exceed it."""
    cuts = LengthBuckets([3] * 10, 16, None, seed=1).cuts
    assert np.diff(cuts).tolist() == [4, 4, 2]


def test_the_last_batch_is_not_tiny():
    """A tiny batch takes sentences from the batch before it: at most half, and within the budget."""
    assert np.diff(LengthBuckets([3] * 9, 16, None, seed=1).cuts).tolist() == [4, 3, 2]
    assert np.diff(LengthBuckets([3] * 8 + [7], 32, None, seed=1).cuts).tolist() == [5, 4]
    assert np.diff(LengthBuckets([3] * 8 + [15], 32, None, seed=1).cuts).tolist() == [7, 2]
    assert np.diff(LengthBuckets([3] * 8 + [31], 32, None, seed=1).cuts).tolist() == [8, 1]


def test_sentences_of_similar_length_come_together():
    """A batch has few different lengths, so there is little padding."""
    batches = list(LengthBuckets(LENGTHS, 200, None, seed=1))
    padded = sum(len(batch) * (max(LENGTHS[batch]) + 1) for batch in batches)
    assert padded < 1.1 * sum(LENGTHS + 1)


def test_another_epoch_or_seed_is_another_order_and_the_same_is_the_same():
    """The order depends only on seed and epoch."""
    one, same, other = (LengthBuckets(LENGTHS, 200, None, seed) for seed in (1, 1, 2))
    assert list_epoch(one, 3) == list_epoch(same, 3)
    assert list_epoch(one, 3) != list_epoch(one, 4)
    assert list_epoch(one, 3) != list_epoch(other, 3)
    assert list_epoch(one, 3) == list_epoch(same, 3)


def test_equal_lengths_are_shuffled_among_themselves():
    """Not only the order of the batches changes, but also what is in them."""
    buckets = LengthBuckets([5] * 40, 30, None, seed=1)
    first, second = (
        {frozenset(batch) for batch in list_epoch(buckets, number)} for number in (0, 1)
    )
    assert first != second


def test_batches_do_not_come_in_the_order_of_their_length():
    """Otherwise an epoch would begin with short sentences."""
    widths = [max(LENGTHS[batch]) for batch in LengthBuckets(LENGTHS, 100, None, seed=1)]
    assert widths != sorted(widths)


@pytest.fixture
def tokenizer():
    return build_tokenizer(TokenizerSettings(kind="byte"), iter(SENTENCES))


@pytest.fixture
def rows(tokenizer):
    return [
        {"input_ids": ids} for ids in encode_batch(tokenizer, ["abc", TRICKY[0], "a", SENTENCES[0]])
    ]


def test_a_batch_is_as_wide_as_its_longest_sentence_and_one_more(tokenizer, rows):
    """All of its tensors are (batch, longest + 1) integers."""
    batch = Collator(tokenizer)(rows)
    width = max(len(row["input_ids"]) for row in rows) + 1
    assert {tuple(tensor.shape) for tensor in batch.values()} == {(4, width)}
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_each_row_holds_its_sentence_start_and_end(tokenizer, rows):
    """Encoder inputs contain the end, decoder inputs the start; labels are one step ahead."""
    pad, bos, eos = tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id
    batch = Collator(tokenizer)(rows)
    width = batch["labels"].shape[1]
    for number, row in enumerate(rows):
        ids = row["input_ids"]
        rest = width - len(ids) - 1
        assert batch["encoder_input_ids"][number].tolist() == [*ids, eos, *[pad] * rest]
        assert batch["input_ids"][number].tolist() == [bos, *ids, *[pad] * rest]
        assert batch["labels"][number].tolist() == [*ids, eos, *[-100] * rest]


def test_the_masks_are_true_on_what_is_read_and_labelled(tokenizer, rows):
    """A sentence has one position more than tokens; labels are -100 exactly under padding."""
    batch = Collator(tokenizer)(rows)
    assert batch["attention_mask"].sum(1).tolist() == [len(row["input_ids"]) + 1 for row in rows]
    assert torch.equal(batch["attention_mask"], batch["encoder_attention_mask"])
    assert torch.equal(batch["labels"] != -100, batch["attention_mask"].bool())
    assert torch.equal(
        batch["attention_mask"], batch["attention_mask"].sort(1, descending=True).values
    )


def test_a_row_does_not_depend_on_its_batch(tokenizer, rows):
    """Under the mask, a row is the same alone and among longer ones."""
    collate = Collator(tokenizer)
    together = collate(rows)
    for number, row in enumerate(rows):
        alone = collate([row])
        width = alone["labels"].shape[1]
        assert all(torch.equal(together[name][number, :width], alone[name][0]) for name in alone)


def test_an_empty_sentence_is_a_start_and_an_end(tokenizer):
    """An empty sentence is not an error."""
    batch = Collator(tokenizer).collate([[], [7, 8]])
    assert batch["labels"].tolist() == [
        [tokenizer.eos_token_id, -100, -100],
        [7, 8, tokenizer.eos_token_id],
    ]


def test_padding_with_the_end_token_keeps_the_true_end(tokenizer):
    """GPT-2's tokenizer has no other token to pad with; the label of the end must remain."""
    tokenizer.pad_token = tokenizer.eos_token
    batch = Collator(tokenizer).collate([[7], [7, 8]])
    assert batch["labels"].tolist() == [
        [7, tokenizer.eos_token_id, -100],
        [7, 8, tokenizer.eos_token_id],
    ]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
