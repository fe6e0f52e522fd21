"""Batching: sentences of like length together, a budget of tokens a batch, padding on the right."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase

from textvae.data.labels import Labels

Batch = dict[str, Tensor]


_DECODER_INPUTS = ("input_ids", "attention_mask", "labels", "label_ids")


def select_decoder_inputs(batch: Batch) -> Batch:
    """Return what of a batch the decoder reads and is measured by, z left aside."""
    return {name: batch[name] for name in _DECODER_INPUTS if name in batch}


class LengthBuckets(Sampler[list[int]]):
    """Batches of indices, sorted by length, cut at a token budget, in an order drawn anew each epoch.

    Sentences of equal length are shuffled among themselves, and so are the
    batches; the number of batches is the same in every epoch, so a step's
    number tells its epoch.

    Several processes share each batch out, sentence by sentence: what is in it
    does not depend on how many they are.

    Args:
        lengths: tokens of each sentence.
        tokens: most places, padding included, in a batch.
        sentences: most sentences in a batch.
        seed: draws the order, with the epoch.
        rank, processes: whose share of each batch is yielded, and among how many.
    """

    def __init__(
        self,
        lengths: Sequence[int] | NDArray[Any],
        tokens: int,
        sentences: int | None,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int32)
        self.seed, self.rank, self.processes = seed, rank, processes
        self.epoch = 0
        self.cuts = _find_cuts(np.sort(self.lengths), tokens, sentences or len(self.lengths))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.cuts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the epoch's batches."""
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(len(self.lengths))
        order = order[np.argsort(self.lengths[order], kind="stable")]
        for number in random.permutation(len(self)):
            yield order[self.cuts[number] : self.cuts[number + 1]][
                self.rank :: self.processes
            ].tolist()

    @property
    def smallest(self) -> int:
        """Return the number of sentences of the smallest batch."""
        return int(np.diff(self.cuts).min())


def _find_cuts(lengths: NDArray[Any], tokens: int, sentences: int) -> list[int]:
    """Return where to cut sorted lengths, so that no batch exceeds its budget (but for one long sentence)."""
    cuts, start = [0], 0
    for place, length in enumerate((lengths + 1).tolist()):  # + 1: the start or end token
        count = place - start + 1
        if count > 1 and (count * length > tokens or count > sentences):
            cuts.append(place)
            start = place
    return _even_out_cuts([*cuts, len(lengths)], lengths, tokens)


def _even_out_cuts(cuts: list[int], lengths: NDArray[Any], tokens: int) -> list[int]:
    """Let a batch of less than half its predecessor's sentences take from it, up to an even split, within budget."""
    for number in range(len(cuts) - 2, 0, -1):
        start, cut, end = cuts[number - 1 : number + 2]
        if 2 * (end - cut) < cut - start:
            room = tokens // int(lengths[end - 1] + 1)
            cuts[number] = end - max(end - cut, min(room, (end - start) // 2))
    return cuts


class Collator:
    """Turns rows with `input_ids` into a padded batch.

    Shapes, of the batch:
        encoder_input_ids, encoder_attention_mask: (batch, longest + 1), the sentence and its end token
        input_ids, attention_mask: the same shape, the start token and the sentence
        labels: the same shape, the sentence and its end token; -100 under padding
        label_ids: (batch,), of a conditional model, whose labels are given
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, labels: Labels | None = None) -> None:
        self.labels = labels
        self.pad, self.bos, self.eos = (
            tokenizer.pad_token_id,
            tokenizer.bos_token_id,
            tokenizer.eos_token_id,
        )

    def __call__(self, rows: Sequence[dict[str, Any]]) -> Batch:
        """Return the batch; of a conditional model, the rows have a label each."""
        batch = self.collate([row["input_ids"] for row in rows])
        if self.labels is not None:
            column = self.labels.column
            batch["label_ids"] = self.labels.ids(row[column] for row in rows)
        return batch

    def collate(self, sentences: Sequence[Sequence[int]]) -> Batch:
        """Return the batch of these token ids."""
        width = max(map(len, sentences)) + 1
        ids = np.full((len(sentences), width + 1), self.pad, dtype=np.int64)
        ids[:, 0] = self.bos
        for row, sentence in zip(ids, sentences, strict=True):
            row[1 : len(sentence) + 1] = sentence
            row[len(sentence) + 1] = self.eos
        lengths = torch.tensor([len(sentence) + 1 for sentence in sentences])
        mask = (torch.arange(width) < lengths.unsqueeze(1)).long()
        inputs, targets = torch.from_numpy(ids[:, :-1].copy()), torch.from_numpy(ids[:, 1:].copy())
        return {
            "encoder_input_ids": targets,
            "encoder_attention_mask": mask,
            "input_ids": inputs.masked_fill(mask == 0, self.pad),
            "attention_mask": mask,
            "labels": targets.masked_fill(mask == 0, -100),
        }
