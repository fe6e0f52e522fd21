"""Tokenizers: train one on the corpus, or load the user's own.

All come from the `tokenizers` library and are wrapped as transformers
tokenizers, so that they are saved as JSON and load anywhere. Text decodes back
to natural text.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path
from typing import Literal

from pydantic import Field
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from textvae.errors import ConfigError
from textvae.runtime.foreign_code import refuse_foreign_code_in
from textvae.schema import StrictSettings

_UNUSED = -1  # no token has this number


PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"


_WORD_OR_MARK_PATTERN = r"<unk>|\w+(?:['’.,\-]\w+)*|[^\w\s]+"  # with punctuation split: don't, well-known and 5.00 stay whole


class TokenizerSettings(StrictSettings):
    """Which tokenizer, and how large."""

    kind: Literal["bpe", "word", "character", "byte", "folder"] = "bpe"
    vocab_size: int = Field(4096, ge=8, description="most tokens to learn, special ones included")
    min_frequency: int = Field(2, ge=1, description="rarer words or merges are not learned")
    punctuation: Literal["split", "kept"] = Field(
        "kept", description="word level: are punctuation marks words of their own?"
    )
    path: str | None = Field(None, description="kind = folder: a transformers tokenizer folder")


def build_tokenizer(
    settings: TokenizerSettings, sentences: Iterable[str]
) -> PreTrainedTokenizerBase:
    """Train (or load) the tokenizer the settings ask for."""
    if settings.kind == "folder":
        return load_tokenizer(settings.path)
    return _wrap_tokenizer(
        _TRAINERS[settings.kind](settings, sentences), settings.kind in ("word", "character")
    )


def _train_bpe(settings: TokenizerSettings, sentences: Iterable[str]) -> Tokenizer:
    """Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909): nothing is ever unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = max(settings.vocab_size, len(alphabet) + 3)
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
    """Single bytes: the byte-level encoding with no merges."""
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
    """Whole words, the most frequent ones; the rest is `<unk>` (the protocol of most papers)."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    if settings.punctuation == "split":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(
            Regex(_WORD_OR_MARK_PATTERN), "removed", invert=True
        )
        tokenizer.decoder = decoders.WordPiece(prefix="\0", cleanup=True)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.WordPiece(prefix="\0", cleanup=False)
    return _train_word_level(tokenizer, settings, sentences)


def _train_characters(settings: TokenizerSettings, sentences: Iterable[str]) -> Tokenizer:
    """Unicode characters; those never seen are `<unk>`."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return _train_word_level(tokenizer, settings, sentences)


def _train_word_level(
    tokenizer: Tokenizer, settings: TokenizerSettings, sentences: Iterable[str]
) -> Tokenizer:
    """Learn the most frequent pieces of a tokenizer that only looks pieces up."""
    marks = [PAD, BOS, EOS, UNKNOWN]
    trainer = trainers.WordLevelTrainer(
        vocab_size=settings.vocab_size,
        min_frequency=settings.min_frequency,
        special_tokens=marks,
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    # A corpus that holds a mark as a word leaves a gap in the numbers: number them anew.
    learned = tokenizer.get_vocab()
    pieces = marks + [
        piece for piece in sorted(learned, key=learned.__getitem__) if piece not in marks
    ]
    tokenizer.model = models.WordLevel(
        {piece: number for number, piece in enumerate(pieces)}, unk_token=UNKNOWN
    )
    return tokenizer


_TRAINERS: dict[str, Callable[[TokenizerSettings, Iterable[str]], Tokenizer]] = {
    "bpe": _train_bpe,
    "byte": _train_bytes,
    "word": _train_words,
    "character": _train_characters,
}


def _wrap_tokenizer(tokenizer: Tokenizer, has_unknown: bool) -> PreTrainedTokenizerFast:
    """Return it as a transformers tokenizer with our special tokens."""
    unknown = {"unk_token": UNKNOWN} if has_unknown else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        **unknown,
    )


