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

from textvae.data.arrow import BLOCK, write_batches
from textvae.data.cleaning import fingerprint
from textvae.data.tables import Row
from textvae.data.tokenization import decode_batch, encode_batch

WORTH_A_PROCESS = 25_000  # sentences; for fewer, starting it takes as long


MOST_PROCESSES = 16  # by default


Tokens = tuple[pa.RecordBatch, Counter[str]]


class Blocks(TorchDataset[Tokens]):
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
        drops_held: bool = False,
    ) -> None:
        self.texts, self.tokenizer, self.max_tokens = texts, tokenizer, max_tokens
        self.held, self.drops_held = held, drops_held
        numbers = [(name, pa.int32()) for name in ("length", "words", "bytes")]
        extra = pa.schema([("input_ids", pa.list_(pa.int32())), *numbers])
        self.schema = pa.unify_schemas([texts.features.arrow_schema.remove_metadata(), extra])

    def __len__(self) -> int:
        """Return the number of blocks."""
        return -(-len(self.texts) // BLOCK)

    def __getitem__(self, number: int) -> Tokens:
        """Return a block, and the counts of its sentences, tokens, words, `truncated` and `also_held_out` ones."""
        block, counts = self.texts[number * BLOCK : (number + 1) * BLOCK], Counter[str]()
        leaks = [bool(self.held) and fingerprint(text) in self.held for text in block["text"]]
        counts["also_held_out"] += sum(leaks)
        if self.drops_held:
            block = {
                name: [value for value, is_leak in zip(column, leaks, strict=True) if not is_leak]
                for name, column in block.items()
            }
        rows = list(token_rows(block, self.tokenizer, self.max_tokens, counts))
        return pa.RecordBatch.from_pylist(rows, schema=self.schema), counts


def tokenize(blocks: Blocks, file: Path, processes: int | None) -> dict[str, int]:
    """Write all blocks to an Arrow file; return their counts.

    Args:
        processes: how many work at it; by default as many as pay.
    """
    counts: Counter[str] = Counter()
    if processes is None:
        processes = min(len(blocks.texts) // WORTH_A_PROCESS, os.cpu_count() or 1, MOST_PROCESSES)
    loader: DataLoader[Tokens] = DataLoader(
        blocks,
        batch_size=None,
        collate_fn=as_it_is,
        num_workers=processes if processes > 1 else 0,
        worker_init_fn=one_thread,
        generator=torch.Generator(),  # its own, or it would draw from the run's
    )

    def batches() -> Iterator[pa.RecordBatch]:
        for batch, more in loader:
            counts.update(more)
            yield batch

    write_batches(batches(), file, blocks.schema)
    return dict(counts)


def token_rows(
    block: Mapping[str, list[Any]], tokenizer: PreTrainedTokenizerBase, most: int, counts: Counter[str]
) -> Iterator[Row]:
    """Yield a block's rows with their tokens; a text that is cut is kept as it reads after the cut."""
    for place, ids in enumerate(encode_batch(tokenizer, block["text"])):
        row = {name: block[name][place] for name in block}
        if len(ids) > most:
            counts["truncated"] += 1
            ids = ids[:most]
            row["text"] = decode_batch(tokenizer, [ids])[0]
            while row["text"].endswith("\ufffd") and len(ids) > 1:  # bytes of a letter that was cut through
                ids = ids[:-1]
                row["text"] = decode_batch(tokenizer, [ids])[0]
        measures = {"length": len(ids), "words": len(row["text"].split()), "bytes": len(row["text"].encode())}
        counts.update(sentences=1, tokens=len(ids) + 1, words=measures["words"])
        yield {**row, "input_ids": ids, **measures}


def as_it_is(item: Any) -> Any:
    """Return what a loading process made, unchanged."""
    return item


def one_thread(worker: int) -> None:
    """Keep a tokenizer from threads of its own: they would not survive the fork, and the processes are enough."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
