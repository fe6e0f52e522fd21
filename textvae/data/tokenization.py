"""Tokenizers: one is trained on the corpus, or the user's own is loaded.

A trained one is built with the `tokenizers` library and wrapped as a tokenizer of
transformers, so it is saved as JSON and can be loaded without textvae. Token ids
decode to natural text, not to tokens with spaces between them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from textvae.data.tokenizer_files import find_vocabulary_file, read_tokenizer_file
from textvae.errors import ConfigError
from textvae.runtime.foreign_code import refuse_foreign_code_in
from textvae.schema import MAX_COUNT, StrictSettings

TokenizerBuilder = Callable[[Iterator[str]], PreTrainedTokenizerBase]  # from training sentences

_NO_ID = -1  # no token has this id

_KEEPS_WHITE_SPACE = "keeps_white_space"  # a mark in tokenizer_config.json

PAD = "<pad>"
BOS = "<bos>"
EOS = "<eos>"
UNKNOWN = "<unk>"

# Splits punctuation from words, but keeps `don't`, `well-known` and `5.00` whole. `<unk>` comes
# first: prepared corpora contain it as a word.
_WORD_PATTERN = r"<unk>|\w+(?:['’.,\-]\w+)*|[^\w\s]+"

_MAX_REASON_CHARACTERS = 200  # of a library's error that a message shows


class TokenizerSettings(StrictSettings):
    """The kind of tokenizer, and the size of its vocabulary."""

    kind: Literal["bpe", "word", "character", "byte", "folder", "pretrained"] = Field(
        "bpe",
        description="what a token is; folder: a saved tokenizer; pretrained: that of the decoder",
    )
    vocab_size: int = Field(
        4096, ge=8, le=MAX_COUNT, description="most tokens in the vocabulary, special ones included"
    )
    min_frequency: int = Field(
        2, ge=1, le=MAX_COUNT, description="rarer words or merges are not learned"
    )
    punctuation: Literal["split", "kept"] = Field(
        "kept", description="kind = word: whether punctuation is split off words, or kept in them"
    )
    path: str | None = Field(
        None,
        description="kind = folder: a saved tokenizer, as a folder, a file (tokenizer.json, "
        "vocab.json, vocab.txt, a .model of sentencepiece), or a name on the Hugging Face Hub",
    )
    trim: bool | Literal["auto"] = Field(
        "auto",
        description="kind = pretrained: keep only the tokens that the corpus uses, and bytes",
    )

    @model_validator(mode="before")
    @classmethod
    def choose_kind(cls, values: object) -> object:
        """Choose the kind of a saved tokenizer, if only its path is set."""
        if not isinstance(values, Mapping) or not values.get("path") or "kind" in values:
            return values
        return {**values, "kind": "folder"}

    @model_validator(mode="after")
    def check_path(self) -> Self:
        """Refuse the path of a saved tokenizer if another one is trained.

        Raises:
            ConfigError: only `kind = folder` reads a path.
        """
        if self.path is not None and self.kind in _TRAINERS:
            raise ConfigError(
                f"tokenizer.path = {self.path!r} does not fit tokenizer.kind = {self.kind!r}, which "
                "is trained on the corpus: leave one of the two out."
            )
        return self


def build_tokenizer(
    settings: TokenizerSettings, sentences: Iterable[str], *, keeps_white_space: bool = False
) -> PreTrainedTokenizerBase:
    """Train the tokenizer of the settings on the sentences, or load it from a folder.

    Args:
        keeps_white_space: whether texts are decoded with exactly the white space that they had.

    Raises:
        ConfigError: the folder does not exist, or contains no tokenizer that can be used; or
            the kind is that of a pretrained decoder, which the settings do not name.
    """
    if settings.kind == "folder":
        return load_tokenizer(settings.path)
    if settings.kind == "pretrained":
        raise ConfigError(
            "tokenizer.kind = 'pretrained' is the tokenizer of a pretrained decoder; "
            "set model.decoder.kind = pretrained, or choose another tokenizer."
        )
    tokenizer = _TRAINERS[settings.kind](settings, sentences)
    wrapped = _wrap_tokenizer(tokenizer, has_unknown=settings.kind in ("word", "character"))
    if keeps_white_space:
        _keep_white_space(wrapped)
    return wrapped


def _keep_white_space(tokenizer: PreTrainedTokenizerFast) -> None:
    """Make a tokenizer decode texts with exactly the white space that they had.

    `decode_batch` finds the mark, which is saved with the tokenizer, and strips nothing.
    """
    tokenizer.init_kwargs[_KEEPS_WHITE_SPACE] = True
    backend = tokenizer.backend_tokenizer
    if isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        # A blank added before the first word could not be told from one of the text.
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()


def _train_bpe(settings: TokenizerSettings, sentences: Iterable[str]) -> Tokenizer:
    """Train a byte-pair encoding on bytes (Sennrich et al. 2016, arXiv:1508.07909).

    No text is ever unknown, because all 256 bytes are tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    # A word at the start of a sentence gets the space that the same word has before it
    # elsewhere, so that both become the same token. The decoder removes that space again.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = max(settings.vocab_size, len(alphabet) + 3)  # + 3: padding, start and end
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=settings.min_frequency,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return tokenizer


