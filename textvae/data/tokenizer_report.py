"""Notes about what a tokenizer makes of a corpus: texts that it changes, and missing blanks.

A model never writes a word that its tokenizer does not know, nor the capitals, accents
or blanks that its tokenizer drops. So this is measured on the training sentences, before
training starts. The summary of a corpus (corpus_report.py) has the share of unknown tokens;
here is what to do about them with a tokenizer that comes from another run.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from textvae.data.arrow import ROWS_PER_BLOCK, iterate_token_ids
from textvae.data.tokenization import decode_batch
from textvae.messages import print_note

_MAX_COMPARED = 2_000  # sentences that are decoded, to see whether they come back

_MAX_SHOWN_CHARACTERS = 80  # of a sentence

_MANY_UNKNOWN = 0.2  # share of unknown tokens from which a note says how to have fewer

# Scripts that are written without blanks between words, by the beginnings of Unicode's names.
_UNSPACED = (
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TIBETAN",
    "JAVANESE",
    "BALINESE",
    "TAI ",
    "YI ",
)
_UNSPACED_SHARE = 0.3  # of all letters, from which a corpus counts as written without blanks
_MAX_LETTERS_PER_WORD = 5  # more letters per token are whole phrases; words have 1 to 4

_BETTER_KINDS = "tokenizer.kind=bpe or tokenizer.kind=character"


@dataclass(frozen=True)
class UnknownTokens:
    """The unknown tokens of a corpus.

    Attributes:
        unknown: how many tokens are unknown.
        total: how many tokens there are.
        example: a sentence with unknown tokens, or None.
    """

    unknown: int
    total: int
    example: str | None

    @property
    def share(self) -> float:
        """The share of tokens that are unknown, 0 to 1."""
        return self.unknown / max(1, self.total)


@dataclass(frozen=True)
class RoundTrip:
    """How many sentences come back exactly when they are encoded and decoded.

    Attributes:
        exact: how many do.
        compared: how many were compared.
        example: a sentence that does not and what it becomes, or None.
    """

    exact: int
    compared: int
    example: tuple[str, str] | None


def report_tokenizer(
    tokenizer: PreTrainedTokenizerBase, train: Dataset, *, is_inherited: bool = False
) -> None:
    """Print notes about sentences that do not come back, missing blanks, and an inherited tokenizer.

    Args:
        train: the tokenized training sentences, with the columns `text` and `input_ids`.
        is_inherited: whether the tokenizer is that of a run to start from (--init).
    """
    if is_unspaced_at_word_level(train):
        print_note(
            "most of the corpus is in a script without blanks between words, and the tokenizer "
            "splits it at blanks: its tokens are whole phrases, most of which occur once. "
            f"{'Train from scratch with' if is_inherited else 'Set'} {_BETTER_KINDS}."
        )
    if is_inherited:
        unknown = count_unknown_tokens(tokenizer, train)
        if unknown.unknown:
            print_note(_describe_unknown(unknown))
    trip = compare_round_trip(tokenizer, train)
    if trip.example is not None:
        print_note(_describe_round_trip(trip))


def count_unknown_tokens(tokenizer: PreTrainedTokenizerBase, train: Dataset) -> UnknownTokens:
    """Return how many tokens of the training sentences are unknown."""
    unknown_id = tokenizer.unk_token_id
    if unknown_id is None:
        return UnknownTokens(0, 0, None)
    unknown = 0
    total = 0
    rows = 0
    first_row = None
    for ids, lengths in iterate_token_ids(train):
        places = np.flatnonzero(ids == unknown_id)
        if len(places) and first_row is None:
            first_row = rows + int(np.searchsorted(np.cumsum(lengths), places[0], side="right"))
        unknown += len(places)
        total += len(ids)
        rows += len(lengths)
    example = None if first_row is None else train[first_row]["text"]
    return UnknownTokens(unknown, total, example)


def compare_round_trip(tokenizer: PreTrainedTokenizerBase, train: Dataset) -> RoundTrip:
    """Decode sentences from all of the corpus, and compare them with their texts."""
    rows = _sample_rows(train).select_columns(["text", "input_ids"])
    exact = 0
    examples: list[tuple[str, str]] = []
    for block in rows.iter(ROWS_PER_BLOCK):
        for text, decoded in zip(
            block["text"], decode_batch(tokenizer, block["input_ids"]), strict=True
        ):
            if text == decoded:
                exact += 1
            else:
                examples.append((text, decoded))
    return RoundTrip(exact, len(rows), _choose_example(tokenizer, examples))


def is_unspaced_at_word_level(train: Dataset) -> bool:
    """Return whether tokens are whole phrases of a script without blanks between words."""
    letters = 0
    unspaced = 0
    tokens = 0
    for text, length in _iterate_sample(train):
        tokens += length
        for character in text:
            if character.isalpha():
                letters += 1
                unspaced += _is_unspaced(character)
    if unspaced < _UNSPACED_SHARE * letters:
        return False
    return letters > _MAX_LETTERS_PER_WORD * tokens


def _sample_rows(train: Dataset) -> Dataset:
    """Return a limited number of sentences, evenly spaced over the corpus."""
    numbers = np.unique(np.linspace(0, len(train) - 1, min(len(train), _MAX_COMPARED), dtype=int))
    return train.select(numbers)


def _iterate_sample(train: Dataset) -> Iterator[tuple[str, int]]:
    """Yield texts from all of the corpus, and their numbers of tokens."""
    rows = _sample_rows(train).select_columns(["text", "length"])
    for block in rows.iter(ROWS_PER_BLOCK):
        yield from zip(block["text"], block["length"], strict=True)


def _is_unspaced(character: str) -> bool:
    """Return whether a letter belongs to a script without blanks between words."""
    # Most letters are those of alphabets at the beginning of Unicode, all written with blanks.
    return character > "\u0e00" and unicodedata.name(character, "").startswith(_UNSPACED)


def _choose_example(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[tuple[str, str]]
) -> tuple[str, str] | None:
    """Return the shortest example, if possible one without an unknown token.

    Unknown tokens have a note of their own; other changes are harder to see.
    """
    unknown = tokenizer.unk_token
    known = [example for example in examples if not unknown or unknown not in example[1]]
    return min(known or examples, key=lambda example: len(example[0]), default=None)


def _describe_unknown(unknown: UnknownTokens) -> str:
    """Return the note about tokens that are unknown to the tokenizer of the run to start from."""
    note = (
        f"{unknown.unknown:,} of {unknown.total:,} tokens of the training sentences "
        f"({unknown.share:.1%}) are unknown to the tokenizer of the run to start from (--init), for "
        f"instance in {_shorten(unknown.example or '')}: the model cannot write them."
    )
    if unknown.share < _MANY_UNKNOWN:
        return note
    return f"{note} Train from scratch, or from a run whose tokenizer knows these words."


def _describe_round_trip(trip: RoundTrip) -> str:
    """Return the note about sentences that the tokenizer changes."""
    assert trip.example is not None
    text, decoded = trip.example
    share = trip.exact / trip.compared
    shown = f"{share:.1%}"
    if shown == "100.0%":
        shown = "almost all"  # not all of them
    return (
        f"the tokenizer does not write back all that it reads: {shown} of {trip.compared:,} "
        f"training sentences come back exactly; {_shorten(text)} comes back as {_shorten(decoded)}. "
        "The model is trained and measured on what it reads."
    )


def _shorten(text: str) -> str:
    """Return a text in quotes, shortened if it is long."""
    if len(text) <= _MAX_SHOWN_CHARACTERS:
        return repr(text)
    return f"{text[: _MAX_SHOWN_CHARACTERS - 3]!r}..."
