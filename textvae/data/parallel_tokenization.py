"""Tokenising a cleaned split: in parallel processes, block by block, in order.

The blocks and their order are the same whatever the number of processes, and
so are the files. torch's loader runs the processes; only their results, a few
blocks ahead, are in memory. (Cleaning is not worth the same: it takes a
twentieth of the time, about what sending the sentences about would take.)
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

_MIN_SENTENCES_PER_PROCESS = 25_000  # sentences; for fewer, starting it takes as long


_MAX_DEFAULT_PROCESSES = 16  # by default


_TokenizedBlock = tuple[pa.RecordBatch, Counter[str]]


class BlockDataset(TorchDataset[_TokenizedBlock]):
    """A cleaned split as blocks with token ids, lengths, words and bytes beside each text.

    Args:
        texts: the cleaned split; columns of labels stay.
        tokenizer: turns a text into token ids.
        max_tokens: longer sentences are cut.
        held: fingerprints of sentences that are counted as `also_held_out`.
        drops_held: whether these are left out.
    """

    def __init__(
        self,
        texts: Dataset,
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
        held: frozenset[int] = frozenset(),
        drops_held_out: bool = False,
    ) -> None:
        self.texts, self.tokenizer, self.max_tokens = texts, tokenizer, max_tokens
        self.held, self.drops_held_out = held, drops_held_out
        numbers = [(name, pa.int32()) for name in ("length", "words", "bytes")]
        extra = pa.schema([("input_ids", pa.list_(pa.int32())), *numbers])
        self.schema = pa.unify_schemas([texts.features.arrow_schema.remove_metadata(), extra])

    def __len__(self) -> int:
        """Return the number of blocks."""
        return -(-len(self.texts) // ROWS_PER_BLOCK)

    def __getitem__(self, number: int) -> _TokenizedBlock:
        """Return a block, and the counts of its sentences, tokens, words, `truncated` and `also_held_out` ones."""
        block, counts = (
            self.texts[number * ROWS_PER_BLOCK : (number + 1) * ROWS_PER_BLOCK],
            Counter[str](),
        )
        leaks = [
            bool(self.held) and fingerprint_sentence(text) in self.held for text in block["text"]
        ]
        counts["also_held_out"] += sum(leaks)
        if self.drops_held_out:
            block = {
                name: [value for value, is_leak in zip(column, leaks, strict=True) if not is_leak]
                for name, column in block.items()
            }
        rows = list(_tokenize_rows(block, self.tokenizer, self.max_tokens, counts))
        return pa.RecordBatch.from_pylist(rows, schema=self.schema), counts


def tokenize_blocks(blocks: BlockDataset, file: Path, processes: int | None) -> dict[str, int]:
    """Write all blocks to an Arrow file; return their counts.

    Args:
        processes: how many work at it; by default as many as pay.
    """
    counts: Counter[str] = Counter()
    if processes is None:
        processes = min(
            len(blocks.texts) // _MIN_SENTENCES_PER_PROCESS,
            os.cpu_count() or 1,
            _MAX_DEFAULT_PROCESSES,
        )
    loader: DataLoader[_TokenizedBlock] = DataLoader(
        blocks,
        batch_size=None,
        collate_fn=return_unchanged,
        num_workers=processes if processes > 1 else 0,
        worker_init_fn=disable_tokenizer_threads,
        generator=torch.Generator(),  # its own, or it would draw from the run's
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for batch, more in loader:
            counts.update(more)
            yield batch

    write_record_batches(batches(), file, blocks.schema)
    return dict(counts)


def _tokenize_rows(
    block: Mapping[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    most: int,
    counts: Counter[str],
) -> Iterator[Row]:
    """Yield a block's rows with their tokens; a text that is cut is kept as it reads after the cut."""
    for place, ids in enumerate(encode_batch(tokenizer, block["text"])):
        row = {name: block[name][place] for name in block}
        if len(ids) > most:
            counts["truncated"] += 1
            ids = ids[:most]
            row["text"] = decode_batch(tokenizer, [ids])[0]
            while (
                row["text"].endswith("\ufffd") and len(ids) > 1
            ):  # bytes of a letter that was cut through
                ids = ids[:-1]
                row["text"] = decode_batch(tokenizer, [ids])[0]
        measures = {
            "length": len(ids),
            "words": len(row["text"].split()),
            "bytes": len(row["text"].encode()),
        }
        counts.update(sentences=1, tokens=len(ids) + 1, words=measures["words"])
        yield {**row, "input_ids": ids, **measures}


def return_unchanged(item: Any) -> Any:
    """Return what a loading process made, unchanged."""
    return item


def disable_tokenizer_threads(worker: int) -> None:
    """Keep a tokenizer from threads of its own: they would not survive the fork, and the processes are enough."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