def _train_bytes(settings: TokenizerSettings, sentences: Iterable[str]) -> Tokenizer:
    """Build a tokenizer of single bytes, which has nothing to learn from the sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 3,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([], trainer)
    return tokenizer


def _train_words(settings: TokenizerSettings, sentences: Iterable[str]) -> Tokenizer:
    """Train a tokenizer of the most frequent words; all others are `<unk>`, as in most papers."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    # The WordPiece decoder puts spaces between words; no word has the prefix NUL, which would
    # attach it to the word before. `cleanup` removes the spaces before punctuation.
    if settings.punctuation == "split":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD_PATTERN), "removed", invert=True)
        tokenizer.decoder = decoders.WordPiece(prefix="\0", cleanup=True)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.WordPiece(prefix="\0", cleanup=False)
    return _train_word_level(tokenizer, settings, sentences)


def _train_characters(settings: TokenizerSettings, sentences: Iterable[str]) -> Tokenizer:
    """Train a tokenizer of Unicode characters; those not in the corpus are `<unk>`."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return _train_word_level(tokenizer, settings, sentences)


def _train_word_level(
    tokenizer: Tokenizer, settings: TokenizerSettings, sentences: Iterable[str]
) -> Tokenizer:
    """Learn the most frequent pieces, for a tokenizer that looks up whole words or characters."""
    special_tokens = [PAD, BOS, EOS, UNKNOWN]
    trainer = trainers.WordLevelTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=special_tokens,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    # If the corpus contains a special token as a word, the trainer leaves a gap in the ids, and
    # the last ids exceed the size of the vocabulary: they would have no row in the embedding.
    # So number all pieces again.
    learned = tokenizer.get_vocab()
    pieces = list(special_tokens)
    for piece in sorted(learned, key=learned.__getitem__):
        if piece not in special_tokens:
            pieces.append(piece)
    vocabulary = {piece: token_id for token_id, piece in enumerate(pieces)}
    tokenizer.model = models.WordLevel(vocabulary, unk_token=UNKNOWN)
    return tokenizer


_TRAINERS: dict[str, Callable[[TokenizerSettings, Iterable[str]], Tokenizer]] = {
    "bpe": _train_bpe,
    "byte": _train_bytes,
    "word": _train_words,
    "character": _train_characters,
}


def _wrap_tokenizer(tokenizer: Tokenizer, has_unknown: bool) -> PreTrainedTokenizerFast:
    """Return a trained tokenizer as one of transformers, with the names of its special tokens."""
    unknown: dict[str, str] = {}
    if has_unknown:
        unknown["unk_token"] = UNKNOWN
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,  # would turn "do not" into "don't"
        **unknown,
    )


def load_tokenizer(path: str | Path | None) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or a file, and add the special tokens it lacks.

    Raises:
        ConfigError: there is no such path, or it holds no tokenizer, or one with code of its own.
    """
    source = f"tokenizer.path = {str(path)!r}"
    place = Path(path or "").expanduser()
    if path is None or not place.exists():
        raise ConfigError(
            f"{source} is neither a folder nor a file; kind = folder needs a saved tokenizer."
        )
    # `tokenizer.json` alone does not say which tokens begin and end a text; its folder may.
    if place.name == "tokenizer.json" and (place.parent / "tokenizer_config.json").is_file():
        place = place.parent
    if place.is_dir():
        tokenizer = _read_folder(place, source)
    else:
        with _convert_panics():
            tokenizer = read_tokenizer_file(place, source)
    require_ids_without_gaps(tokenizer, source)
    add_special_tokens(tokenizer)
    return tokenizer


