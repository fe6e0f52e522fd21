"""The tokenizers of pretrained parts: loaded for our use, and trimmed to a corpus.

A pretrained decoder brings the tokenizer of the whole run. It is loaded with the
special tokens that a text VAE needs and without a chat template. Most of a large
vocabulary never occurs in a corpus of one domain; `trim_tokenizer` leaves those
tokens out, and every text of the corpus keeps its tokens.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from textvae.data.tokenization import (
    TokenizerSettings,
    add_special_tokens,
    encode_batch,
    read_users_tokenizer,
    require_ids_without_gaps,
)
from textvae.errors import ConfigError

_SENTENCES_PER_BLOCK = 4096  # sentences tokenized at once

_BYTE_FALLBACK_PIECES = [f"<0x{byte:02X}>" for byte in range(256)]

_Pair = tuple[str, str]  # the two pieces that a merge joins


def load_decoder_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a pretrained decoder, and add the special tokens it lacks.

    Its start, end, padding and unknown tokens are four different tokens. It has no chat
    template and never adds special tokens to a text.

    Raises:
        ConfigError: the folder contains no tokenizer that can be used, or one that runs its
            own code.
    """
    loaded = read_users_tokenizer(Path(folder), f"{str(folder)!r}")
    backend = _copy_backend(loaded)
    if backend is None:
        raise ConfigError(
            f"{str(folder)!r} holds a tokenizer that is written in Python; expected one of the "
            "tokenizers library. Use a base with a tokenizer.json."
        )
    backend.post_processor = None
    if _is_never_unknown(backend):
        _release_unknown_token(loaded, backend)
    tokenizer = _wrap_like(loaded, backend)
    add_special_tokens(tokenizer)
    return tokenizer


def check_decoder_tokenizer(settings: TokenizerSettings) -> None:
    """Check that the tokenizer of a pretrained decoder can be used, before there are sentences.

    Args:
        settings: `path` is the folder of the base.

    Raises:
        ConfigError: the folder contains no tokenizer that can be used; or it should be trimmed,
            and its kind cannot be.
    """
    tokenizer = load_decoder_tokenizer(str(settings.path))
    is_byte_level = _is_byte_level(tokenizer.backend_tokenizer)
    if settings.trim is True and not is_byte_level:
        raise _trimming_error()
    if settings.trim is False or not is_byte_level:  # trimming numbers the tokens again
        require_ids_without_gaps(tokenizer, f"the tokenizer in {str(settings.path)!r}")


