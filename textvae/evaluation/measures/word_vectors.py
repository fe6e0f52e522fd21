"""Word vectors, by which interpolation measures compare sentences.

By default they are the decoder's own embedding, with one vector per token. Otherwise
they come from a file in word2vec's text format, for lower-case words (see
textvae/data/vector_text.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from textvae.data.tokenization import encode_batch
from textvae.data.vector_text import open_vector_file
from textvae.inference.bundle import Bundle


@dataclass(frozen=True)
class WordBag:
    """The different words of a sentence: vectors, (n, size), and how often each occurs, (n,)."""

    vectors: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class WordVectors:
    """A table of word vectors, and how to find a text's words in it.

    Attributes:
        name: what reports call the vectors.
        table: (words, size).
        find_rows: from a text to the rows of its words in the table.
    """

    name: str
    table: NDArray[Any]
    find_rows: Callable[[str], list[int]]

    def make_bag(self, text: str) -> WordBag:
        """Return the words of a text; words without a vector are left out.

        A text without any known word becomes one word at the origin.
        """
        ids = np.array(self.find_rows(text), dtype=np.int64)
        rows, counts = np.unique(ids, return_counts=True)
        if len(rows) == 0:
            return WordBag(np.zeros((1, self.table.shape[1])), np.ones(1, dtype=np.int64))
        return WordBag(self.table[rows].astype(np.float64), counts)


def load_word_vectors(bundle: Bundle, file: str | None) -> WordVectors:
    """Return the vectors of a file, or without one the decoder's embedding.

    Raises:
        DataError: the file is missing, or is not in word2vec's text format.
    """
    if file is not None:
        return read_word2vec(Path(file))
    embedding = bundle.model.get_input_embeddings().weight
    assert isinstance(embedding, torch.Tensor)
    table = embedding.detach().float().cpu().numpy()

    def find_rows(text: str) -> list[int]:
        """Return the token ids of a text, which are the rows of the embedding."""
        return encode_batch(bundle.tokenizer, [text])[0]

    return WordVectors("the decoder's embedding", table, find_rows)


def read_word2vec(file: Path) -> WordVectors:
    """Read a file in word2vec's text format.

    Raises:
        DataError: the file is missing, or a line is not a word and its numbers.
    """
    row_of_word: dict[str, int] = {}
    rows: list[NDArray[np.float32]] = []
    for word, vector in open_vector_file(file).read():
        row_of_word.setdefault(word, len(rows))  # the first of equal words counts
        rows.append(np.array(vector, dtype=np.float32))

    def find_rows(text: str) -> list[int]:
        """Return the rows of a text's known words."""
        return [row_of_word[word] for word in text.lower().split() if word in row_of_word]

    return WordVectors(file.name, np.stack(rows), find_rows)