def load_tokenizer(folder: str | Path | None) -> PreTrainedTokenizerBase:
    """Load a transformers tokenizer from a folder, and give it the marks it lacks.

    Raises:
        ConfigError: there is no such folder, or no tokenizer in it, or it needs code of its own.
    """
    if folder is None or not Path(folder).is_dir():
        raise ConfigError(
            f"tokenizer.path = {str(folder)!r} is not a folder; kind = folder wants a saved tokenizer."
        )
    refuse_foreign_code_in(Path(folder), ("tokenizer_config.json",), ConfigError)
    try:
        tokenizer = read_tokenizer(folder)
    except Exception as error:  # the library, its parts and the packages they need have errors without a common root
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError(
            f"tokenizer.path = {str(folder)!r} holds no tokenizer: {reason}"
        ) from error
    _give_marks(tokenizer)
    return tokenizer


def read_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Read a saved tokenizer as it is; no code in the folder is run, and no question is asked about it.

    Raises:
        Exception: any of the library's, where it cannot be read.
    """
    with _panic_as_error():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    return tokenizer


@contextmanager
def _panic_as_error() -> Iterator[None]:
    """Turn a panic of the Rust library into an error: it is no `Exception`, and its class cannot be imported.

    Raises:
        ValueError: the library has panicked.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"the tokenizers library cannot work with it: {error}") from error


def _give_marks(tokenizer: PreTrainedTokenizerBase) -> None:
    """Give a tokenizer the end, start and padding marks it lacks; a mark that is another's as well counts as lacking.

    GPT-2 has one token for the start, the end and what is unknown. Text with an unknown word would end there,
    and the decoder could not tell the beginning of a text from its end. Numbers are compared, not names: a mark that
    is no token has the number of the unknown one.
    """
    _name_unknown(tokenizer)
    taken = {None, tokenizer.unk_token_id}
    for name, token in (("eos_token", EOS), ("bos_token", BOS), ("pad_token", PAD)):
        if getattr(tokenizer, f"{name}_id") in taken:
            numbers = tokenizer.get_vocab()
            while numbers.get(token, _UNUSED) in taken:
                token = f"<{token}>"
            tokenizer.add_special_tokens({name: token})
        taken.add(getattr(tokenizer, f"{name}_id"))


def _name_unknown(tokenizer: PreTrainedTokenizerBase) -> None:
    """Name the token for what is unknown where only the tokenizer's model does, and not its config.

    Else it could be a mark as well, and unknown words would vanish from texts.
    """
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    unknown = getattr(model, "unk_token", None)
    if isinstance(model, models.Unigram):
        number = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["unk_id"]
        unknown = None if number is None else tokenizer.convert_ids_to_tokens(number)
    if tokenizer.unk_token is None and unknown in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"unk_token": unknown})


def encode_batch(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str]) -> list[list[int]]:
    """Return each sentence's token ids, without special tokens.

    Raises:
        ConfigError: the tokenizer cannot encode them; it may lack a token for unknown words, for instance.
    """
    if not sentences:
        return []
    try:
        with _panic_as_error():
            rows: list[list[int]] = tokenizer(
                list(sentences),
                add_special_tokens=False,
                return_attention_mask=False,
                split_special_tokens=True,
            )["input_ids"]
    except Exception as error:  # the library raises its root class itself
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise ConfigError(
            f"the tokenizer cannot encode a text: {reason}. Use another tokenizer."
        ) from error
    return [without_marks(tokenizer, row) for row in rows]


def without_marks(tokenizer: PreTrainedTokenizerBase, row: list[int]) -> list[int]:
    """Return the token ids of a text with its marks unknown, or left out where no other token is for the unknown.

    A tokenizer that looks words up finds its own marks, such as `<eos>`, if a text has them as words.
    """
    marks = {tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}
    unknown = tokenizer.unk_token_id
    if marks.isdisjoint(row):
        return row
    if unknown is None or unknown in marks:
        return [token for token in row if token not in marks]
    return [unknown if token in marks else token for token in row]


def decode_batch(tokenizer: PreTrainedTokenizerBase, rows: Iterable[Sequence[int]]) -> list[str]:
    """Return natural text: what stands between start and end, special tokens (but not `<unk>`) left out.

    The start and the padding before it are passed over first, since they may be the same token as the end.
    """
    silent = {tokenizer.pad_token_id, tokenizer.bos_token_id}
    texts = []
    for row in rows:
        ids = list(dropwhile(silent.__contains__, row))
        if tokenizer.eos_token_id in ids:
            ids = ids[: ids.index(tokenizer.eos_token_id)]
        texts.append(tokenizer.decode([token for token in ids if token not in silent]).strip())
    return texts
