"""Start the embeddings of a new model from word vectors in a file.

A token has the vector of the word that it is. Tokens that begin a word, such as `Ġman`
of a byte-level BPE, are that word; pieces from within words have no vector. Tokens
without a vector keep their random weights. Later, nothing distinguishes the embeddings
from others: they are trained, and saved with the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import iterate_token_ids
from textvae.data.vector_text import VectorFile, open_vector_file
from textvae.errors import ConfigError
from textvae.messages import print_note
from textvae.model.modeling import TextVAEModel
from textvae.schema import PartSettings
from textvae.settings.run import Settings

_WORD_STARTS = ("Ġ", "▁")  # how tokenizers mark a token that begins with a space
_INNER_PREFIX = "##"  # how a WordPiece marks a token from within a word

_FEW_TOKENS = 0.5  # share of tokens with a vector below which a note gives advice

PartVectors = dict[str, VectorFile]  # the files of word vectors, by part: encoder, decoder


@dataclass(frozen=True)
class _Found:
    """The vectors of a vocabulary.

    Attributes:
        vectors: each found token's vector, by its id.
        words: how many tokens of the vocabulary are not special.
        lowered: how many of the found ones have the vector of their lower-case form.
    """

    vectors: dict[int, list[float]]
    words: int
    lowered: int


def open_vectors(settings: Settings) -> PartVectors:
    """Return the files of word vectors that the settings name, after a check of their sizes.

    Raises:
        ConfigError: the vectors do not fit the embeddings, or the part does not exist.
        DataError: a file is missing, or holds no word vectors.
    """
    opened: PartVectors = {}
    for name, part in (("encoder", settings.model.encoder), ("decoder", settings.model.decoder)):
        path = getattr(part, "vectors", None)
        if path is None:
            continue
        if name == "encoder" and settings.objective.kind == "language_model":
            raise ConfigError(
                "model.encoder.vectors: a language model has no encoder; set "
                "model.decoder.vectors, or leave it out."
            )
        opened[name] = open_vector_file(Path(path).expanduser())
        _check_size(f"model.{name}", part, opened[name])
    return opened


def start_from_vectors(
    model: TextVAEModel, opened: PartVectors, tokenizer: PreTrainedTokenizerBase, train: Dataset
) -> None:
    """Copy word vectors into the embeddings, and print how many words and tokens have one.

    Args:
        train: the tokenized training sentences, with the column `input_ids`.

    Raises:
        ConfigError: no token has a vector, or the vectors do not fit the embeddings.
        DataError: a line of the file is not a word and its numbers.
    """
    if not opened:
        return
    counts = _count_tokens(train, len(tokenizer))
    found: dict[Path, _Found] = {}
    for name, file in opened.items():
        if file.path not in found:
            found[file.path] = _find_vectors(file, tokenizer)
        embedding: Any = model.get_submodule(name).embed
        _copy_vectors(embedding.weight, found[file.path], f"model.{name}", file)
        print_note(_describe(name, file, found[file.path], counts))


def _check_size(setting: str, part: PartSettings, file: VectorFile) -> None:
    """Refuse vectors of another size than the part's embeddings.

    Raises:
        ConfigError: the message has the setting that fits.
    """
    key = "embedding" if hasattr(part, "embedding") else "hidden"
    size = getattr(part, key)
    if size == file.size:
        return
    fix = f"{setting}.{key}={file.size}"
    heads = getattr(part, "heads", None)
    if heads is not None and file.size % heads:
        fitting = max(count for count in range(1, heads + 1) if file.size % count == 0)
        fix += f" {setting}.heads={fitting}"
    raise ConfigError(
        f"{setting}.vectors = {str(file.path)!r} has vectors of {file.size} numbers, but "
        f"{setting}.{key} = {size}: set {fix}."
    )


def _find_vectors(file: VectorFile, tokenizer: PreTrainedTokenizerBase) -> _Found:
    """Return the vectors of a tokenizer's words; of equal words in the file, the first counts.

    A word that the file lacks has the vector of its lower-case form: many files have lower-case
    words only.
    """
    exact: dict[str, list[int]] = {}
    lower: dict[str, list[int]] = {}
    special_ids = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for token, word in _iterate_words(tokenizer):
        if token in special_ids:
            continue
        exact.setdefault(word, []).append(token)
        if word.lower() != word:
            lower.setdefault(word.lower(), []).append(token)
    vectors: dict[int, list[float]] = {}
    lowered: dict[int, list[float]] = {}
    for word, vector in file.read():
        for token in exact.get(word, ()):
            vectors.setdefault(token, vector)
        for token in lower.get(word, ()):
            lowered.setdefault(token, vector)
    added = lowered.keys() - vectors.keys()
    words = len(tokenizer) - len(set(tokenizer.all_special_ids))
    return _Found({**lowered, **vectors}, words, len(added))


def _iterate_words(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[int, str]]:
    """Yield the id of each token that is a word, and the word."""
    vocabulary = tokenizer.get_vocab()
    are_marked = any(piece.startswith(_WORD_STARTS) and len(piece) > 1 for piece in vocabulary)
    for piece, token in vocabulary.items():
        if are_marked and not piece.startswith(_WORD_STARTS):
            # A piece from within words, or a word without a space before it; the latter is rare.
            continue
        if piece.startswith(_INNER_PREFIX) and len(piece) > len(_INNER_PREFIX):
            continue
        word = piece
        if are_marked:
            # Bytes of letters such as é are written as other characters in a piece.
            word = tokenizer.convert_tokens_to_string([piece]).strip()
        if word:
            yield token, word


def _count_tokens(train: Dataset, size: int) -> NDArray[np.int64]:
    """Return how often each token occurs in the training sentences, (size,)."""
    counts = np.zeros(size, dtype=np.int64)
    for ids, _ in iterate_token_ids(train):
        counts += np.bincount(ids, minlength=size)
    return counts


@torch.no_grad()
def _copy_vectors(weight: Tensor, found: _Found, setting: str, file: VectorFile) -> None:
    """Overwrite the rows of an embedding, (vocab, size), for which there are vectors.

    Raises:
        ConfigError: there are no vectors, or they are longer or shorter than the rows.
    """
    if not found.vectors:
        raise ConfigError(
            f"{setting}.vectors = {str(file.path)!r} has no word of the vocabulary; is it of "
            "another language? With tokenizer.kind=word, tokens are words."
        )
    if weight.shape[1] != file.size:
        raise ConfigError(
            f"{setting}.vectors = {str(file.path)!r} has vectors of {file.size} numbers, but the "
            f"embeddings of this architecture have {weight.shape[1]}: change {setting}.options."
        )
    rows = torch.tensor(list(found.vectors))
    weight[rows] = torch.tensor(list(found.vectors.values()), dtype=weight.dtype)


def _describe(name: str, file: VectorFile, found: _Found, counts: NDArray[np.int64]) -> str:
    """Return the note about the words and the tokens that have a vector."""
    tokens = int(counts[list(found.vectors)].sum())
    share = tokens / max(1, int(counts.sum()))
    words = len(found.vectors)
    lowered = f", {found.lowered:,} of them in lower case" if found.lowered else ""
    note = (
        f"the {name} starts from {file.path}: vectors of {file.size} numbers for {words:,} of "
        f"{found.words:,} words of the vocabulary ({words / max(1, found.words):.1%}){lowered}, and "
        f"for {share:.1%} of the tokens of the training sentences; the others start at random."
    )
    if share < _FEW_TOKENS:
        return f"{note} With tokenizer.kind=word and a file of the same language, more are found."
    return note
