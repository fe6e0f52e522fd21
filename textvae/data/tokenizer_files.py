"""Tokenizers in single files, as people have them next to a model or on their own.

`tokenizer.json`, `vocab.json` with `merges.txt`, `vocab.txt` (WordPiece), and the
`.model` file of sentencepiece. A folder with the config of a tokenizer says more, such as
which tokens begin and end a text; it is read by transformers (tokenization.py).
"""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers import PreTrainedTokenizerFast

from textvae.errors import ConfigError

# Files of a folder without a config, in the order in which they are tried.
_VOCABULARY_FILES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")

_SENTENCEPIECE_SUFFIXES = (".model", ".spm")

_EXPECTED = (
    "expected tokenizer.json, vocab.json with merges.txt next to it, vocab.txt of a WordPiece, a "
    ".model file of sentencepiece, or a folder that holds one of these"
)

# The usual names of special tokens. Files without a config do not say which token has which role.
_USUAL_NAMES = {
    "unk_token": ("<unk>", "[UNK]", "<|unk|>"),
    "bos_token": ("<s>", "<bos>", "[BOS]", "<|startoftext|>", "<|begin_of_text|>"),
    "eos_token": ("</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>"),
    "pad_token": ("<pad>", "[PAD]", "<|padding|>", "<|pad|>"),
}

# Kinds of models and of pieces, in the format of sentencepiece.
_UNIGRAM, _BPE = 1, 2
_CONTROL, _USER_DEFINED = 3, 4


def find_vocabulary_file(folder: Path) -> Path | None:
    """Return the file of a folder that `read_tokenizer_file` can read, or None."""
    for pattern in _VOCABULARY_FILES:
        for file in sorted(folder.glob(pattern)):
            return file
    return None


