"""Batches: sentences of similar length, within a budget of tokens, padded on the right."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase

from textvae.data.encoder_tokenizer import EncoderTokenizer
from textvae.data.frozen_states import DECODER_STATES, ENCODER_STATES, collate_states, mask_states
from textvae.data.labels import Labels
from textvae.data.tokenization import decode_batch

Batch = dict[str, Tensor]  # the keys and shapes are those of `Collator`

_DECODER_INPUTS = ("input_ids", "attention_mask", "labels", "label_ids", DECODER_STATES)


def select_decoder_inputs(batch: Batch) -> Batch:
    """Return the part of a batch that the decoder needs to compute its loss, apart from z."""
    return {name: batch[name] for name in _DECODER_INPUTS if name in batch}


class LengthBuckets(Sampler[list[int]]):
    """Batches of indices: sorted by length, cut at a token budget, shuffled in each epoch.

    In each epoch, sentences of equal length are shuffled among themselves, and then the
    batches are shuffled. The number of batches is the same in every epoch, so the number
    of a step determines its epoch.

    Several processes divide each batch among themselves, sentence by sentence. The
    sentences of a batch do not depend on the number of processes.

    Args:
        lengths: tokens of each sentence, (n,), without start or end token.
        max_batch_tokens: most tokens in a batch, padding and end tokens included; only a
            sentence that is longer on its own exceeds it.
        max_batch_sentences: most sentences in a batch; None for no limit.
        seed: determines the order, together with the epoch.
        rank: the process whose share of each batch is yielded.
        processes: the number of processes that share each batch.

    Attributes:
        cuts: the start of each batch among the sorted sentences, and their number at the end.
    """

    def __init__(
        self,
        lengths: Sequence[int] | NDArray[Any],
        max_batch_tokens: int,
        max_batch_sentences: int | None,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int32)
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0
        self.cuts = _find_cuts(
            np.sort(self.lengths), max_batch_tokens, max_batch_sentences or len(self.lengths)
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose batches the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.cuts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process's share of each batch of the epoch, as indices of sentences."""
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(len(self.lengths))
        # A stable sort keeps the random order among sentences of equal length.
        order = order[np.argsort(self.lengths[order], kind="stable")]
        for number in generator.permutation(len(self)):
            batch = order[self.cuts[number] : self.cuts[number + 1]]
            yield batch[self.rank :: self.processes].tolist()

    @property
    def smallest_batch(self) -> int:
        """The number of sentences in the smallest batch."""
        return int(np.diff(self.cuts).min())


def _find_cuts(lengths: NDArray[Any], max_batch_tokens: int, max_batch_sentences: int) -> list[int]:
    """Return where to cut sorted lengths so that no batch exceeds the budget.

    A sentence that exceeds the budget on its own becomes a batch of one.

    Returns:
        The start of each batch, and the number of sentences at the end.
    """
    cuts = [0]
    start = 0
    for index, length in enumerate((lengths + 1).tolist()):  # + 1: the start or end token
        count = index - start + 1
        # Lengths are sorted, so all sentences of the batch are padded to this one's length.
        is_over = count * length > max_batch_tokens or count > max_batch_sentences
        if count > 1 and is_over:
            cuts.append(index)
            start = index
    return _even_out_cuts([*cuts, len(lengths)], lengths, max_batch_tokens)


def _even_out_cuts(cuts: list[int], lengths: NDArray[Any], max_batch_tokens: int) -> list[int]:
    """Move sentences into a batch that has less than half as many as the batch before it.

    It gets as many as the budget allows, at most until both batches are equally large.
    Otherwise the gradients of a tiny batch would be noisy.
    """
    for number in range(len(cuts) - 2, 0, -1):
        start, cut, end = cuts[number - 1 : number + 2]
        if 2 * (end - cut) < cut - start:
            # The longest sentence is the last one, and stays the longest of its batch.
            most_sentences = max_batch_tokens // int(lengths[end - 1] + 1)
            cuts[number] = end - max(end - cut, min(most_sentences, (end - start) // 2))
    return cuts


class Collator:
    """Turns rows with `input_ids` into a batch, padded on the right.

    Shapes of the batch, with length = longest sentence + 1:
        encoder_input_ids: (batch, length), the sentence and its end token
        encoder_attention_mask: (batch, length), 1 on real tokens
        input_ids: (batch, length), the start token and the sentence
        attention_mask: (batch, length), 1 on real tokens
        labels: (batch, length), the sentence and its end token; -100 under padding
        label_ids: (batch,), only for a conditional model
        encoder_states: (batch, length or 1, size), and decoder_states: (batch, length, hidden): the states
            of frozen parts, only if the rows have them

    Args:
        tokenizer: names the start, end and padding tokens.
        labels: the labels of a conditional model; None for an unconditional one.
        encoder_tokenizer: the tokenizer of an encoder with other tokens than the decoder's. It
            reads the text that the decoder's tokens spell, and the encoder's tensors have their
            own length.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        labels: Labels | None = None,
        encoder_tokenizer: EncoderTokenizer | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.encoder_tokenizer = encoder_tokenizer
        self.labels = labels
        self.pad = tokenizer.pad_token_id
        self.bos = tokenizer.bos_token_id
        self.eos = tokenizer.eos_token_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> Batch:
        """Return the batch of rows; for a conditional model, each row needs a label."""
        batch = self.collate([row["input_ids"] for row in rows])
        batch |= self.collate_states(rows)
        if self.labels is not None:
            column = self.labels.column
            batch["label_ids"] = self.labels.to_ids(row[column] for row in rows)
        return batch

    def collate_states(self, rows: Sequence[dict[str, Any]]) -> Batch:
        """Return the states of frozen parts, if the rows have any."""
        batch: Batch = {}
        encoder_states = collate_states(rows, ENCODER_STATES)
        if encoder_states is not None:
            # A sentence may have a single state, whatever the number of its tokens.
            batch[ENCODER_STATES] = encoder_states
            batch["encoder_attention_mask"] = mask_states(rows, ENCODER_STATES)
        decoder_states = collate_states(rows, DECODER_STATES)
        if decoder_states is not None:
            batch[DECODER_STATES] = decoder_states
        return batch

    def collate(self, sentences: Sequence[Sequence[int]]) -> Batch:
        """Return the batch of sentences, each given as token ids; it has no `label_ids`."""
        length = max(map(len, sentences)) + 1
        # Start, sentence, end, padding: the inputs are all columns but the last one, and the
        # targets all columns but the first one.
        ids = np.full((len(sentences), length + 1), self.pad, dtype=np.int64)
        ids[:, 0] = self.bos
        for row, sentence in zip(ids, sentences, strict=True):
            row[1 : len(sentence) + 1] = sentence
            row[len(sentence) + 1] = self.eos
        # The mask comes from the lengths, because the padding may be the same token as the end.
        lengths = torch.tensor([len(sentence) + 1 for sentence in sentences])
        mask = (torch.arange(length) < lengths.unsqueeze(1)).long()
        inputs = torch.from_numpy(ids[:, :-1].copy())
        targets = torch.from_numpy(ids[:, 1:].copy())
        encoder_ids = targets
        encoder_mask = mask
        if self.encoder_tokenizer is not None:
            texts = decode_batch(self.tokenizer, sentences)
            encoder_ids, encoder_mask = self.encoder_tokenizer.encode(texts)
        return {
            "encoder_input_ids": encoder_ids,
            "encoder_attention_mask": encoder_mask,
            "input_ids": inputs.masked_fill(mask == 0, self.pad),
            "attention_mask": mask,
            "labels": targets.masked_fill(mask == 0, -100),
        }