def build_decoder_tokenizer(
    settings: TokenizerSettings, sentences: Iterable[str]
) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a pretrained decoder, trimmed to the sentences if that is possible.

    Args:
        settings: `path` is the folder of the base.

    Raises:
        ConfigError: the folder contains no tokenizer that can be used; or it should be trimmed,
            and its kind cannot be.
    """
    tokenizer = load_decoder_tokenizer(str(settings.path))
    if settings.trim is False:
        return tokenizer
    used: set[int] = set()
    iterator = iter(sentences)
    while block := list(islice(iterator, _SENTENCES_PER_BLOCK)):
        for row in encode_batch(tokenizer, block):
            used.update(row)
    trimmed = trim_tokenizer(tokenizer, used)
    if trimmed is None:
        if settings.trim is True:
            raise _trimming_error()
        return tokenizer
    return trimmed.tokenizer


def _trimming_error() -> ConfigError:
    """Return the error of a tokenizer that should be trimmed and cannot be."""
    return ConfigError(
        "tokenizer.trim = True does not work with this decoder's tokenizer: only a BPE of bytes can "
        "be trimmed without a change of its texts. Leave it out."
    )


@dataclass(frozen=True)
class TrimmedTokenizer:
    """A tokenizer with a part of the tokens of another.

    Attributes:
        tokenizer: the smaller tokenizer.
        kept: for each token, by its new id, the id that it has in the other tokenizer.
    """

    tokenizer: PreTrainedTokenizerBase
    kept: list[int]


def trim_tokenizer(
    tokenizer: PreTrainedTokenizerBase, used_ids: Iterable[int]
) -> TrimmedTokenizer | None:
    """Return the tokenizer without the tokens that a corpus does not use.

    Added tokens, the tokens of single bytes, and the tokens that used ones are merged from
    stay too. A text whose tokens are all used keeps them, with new ids. In any other text,
    an unused token becomes several shorter ones that stand for the same bytes. The result
    adds no special tokens to a text.

    Returns:
        None if it is not a byte-level BPE, or if the result would not encode the corpus with
            the same tokens.
    """
    backend = _copy_backend(tokenizer)
    if backend is None or not _is_byte_level(backend):
        return None
    content = json.loads(backend.to_str())
    used = set(used_ids)
    used_pieces = [piece for piece, old in content["model"]["vocab"].items() if old in used]
    kept = _trim_content(content, used_pieces, set(tokenizer.all_special_ids))
    trimmed = _wrap_like(tokenizer, Tokenizer.from_str(json.dumps(content)))
    if not _has_ids(trimmed, tokenizer, kept):
        return None
    if not _is_equally_merged(trimmed, tokenizer, used_pieces, kept):
        return None
    return TrimmedTokenizer(trimmed, kept)


def _trim_content(
    content: dict[str, Any], used_pieces: Iterable[str], special_ids: set[int]
) -> list[int]:
    """Trim the JSON of a byte-level BPE in place; return the old id of each new id."""
    model = content["model"]
    vocabulary: dict[str, int] = model["vocab"]
    added: list[dict[str, Any]] = content["added_tokens"]
    pieces = {*used_pieces, *pre_tokenizers.ByteLevel.alphabet(), model["unk_token"]}
    pieces |= {entry["content"] for entry in added}
    pieces |= {piece for piece, old in vocabulary.items() if old in special_ids}
    pieces |= _find_ancestors(used_pieces, model["merges"])
    kept = sorted(vocabulary[piece] for piece in pieces & vocabulary.keys())
    # Added tokens that the model does not know get the ids after the model's.
    kept += sorted(entry["id"] for entry in added if entry["content"] not in vocabulary)
    new_ids = {old: new for new, old in enumerate(kept)}
    model["vocab"] = {piece: new_ids[old] for piece, old in vocabulary.items() if piece in pieces}
    model["merges"] = [
        [left, right] for left, right in model["merges"] if {left, right, left + right} <= pieces
    ]
    for entry in added:
        entry["id"] = new_ids[entry["id"]]
    added.sort(key=lambda entry: int(entry["id"]))
    # It names tokens by their old ids, and our code adds start and end tokens itself.
    content["post_processor"] = None
    return kept


def _find_ancestors(pieces: Iterable[str], merges: Sequence[Sequence[str]]) -> set[str]:
    """Return all pieces that occur while these pieces are merged from bytes.

    Several merges may give the same piece. Which of them encoding takes does not depend on
    the text around the piece: no merge crosses its borders, and those within have the same
    order as in the piece alone. So each piece is merged alone, as encoding would do it.
    """
    ranks: dict[_Pair, int] = {(left, right): rank for rank, (left, right) in enumerate(merges)}
    ancestors: set[str] = set()
    for piece in pieces:
        states = _merge_bytes(piece, ranks)
        # A piece that merges do not produce is an added token, or comes from `ignore_merges`.
        if states[-1:] == [piece]:
            ancestors.update(states)
    return ancestors


def _merge_bytes(piece: str, ranks: Mapping[_Pair, int]) -> list[str]:
    """Return the pieces made by each merge of a byte-level BPE, in order; the first is a byte."""
    parts = list(piece)
    made = parts[:1]
    while len(parts) > 1:
        pairs = list(pairwise(parts))
        # The lowest rank first; of equal ranks, the leftmost.
        place = min(range(len(pairs)), key=lambda index: ranks.get(pairs[index], len(ranks)))
        if pairs[place] not in ranks:
            break
        parts[place : place + 2] = ["".join(pairs[place])]
        made.append(parts[place])
    return made


def _has_ids(
    trimmed: PreTrainedTokenizerBase, tokenizer: PreTrainedTokenizerBase, kept: Sequence[int]
) -> bool:
    """Return whether each token has the new id that it should have, and there are no others."""
    pieces = tokenizer.convert_ids_to_tokens(list(kept))
    vocabulary: dict[str, int] = trimmed.get_vocab()
    return vocabulary == {piece: new for new, piece in enumerate(pieces)}


def _is_equally_merged(
    trimmed: PreTrainedTokenizerBase,
    tokenizer: PreTrainedTokenizerBase,
    pieces: Iterable[str],
    kept: Sequence[int],
) -> bool:
    """Return whether both tokenizers encode the used pieces as the same single tokens."""
    old_model = tokenizer.backend_tokenizer.model
    new_model = trimmed.backend_tokenizer.model
    for piece in pieces:
        old = [token.id for token in old_model.tokenize(piece)]
        new = [kept[token.id] for token in new_model.tokenize(piece)]
        # Even the full tokenizer may split a piece, if the piece is an added token.
        if len(old) == 1 and old != new:
            return False
    return True


def _copy_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer | None:
    """Return a copy of a tokenizer's backend without padding or truncation.

    Returns:
        None if it has no backend of the tokenizers library.
    """
    if not tokenizer.is_fast:
        return None
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def _wrap_like(loaded: PreTrainedTokenizerBase, backend: Tokenizer) -> PreTrainedTokenizerFast:
    """Return a backend as a tokenizer with the special tokens of another, and nothing else of it.

    The tokenizer classes of specific models, such as `GPT2Tokenizer`, would build another
    backend when they are loaded again.
    """
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        # The clean-up joins punctuation marks and short forms to the word before. Only WordPiece
        # has separated them; with other kinds, spaces of the text would be lost.
        clean_up_tokenization_spaces=isinstance(backend.model, models.WordPiece),
        **loaded.special_tokens_map,
    )


def _release_unknown_token(loaded: PreTrainedTokenizerBase, backend: Tokenizer) -> None:
    """Take the role of the unknown token from a token that has another role as well.

    GPT-2's `<|endoftext|>` is both unknown and end token, but no text ever needs an unknown
    token. So it can stay the end token, which the base has learned.
    """
    others = {loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id}
    if loaded.unk_token_id in others:
        loaded.unk_token = None
        backend.model.unk_token = None


def _is_never_unknown(backend: Tokenizer) -> bool:
    """Return whether no text has an unknown token, because single bytes are tokens."""
    model = backend.model
    if not isinstance(model, models.BPE):
        return False
    bytes_needed = _BYTE_FALLBACK_PIECES if model.byte_fallback else None
    if _is_byte_level(backend):
        bytes_needed = pre_tokenizers.ByteLevel.alphabet()
    if bytes_needed is None:
        return False
    # Some vocabularies lack bytes that never occur in UTF-8. Without an unknown token, such a
    # byte would simply be left out.
    return not model.unk_token or None not in map(model.token_to_id, bytes_needed)


def _is_byte_level(backend: Tokenizer) -> bool:
    """Return whether a backend is a deterministic BPE whose smallest pieces are bytes."""
    content = json.loads(backend.to_str())
    model = content["model"]
    return (
        model["type"] == "BPE"
        and not model["dropout"]
        and not model["byte_fallback"]
        and not model["continuing_subword_prefix"]
        and not model["end_of_word_suffix"]
        and "ByteLevel" in _list_types(content["pre_tokenizer"])
        and "ByteLevel" in _list_types(content["decoder"])
    )


def _list_types(part: Mapping[str, Any] | None) -> set[str]:
    """Return the type of a part of a backend's JSON, and those of the parts within it."""
    if part is None:
        return set()
    types = {part["type"]}
    for inner in (*part.get("pretokenizers", ()), *part.get("decoders", ())):
        types |= _list_types(inner)
    return types