def _read_folder(folder: Path, source: str) -> PreTrainedTokenizerBase:
    """Read the tokenizer in a folder, which may hold nothing but the files of a vocabulary.

    Raises:
        ConfigError: the folder contains no tokenizer, or one with code of its own.
    """
    refuse_foreign_code_in(folder, ("tokenizer_config.json",), ConfigError)
    try:
        return read_users_tokenizer(folder, source)
    except ConfigError:
        file = find_vocabulary_file(folder)
        # transformers has said what is wrong with a tokenizer.json.
        if file is None or file.name == "tokenizer.json":
            raise
    with _convert_panics():
        return read_tokenizer_file(file, source)


def require_ids_without_gaps(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """Refuse a vocabulary whose ids have gaps: a model has one row per token.

    Raises:
        ConfigError: there are gaps, perhaps because a token is listed twice.
    """
    ids = set(tokenizer.get_vocab().values())
    if ids != set(range(len(ids))):
        missing = min(set(range(max(ids) + 1)) - ids)
        raise ConfigError(
            f"{source}: the numbers of its tokens have gaps (no token has the number {missing}); "
            "number the tokens from 0 without gaps, each once."
        )


def read_users_tokenizer(folder: Path, source: str) -> PreTrainedTokenizerBase:
    """Read the tokenizer in a folder that textvae did not write.

    Args:
        source: the folder and the setting that names it; it begins the message.

    Raises:
        ConfigError: the folder contains no tokenizer or one that runs its own code.
    """
    refuse_foreign_code_in(folder, ("tokenizer_config.json",), ConfigError)
    try:
        return read_tokenizer(folder)
    except Exception as error:  # the library and its parts raise errors without a common base
        raise ConfigError(f"{source} holds no tokenizer: {_get_first_line(error)}") from error


def read_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Read a saved tokenizer unchanged; code in its folder is never run.

    Raises:
        Exception: any error of the library, if the tokenizer cannot be read.
    """
    with _convert_panics():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        is_as_saved = type(tokenizer) is PreTrainedTokenizerFast
        if is_as_saved or not (Path(folder) / "tokenizer.json").is_file():
            return tokenizer
        # The tokenizer classes of specific models, such as `GPT2Tokenizer`, take only vocabulary
        # and merges from tokenizer.json, and have their own parts for the rest: a pre-tokenizer
        # that splits digits would be lost.
        saved: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    # The class also knows the roles of special tokens that the folder's config does not name.
    vocabulary = saved.get_vocab()
    for role, token in tokenizer.special_tokens_map.items():
        if saved.special_tokens_map.get(role) is None and token in vocabulary:
            saved.add_special_tokens({role: token})
    return saved


@contextmanager
def _convert_panics() -> Iterator[None]:
    """Turn a panic of the Rust library into an error.

    A panic is not an `Exception`, so `except Exception` would not catch it.

    Raises:
        ValueError: the library has panicked.
    """
    try:
        yield
    except BaseException as error:
        # The class of panics cannot be imported, so compare its name.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"the tokenizers library cannot work with it: {error}") from error


def add_special_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    """Add the end, start and padding tokens that a tokenizer lacks, or that share a token.

    GPT-2 has one token for start, end and unknown words. A text with an unknown word would
    end there, and the decoder could not distinguish the start of a text from its end.
    """
    _name_unknown_token(tokenizer)
    # Compare ids, not names: a name that is not in the vocabulary has the id of the unknown token.
    taken = {None, tokenizer.unk_token_id}
    for role, token in (("eos_token", EOS), ("bos_token", BOS), ("pad_token", PAD)):
        if getattr(tokenizer, f"{role}_id") in taken:
            vocabulary = tokenizer.get_vocab()
            # The name of the new token may belong to another role already.
            while vocabulary.get(token, _NO_ID) in taken:
                token = f"<{token}>"
            tokenizer.add_special_tokens({role: token})
        taken.add(getattr(tokenizer, f"{role}_id"))


def _name_unknown_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Tell the tokenizer its unknown token, if only the model inside it names one.

    Otherwise that token could also become a start, end or padding token, and unknown words
    would vanish from texts.
    """
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    unknown = getattr(model, "unk_token", None)
    if isinstance(model, models.Unigram):
        # A Unigram model has the id instead of the token, and the Python API does not show it.
        unknown_id = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["unk_id"]
        unknown = None
        if unknown_id is not None:
            unknown = tokenizer.convert_ids_to_tokens(unknown_id)
    if tokenizer.unk_token is None and unknown in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"unk_token": unknown})