def list_tokenizer_files(path: Path) -> list[Path]:
    """Return the files that a tokenizer consists of: those of its folder, or it and its merges."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    partner = _name_partner(path)
    return [file for file in (path, partner) if file is not None and file.is_file()]


def read_tokenizer_file(file: Path, source: str) -> PreTrainedTokenizerFast:
    """Read a tokenizer from a single file, or from a vocabulary and its merges.

    Args:
        source: the setting and its value; it begins the message.

    Raises:
        ConfigError: the file is damaged or of another format.
    """
    try:
        if file.suffix == ".json":
            return _read_json(file, source)
        if file.suffix in _SENTENCEPIECE_SUFFIXES:
            return _read_sentencepiece(file, source)
        if file.suffix == ".txt" and file.stem.endswith("merges"):
            return _read_bpe(_require_partner(file, source), file, source)
        if file.suffix == ".txt":
            return _read_word_pieces(file, source)
    except ConfigError:
        raise
    except Exception as error:  # the library raises plain `Exception`
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(f"{source} holds no tokenizer: {reason}; {_EXPECTED}.") from error
    raise ConfigError(f"{source} is not the file of a tokenizer; {_EXPECTED}.")


def _read_json(file: Path, source: str) -> PreTrainedTokenizerFast:
    """Read a file of the tokenizers library, or a vocabulary with its merges."""
    content: Any = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        return _wrap(Tokenizer.from_file(str(file)))
    return _read_bpe(file, _require_partner(file, source), source)


def _read_bpe(vocabulary_file: Path, merges_file: Path, source: str) -> PreTrainedTokenizerFast:
    """Read a byte-pair encoding: of bytes (GPT-2), or of characters with an end of words (GPT)."""
    vocabulary = json.loads(vocabulary_file.read_text(encoding="utf-8"))
    if not _is_vocabulary(vocabulary):
        raise ConfigError(
            f"{source}: {vocabulary_file.name} is not a vocabulary: expected a mapping from tokens "
            "to their numbers."
        )
    merges = _read_merges(merges_file, source)
    unknown = _find_usual(vocabulary, "unk_token")
    if any("Ġ" in token for token in vocabulary):
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    elif any(token.endswith("</w>") for token in vocabulary):
        model = models.BPE(vocabulary, merges, unk_token=unknown, end_of_word_suffix="</w>")
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.BPEDecoder("</w>")
    else:
        raise ConfigError(
            f"{source}: {vocabulary_file.name} marks neither the beginnings of words (Ġ) nor "
            "their ends (</w>), so it does not say where blanks are. Save the tokenizer as "
            "tokenizer.json: tokenizer.save_pretrained(FOLDER)."
        )
    return _wrap(tokenizer)


def _read_merges(file: Path, source: str) -> list[tuple[str, str]]:
    """Return the pairs of a file of merges, in its order.

    Raises:
        ConfigError: a line does not hold two pieces.
    """
    merges = []
    lines = file.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r")
        if not text or text.startswith("#version"):
            continue
        pieces = text.split(" ")
        if len(pieces) != 2:
            raise ConfigError(
                f"{source}: {file.name}, line {number}: expected two pieces with a blank between "
                f"them, got {text[:60]!r}."
            )
        merges.append((pieces[0], pieces[1]))
    return merges


def _read_word_pieces(file: Path, source: str) -> PreTrainedTokenizerFast:
    """Read the vocabulary of a WordPiece (BERT), with one piece per line.

    It is lower-cased if it has no upper-case letter, as BERT's uncased vocabulary.
    """
    pieces = file.read_text(encoding="utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    unknown = _find_usual(pieces, "unk_token")
    if unknown is None:
        raise ConfigError(
            f"{source} has no unknown token ([UNK]), so it is not the vocabulary of a WordPiece. "
            "To learn a vocabulary of words from the corpus, set tokenizer.kind=word and leave "
            "tokenizer.path out."
        )
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    is_cased = any(piece != piece.lower() for piece in pieces if not piece.startswith("["))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not is_cased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece("##")
    return _wrap(tokenizer)


def _read_sentencepiece(file: Path, source: str) -> PreTrainedTokenizerFast:
    """Convert a model of sentencepiece, of the kind unigram or BPE.

    transformers has the definition of the format, and needs protobuf to read it.
    """
    from transformers.convert_slow_tokenizer import import_protobuf

    try:
        proto: Any = import_protobuf().ModelProto()
    except ImportError as error:
        raise ConfigError(
            f"{source} is a model of sentencepiece, which only protobuf can read: "
            "pip install protobuf"
        ) from error
    try:
        proto.ParseFromString(file.read_bytes())
    except Exception:  # protobuf's `DecodeError`, whose module depends on its version
        proto.Clear()
    if not proto.pieces:
        raise ConfigError(
            f"{source} is not a model of sentencepiece; {_EXPECTED}. (Models of tiktoken have the "
            "same suffix: save the tokenizer with transformers, as tokenizer.json.)"
        )
    tokenizer = Tokenizer(_convert_model(proto, source))
    if proto.normalizer_spec.precompiled_charsmap:
        tokenizer.normalizer = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    scheme = "always" if proto.normalizer_spec.add_dummy_prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if proto.normalizer_spec.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    for piece in proto.pieces:
        if piece.type in (_CONTROL, _USER_DEFINED):
            is_special = piece.type == _CONTROL
            tokenizer.add_tokens([AddedToken(piece.piece, normalized=False, special=is_special)])
    return _wrap(tokenizer)


def _convert_model(proto: Any, source: str) -> models.Model:
    """Return the model in a file of sentencepiece.

    Raises:
        ConfigError: it is of another kind than unigram or BPE.
    """
    scores = [(piece.piece, piece.score) for piece in proto.pieces]
    spec = proto.trainer_spec
    if spec.model_type == _UNIGRAM:
        return models.Unigram(scores, unk_id=spec.unk_id, byte_fallback=spec.byte_fallback)
    if spec.model_type == _BPE:
        from transformers.convert_slow_tokenizer import generate_merges

        vocabulary = {piece: number for number, (piece, _) in enumerate(scores)}
        return models.BPE(
            vocabulary,
            generate_merges(vocabulary, dict(scores)),
            unk_token=spec.unk_piece,
            fuse_unk=True,
            byte_fallback=spec.byte_fallback,
        )
    raise ConfigError(
        f"{source} is a model of sentencepiece of whole words or characters; set "
        "tokenizer.kind=word or tokenizer.kind=character, and leave tokenizer.path out."
    )


def _wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Return a tokenizer of the tokenizers library as one of transformers."""
    vocabulary = tokenizer.get_vocab()
    special: dict[str, str] = {}
    for role in _USUAL_NAMES:
        name = _find_usual(vocabulary, role)
        if name is not None:
            special[role] = name
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special
    )


def _find_usual(vocabulary: Collection[str], role: str) -> str | None:
    """Return the token of a vocabulary that usually has a role, or None."""
    for name in _USUAL_NAMES[role]:
        if name in vocabulary:
            return name
    return None


def _is_vocabulary(content: object) -> bool:
    """Return whether the content of a JSON file maps tokens to their numbers."""
    return isinstance(content, Mapping) and bool(content) and _are_ids(content.values())


def _are_ids(values: Iterable[object]) -> bool:
    """Return whether all values are whole numbers."""
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def _name_partner(file: Path) -> Path | None:
    """Return the file of merges of a vocabulary, or the other way round; None for other files."""
    for mine, other in (("vocab.json", "merges.txt"), ("merges.txt", "vocab.json")):
        if file.name.endswith(mine):
            return file.with_name(file.name.removesuffix(mine) + other)
    return None


def _require_partner(file: Path, source: str) -> Path:
    """Return the file that belongs to a vocabulary or to a file of merges.

    Raises:
        ConfigError: it is missing, or the file is neither of the two.
    """
    partner = _name_partner(file)
    if partner is None:
        raise ConfigError(f"{source} is not the file of a tokenizer; {_EXPECTED}.")
    if not partner.is_file():
        raise ConfigError(f"{source} needs {partner.name} next to it, which is missing.")
    return partner
