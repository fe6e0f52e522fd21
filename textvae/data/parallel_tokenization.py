"""Tokenize a cleaned split in parallel processes, block by block, in order.

The blocks and their order do not depend on the number of processes, so neither
do the files. The processes are workers of torch's DataLoader, and only a few
tokenized blocks are in memory at once. Cleaning stays in one process: it takes a
twentieth of the time of tokenizing, about as long as sending sentences to a worker.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import ROWS_PER_BLOCK, write_record_batches
from textvae.data.cleaning import fingerprint_sentence
from textvae.data.tables import Row
from textvae.data.tokenization import decode_batch, encode_batch
from textvae.runtime.workers import choose_worker_context, prepare_worker

_MIN_SENTENCES_PER_PROCESS = 25_000  # for fewer, starting the process takes as long

_MAX_DEFAULT_PROCESSES = 16

_TokenizedBlock = tuple[pa.RecordBatch, Counter[str]]  # rows, and counts of them


class BlockDataset(TorchDataset[_TokenizedBlock]):
    """A cleaned split as blocks, with token ids, lengths, words and bytes next to each text.

    Args:
        texts: the cleaned split; the blocks contain its columns of labels, too.
        tokenizer: turns a text into token ids.
        max_tokens: longer sentences are cut.
        held_out_fingerprints: of sentences of other splits; those that are found here as
            well are counted as `also_held_out`.
        drops_held_out: whether to leave these sentences out.
    """

    def __init__(
        self,
        texts: Dataset,
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        held_out_fingerprints: frozenset[int] = frozenset(),
        drops_held_out: bool = False,
    ) -> None:
        self.texts = texts
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.held_out_fingerprints = held_out_fingerprints
        self.drops_held_out = drops_held_out
        numbers = [(name, pa.int32()) for name in ("length", "words", "bytes")]
        added = pa.schema([("input_ids", pa.list_(pa.int32())), *numbers])
        self.schema = pa.unify_schemas([texts.features.arrow_schema.remove_metadata(), added])

    def __len__(self) -> int:
        """Return the number of blocks."""
        return -(-len(self.texts) // ROWS_PER_BLOCK)

    def __getitem__(self, number: int) -> _TokenizedBlock:
        """Return a block, and its counts.

        The counts are `sentences`, `tokens`, `unknown` tokens, `words`, and sentences that are
        `truncated` or `also_held_out`.
        """
        counts = Counter[str]()
        block = self.texts[number * ROWS_PER_BLOCK : (number + 1) * ROWS_PER_BLOCK]
        is_held_out = [self._is_held_out(text) for text in block["text"]]
        counts["also_held_out"] += sum(is_held_out)
        if self.drops_held_out:
            retained = [i for i, is_duplicate in enumerate(is_held_out) if not is_duplicate]
            block = {name: [column[i] for i in retained] for name, column in block.items()}
        rows = list(_tokenize_rows(block, self.tokenizer, self.max_tokens, counts))
        return pa.RecordBatch.from_pylist(rows, schema=self.schema), counts

    def _is_held_out(self, text: str) -> bool:
        """Return whether a text is one of the held-out sentences of another split."""
        if not self.held_out_fingerprints:  # fingerprints cost time
            return False
        return fingerprint_sentence(text) in self.held_out_fingerprints


def tokenize_blocks(blocks: BlockDataset, file: Path, processes: int | None) -> dict[str, int]:
    """Write all blocks to an Arrow file; return the sums of their counts.

    Args:
        processes: how many processes tokenize; None for as many as save time.
    """
    counts: Counter[str] = Counter()
    if processes is None:
        useful = len(blocks.texts) // _MIN_SENTENCES_PER_PROCESS
        processes = min(useful, os.cpu_count() or 1, _MAX_DEFAULT_PROCESSES)
    processes = min(processes, len(blocks))  # others would start for nothing
    workers = processes if processes > 1 else 0
    loader: DataLoader[_TokenizedBlock] = DataLoader(
        blocks,
        batch_size=None,
        collate_fn=return_unchanged,
        num_workers=workers,
        multiprocessing_context=choose_worker_context(workers),
        worker_init_fn=prepare_tokenizing_worker,
        # Without a generator of its own, the loader would use the run's generator.
        generator=torch.Generator(),
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for batch, batch_counts in loader:
            counts.update(batch_counts)
            yield batch

    write_record_batches(batches(), file, blocks.schema)
    return dict(counts)


def return_unchanged(item: Any) -> Any:
    """Return what a worker process produced, without torch's conversion to tensors."""
    return item


def prepare_tokenizing_worker(worker: int) -> None:
    """Prepare a worker process, and turn off the threads of the tokenizers library in it.

    Its threads would not survive the fork, and the processes already use all cores.
    """
    prepare_worker(worker)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _tokenize_rows(
    block: Mapping[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    counts: Counter[str],
) -> Iterator[Row]:
    """Yield a block's rows with their tokens; a long text is replaced by its beginning.

    Words and bytes are counted after the cut, so that measures per word or byte
    divide by what the model reads.
    """
    for i, ids in enumerate(encode_batch(tokenizer, block["text"])):
        row = {name: block[name][i] for name in block}
        if len(ids) > max_tokens:
            counts["truncated"] += 1
            ids, row["text"] = cut_tokens(tokenizer, ids, max_tokens)
        words = len(row["text"].split())
        row["input_ids"] = ids
        row["length"] = len(ids)
        row["words"] = words
        row["bytes"] = len(row["text"].encode())
        if tokenizer.unk_token_id is not None:
            counts["unknown"] += ids.count(tokenizer.unk_token_id)
        counts.update(sentences=1, tokens=len(ids) + 1, words=words)  # + 1: the end token
        yield row


def cut_tokens(
    tokenizer: PreTrainedTokenizerBase, ids: list[int], max_tokens: int
) -> tuple[list[int], str]:
    """Return the first tokens of a text and what they spell, without half a character at the end.

    A token of a byte-level tokenizer may be part of a character. Decoding
    shows such a part as U+FFFD.
    """
    ids = ids[:max_tokens]
    text = decode_batch(tokenizer, [ids])[0]
    while text.endswith("\ufffd") and len(ids) > 1:
        ids = ids[:-1]
        text = decode_batch(tokenizer, [ids])[0]
    return ids, text
