"""Batching: every sentence once an epoch, within the budget, padded on the right."""

import numpy as np
import pytest
import torch

from tests.corpora import SENTENCES, TRICKY
from textvae.data.batching import Collator, LengthBuckets
from textvae.data.tokenization import TokenizerSettings, build_tokenizer, encode_batch

LENGTHS = np.random.default_rng(0).integers(1, 40, 203)
CASES = [(64, None), (64, 5), (400, None), (41, 3), (10**6, None), (10**6, 1), (1, None)]


def epoch(buckets, number):
    buckets.set_epoch(number)
    return list(buckets)


@pytest.mark.parametrize(("tokens", "sentences"), CASES)
def test_every_sentence_comes_exactly_once_an_epoch(tokens, sentences):
    """None is lost at the cuts."""
    buckets = LengthBuckets(LENGTHS, tokens, sentences, seed=1)
    for number in range(3):
        assert sorted(place for batch in epoch(buckets, number) for place in batch) == list(
            range(len(LENGTHS))
        )


@pytest.mark.parametrize(("tokens", "sentences"), CASES)
def test_the_number_of_batches_is_the_same_in_every_epoch(tokens, sentences):
    """So that a step's number tells its epoch."""
    buckets = LengthBuckets(LENGTHS, tokens, sentences, seed=1)
    assert {len(epoch(buckets, number)) for number in range(4)} == {len(buckets)}


@pytest.mark.parametrize(("tokens", "sentences"), CASES)
def test_the_budget_is_kept_but_for_a_single_long_sentence(tokens, sentences):
    """Padding and the end token are counted."""
    for batch in LengthBuckets(LENGTHS, tokens, sentences, seed=1):
        assert len(batch) <= (sentences or len(LENGTHS))
        assert len(batch) == 1 or len(batch) * (max(LENGTHS[batch]) + 1) <= tokens


def test_the_budget_is_used():
    """One more sentence of the next length would exceed it."""
    cuts = LengthBuckets([3] * 10, 16, None, seed=1).cuts
    assert np.diff(cuts).tolist() == [4, 4, 2]


def test_what_is_left_over_is_no_tiny_batch():
    """It takes from its neighbour, up to an even split, as far as its own longer sentences leave room in the budget."""
    assert np.diff(LengthBuckets([3] * 9, 16, None, seed=1).cuts).tolist() == [4, 3, 2]
    assert np.diff(LengthBuckets([3] * 8 + [7], 32, None, seed=1).cuts).tolist() == [5, 4]
    assert np.diff(LengthBuckets([3] * 8 + [15], 32, None, seed=1).cuts).tolist() == [7, 2]
    assert np.diff(LengthBuckets([3] * 8 + [31], 32, None, seed=1).cuts).tolist() == [8, 1]


def test_sentences_of_like_length_come_together():
    """A batch spans few lengths, so there is little padding."""
    batches = list(LengthBuckets(LENGTHS, 200, None, seed=1))
    padded = sum(len(batch) * (max(LENGTHS[batch]) + 1) for batch in batches)
    assert padded < 1.1 * sum(LENGTHS + 1)


def test_another_epoch_or_seed_is_another_order_and_the_same_is_the_same():
    """The order follows from seed and epoch alone."""
    one, same, other = (LengthBuckets(LENGTHS, 200, None, seed) for seed in (1, 1, 2))
    assert epoch(one, 3) == epoch(same, 3)
    assert epoch(one, 3) != epoch(one, 4)
    assert epoch(one, 3) != epoch(other, 3)
    assert epoch(one, 3) == epoch(same, 3)


def test_equal_lengths_are_shuffled_among_themselves():
    """Not only the batches: their members change too."""
    buckets = LengthBuckets([5] * 40, 30, None, seed=1)
    first, second = ({frozenset(batch) for batch in epoch(buckets, number)} for number in (0, 1))
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
    """The encoder reads the end, the decoder the start, and the labels are one step ahead of it."""
    pad, bos, eos = tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id
    batch = Collator(tokenizer)(rows)
    width = batch["labels"].shape[1]
    for place, row in enumerate(rows):
        ids = row["input_ids"]
        rest = width - len(ids) - 1
        assert batch["encoder_input_ids"][place].tolist() == [*ids, eos, *[pad] * rest]
        assert batch["input_ids"][place].tolist() == [bos, *ids, *[pad] * rest]
        assert batch["labels"][place].tolist() == [*ids, eos, *[-100] * rest]


def test_the_masks_are_true_on_what_is_read_and_labelled(tokenizer, rows):
    """As many as tokens and one more; labels are ignored exactly where the mask is not set."""
    batch = Collator(tokenizer)(rows)
    assert batch["attention_mask"].sum(1).tolist() == [len(row["input_ids"]) + 1 for row in rows]
    assert torch.equal(batch["attention_mask"], batch["encoder_attention_mask"])
    assert torch.equal(batch["labels"] != -100, batch["attention_mask"].bool())
    assert torch.equal(
        batch["attention_mask"], batch["attention_mask"].sort(1, descending=True).values
    )


def test_a_row_does_not_depend_on_its_batch(tokenizer, rows):
    """Alone or among longer ones, the same tokens stand under the mask."""
    collate = Collator(tokenizer)
    together = collate(rows)
    for place, row in enumerate(rows):
        alone = collate([row])
        width = alone["labels"].shape[1]
        assert all(torch.equal(together[name][place, :width], alone[name][0]) for name in alone)


def test_an_empty_sentence_is_a_start_and_an_end(tokenizer):
    """Nothing to read is no error."""
    batch = Collator(tokenizer).collate([[], [7, 8]])
    assert batch["labels"].tolist() == [
        [tokenizer.eos_token_id, -100, -100],
        [7, 8, tokenizer.eos_token_id],
    ]


def test_padding_with_the_end_token_keeps_the_true_end(tokenizer):
    """GPT-type tokenizers have no other token to pad with; the label of the end must stay."""
    tokenizer.pad_token = tokenizer.eos_token
    batch = Collator(tokenizer).collate([[7], [7, 8]])
    assert batch["labels"].tolist() == [
        [7, tokenizer.eos_token_id, -100],
        [7, 8, tokenizer.eos_token_id],
    ]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