def encode_batch(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each sentence, without start, end or padding tokens.

    Raises:
        ConfigError: the tokenizer cannot encode a sentence, perhaps because it has no unknown
            token.
    """
    if not sentences:
        return []
    with refused_texts_as_config_error():
        rows: list[list[int]] = tokenizer(
            list(sentences),
            add_special_tokens=False,
            return_attention_mask=False,
            split_special_tokens=True,  # `<eos>` in a text is text
        )["input_ids"]
    return [replace_special_tokens(tokenizer, row) for row in rows]


@contextmanager
def refused_texts_as_config_error() -> Iterator[None]:
    """Turn any error of a tokenizer that encodes texts into ours.

    Raises:
        ConfigError: the tokenizer cannot encode a text.
    """
    try:
        with _convert_panics():
            yield
    except Exception as error:  # the library raises plain `Exception`
        reason = _get_first_line(error)[:_MAX_REASON_CHARACTERS]
        raise ConfigError(
            f"the tokenizer cannot encode a text: {reason}. Use another tokenizer."
        ) from error


def replace_special_tokens(tokenizer: PreTrainedTokenizerBase, row: list[int]) -> list[int]:
    """Return the token ids of a text, with start, end and padding replaced by the unknown token.

    If the tokenizer has no separate unknown token, they are removed instead. A
    tokenizer that looks up words finds its special tokens, such as `<eos>`, if a text
    contains them as words.
    """
    special_ids = {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}
    unknown = tokenizer.unk_token_id
    if special_ids.isdisjoint(row):
        return row
    if unknown is None or unknown in special_ids:
        return [token for token in row if token not in special_ids]
    return [unknown if token in special_ids else token for token in row]


def keeps_white_space(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether texts have exactly the white space that they were given with."""
    return bool(tokenizer.init_kwargs.get(_KEEPS_WHITE_SPACE))


def fold_white_space(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Return a text with single spaces between its words, unless its white space is kept."""
    return text if keeps_white_space(tokenizer) else " ".join(text.split())


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of texts of a user, whose white space is folded as in training.

    Raises:
        ConfigError: the tokenizer cannot encode a text.
    """
    return encode_batch(tokenizer, [fold_white_space(tokenizer, text) for text in texts])


def decode_batch(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Sequence[int]]) -> list[str]:
    """Return the text between start and end of each row of ids.

    Of the special tokens, only the unknown one appears in the text.
    """
    skipped_ids = {tokenizer.pad_token_id, tokenizer.bos_token_id}
    is_kept = keeps_white_space(tokenizer)
    texts = []
    for row in rows:
        # Skip start and padding first: they may be the same token as the end, as in GPT-2.
        ids = list(dropwhile(skipped_ids.__contains__, row))
        if tokenizer.eos_token_id in ids:
            ids = ids[: ids.index(tokenizer.eos_token_id)]
        text = tokenizer.decode([token for token in ids if token not in skipped_ids])
        texts.append(text if is_kept else text.strip())
    return texts


def _get_first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its class if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)
