"""Which tokens may begin the words in a blank, and which may continue them.

Tokenizers with marked word starts (byte-level BPE, SentencePiece) have two tokens for
most words: "Ġman" after a space, and "man" at the start of a text or after a bracket.
A blank has to begin with the kind that its place asks for.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from textvae.inference.bundle import Bundle

_WORD_START_MARKS = ("Ġ", "▁")  # how tokenizers mark a token that begins with a space

_BLANK_BYTES = ("Ġ", "ĉ", "Ċ", "č")  # how tokenizers of bytes write space, tab and line ends


@dataclass(frozen=True)
class WordTokens:
    """The tokens that blanks may have; each mask is (vocab,).

    Attributes:
        after_space: those that may begin a blank after a space.
        without_space: those that may begin a blank where no space is before it.
        continuing: those that may follow in a blank.
        in_word: those that may be anywhere in a blank that is part of a word: all but spaces.
        uses_marks: whether tokens after a space are marked. Otherwise tokens are whole
            words, word pieces, characters or bytes, and both kinds of beginnings are equal.
    """

    after_space: Tensor
    without_space: Tensor
    continuing: Tensor
    in_word: Tensor
    uses_marks: bool


def find_word_tokens(bundle: Bundle) -> WordTokens:
    """Return the tokens that blanks may have, of a model's whole vocabulary."""
    tokenizer = bundle.tokenizer
    # A model's vocabulary may be larger than its tokenizer's; the surplus ids have no piece.
    pieces = tokenizer.convert_ids_to_tokens(list(range(bundle.model.config.vocab_size)))
    special_ids = _find_special_ids(bundle)
    inner_prefix = _find_inner_prefix(bundle)
    usable = []
    begins_word = []
    is_marked = []
    for number, piece in enumerate(pieces):
        usable.append(piece is not None and number not in special_ids)
        begins_word.append(piece is not None and _begins_word(piece, inner_prefix))
        is_marked.append(piece is not None and has_word_start_mark(piece))
    continuing = torch.tensor(usable)
    may_begin = continuing & torch.tensor(begins_word)
    marked = torch.tensor(is_marked)
    uses_marks = bool((may_begin & marked).any())
    return WordTokens(
        after_space=may_begin & marked if uses_marks else may_begin,
        without_space=may_begin & ~marked if uses_marks else may_begin,
        continuing=continuing,
        in_word=continuing & ~torch.tensor([_is_space(piece) for piece in pieces]),
        uses_marks=uses_marks,
    )


def has_word_start_mark(piece: str) -> bool:
    """Tell whether a token begins with a space, or is one."""
    return piece.startswith(_WORD_START_MARKS)


def is_word_start_mark(piece: str) -> bool:
    """Tell whether a token is nothing but a space."""
    return piece in _WORD_START_MARKS


def _is_space(piece: str | None) -> bool:
    """Tell whether a token is a space or another blank, as tokenizers of characters or bytes have."""
    return piece is not None and (piece.isspace() or piece in _BLANK_BYTES)


def _find_special_ids(bundle: Bundle) -> set[int]:
    """Return the ids of all special tokens, also of those that have none of the usual roles."""
    added = bundle.tokenizer.added_tokens_decoder
    added_special_ids = {number for number, token in added.items() if token.special}
    return added_special_ids | set(bundle.tokenizer.all_special_ids)


def _find_inner_prefix(bundle: Bundle) -> str | None:
    """Return the prefix of the pieces that do not begin a word: `##` in most WordPiece models."""
    backend = getattr(bundle.tokenizer, "backend_tokenizer", None)
    return getattr(getattr(backend, "model", None), "continuing_subword_prefix", None) or None


def _begins_word(piece: str, inner_prefix: str | None) -> bool:
    """Tell whether a token begins a word: it has a letter or a digit and no prefix of inner pieces.

    The mark of a word's start is not a letter, although "Ġ" is one for Python.
    """
    if inner_prefix is not None and piece.startswith(inner_prefix):
        return False
    return any(character.isalnum() for character in piece.lstrip("".join(_WORD_START_MARKS)))
