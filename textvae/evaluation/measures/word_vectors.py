"""Word vectors: what sentences are compared by.

By default the decoder's own embedding, a vector for each of the tokenizer's tokens; or a file in word2vec's text
format (a line a word: the word and its numbers; a first line of two numbers is a header), for lower-case words.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textvae.data.tokenization import encode_batch
from textvae.errors import DataError
from textvae.inference.bundle import Bundle


@dataclass(frozen=True)
class WordBag:
    """The words of a sentence: vectors (n, size), and how often each stands there, (n,)."""

    vectors: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class WordVectors:
    """A table of vectors, (words, size), and how a text becomes numbers of its rows."""

    name: str
    table: NDArray[Any]
    rows: Callable[[str], list[int]]

    def bag(self, text: str) -> WordBag:
        """Return a text's words; words without a vector are left out, and a text of none is one word at the origin."""
        rows, counts = np.unique(np.array(self.rows(text), dtype=np.int64), return_counts=True)
        if len(rows) == 0:
            return WordBag(np.zeros((1, self.table.shape[1])), np.ones(1, dtype=np.int64))
        return WordBag(self.table[rows].astype(np.float64), counts)


def load_word_vectors(bundle: Bundle, file: str | None) -> WordVectors:
    """Return the vectors of a file, or the decoder's own."""
    if file is not None:
        return read_word2vec(Path(file))
    embedding = bundle.model.get_input_embeddings().weight
    assert isinstance(embedding, torch.Tensor)
    table = embedding.detach().float().cpu().numpy()
    return WordVectors(
        "the decoder's embedding", table, lambda text: encode_batch(bundle.tokenizer, [text])[0]
    )


def read_word2vec(file: Path) -> WordVectors:
    """Read a word2vec text file.

    Raises:
        DataError: it is missing, or a line is not a word and its numbers.
    """
    places: dict[str, int] = {}
    rows: list[NDArray[np.float32]] = []
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                word, *numbers = line.rstrip().split(" ")
                if number == 1 and len(numbers) == 1:  # a header: how many words, of what size
                    continue
                row = np.array(numbers, dtype=np.float32)
                if (
                    len(row) == 0
                    or (rows and len(row) != len(rows[0]))
                    or not np.isfinite(row).all()
                ):
                    raise ValueError(f"line {number} holds {len(row)} numbers")
                places.setdefault(word, len(rows))
                rows.append(row)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file}: holds no word vectors: {error}; wanted is a word and its numbers a line."
        ) from None
    if not rows:
        raise DataError(f"{file}: holds no word vectors; wanted is a word and its numbers a line.")
    return WordVectors(
        file.name,
        np.stack(rows),
        lambda text: [places[word] for word in text.lower().split() if word in places],
    )
