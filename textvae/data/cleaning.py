"""Cleaning: from a raw line to a sentence; it counts which lines are left out, and why."""

import re
import unicodedata
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from pydantic import Field
from tokenizers import normalizers

from textvae.data.tables import WhiteSpaceSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Every form of Unicode changes this text, and so does lower case.
_PROBE = "A\u00e9 e\u0301 \uff21"
_LAST_SPACE = re.compile(r"\s(?=\S*\Z)")


class CleaningSettings(WhiteSpaceSettings):
    """What cleaning does to every line, in the order of the fields.

    White space is folded to single spaces after normalizing, unless it is kept.
    """

    normalize: Literal["NFC", "NFKC", "NFD", "NFKD", "none"] = Field(
        "NFC", description="Unicode normalization form"
    )
    lowercase: bool = Field(False, description="whether texts are turned into lower case")
    min_words: int = Field(1, ge=1, description="shorter sentences are left out")
    max_words: int | None = Field(None, ge=1, description="longer sentences are left out")
    max_characters: int = Field(
        5000, ge=1, description="longer sentences are cut, between two words if possible"
    )
    drop_duplicates: bool = Field(
        False,
        description="leave out repeated sentences; takes some memory for each different sentence",
    )


class Cleaner:
    """Cleans lines one by one and counts why lines were left out.

    Attributes:
        counts: lines that were `read`, `kept`, and left out as `blank`, `too short`,
            `too long` or `duplicate`; and lines that were `truncated`, whether they were
            kept afterwards or not.
    """

    def __init__(self, settings: CleaningSettings) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self._hashes: set[int] = set()  # of the sentences kept, to find duplicates

    def __call__(self, line: str) -> str | None:
        """Return the clean sentence, or None if it is left out."""
        self.counts["read"] += 1
        text = self._normalize(line)
        sentence = self._truncate(text)
        reason = self._find_drop_reason(sentence, words=len(text.split()))
        self.counts[reason or "kept"] += 1
        return None if reason else sentence

    def _normalize(self, line: str) -> str:
        """Return the line in the Unicode form and case of the settings, with white space folded."""
        text = line
        if self.settings.normalize != "none":
            text = unicodedata.normalize(self.settings.normalize, text)
        # Fold after normalizing: the compatibility forms turn some characters into spaces.
        if self.settings.white_space == "fold":
            text = " ".join(text.split())
        if self.settings.lowercase:
            return text.lower()
        return text

    def _truncate(self, text: str) -> str:
        """Cut a text that is too long, between two words if possible."""
        limit = self.settings.max_characters
        if len(text) <= limit:
            return text
        self.counts["truncated"] += 1
        cut = text[: limit + 1]  # one more: a space right after the limit ends a whole word
        last_space = _LAST_SPACE.search(cut)
        shortened = cut[: last_space.start()] if last_space else ""
        return shortened if shortened.strip() else cut[:limit]

    def _find_drop_reason(self, sentence: str, words: int) -> str | None:
        """Return why the sentence is left out; None if it is kept.

        Args:
            words: how many the text had before it was cut.
        """
        settings = self.settings
        if not words:
            return "blank"
        if words < settings.min_words:
            return "too short"
        if settings.max_words and words > settings.max_words:
            return "too long"
        if settings.drop_duplicates:
            digest = hash(sentence)  # a set of hashes takes far less memory than one of texts
            if digest in self._hashes:
                return "duplicate"
            self._hashes.add(digest)
        return None


def build_normalizer(settings: CleaningSettings) -> normalizers.Normalizer:
    """Return a part of the tokenizer that normalizes Unicode and case as cleaning does.

    Texts that the model encodes later are then normalized as the corpus was.
    """
    steps = []
    if settings.normalize != "none":
        steps.append(getattr(normalizers, settings.normalize)())
    if settings.lowercase:
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps)


def normalize_as_corpus(
    tokenizer: "PreTrainedTokenizerBase", settings: CleaningSettings, *, is_new: bool
) -> None:
    """Make a tokenizer normalize Unicode and case as cleaning does.

    Args:
        is_new: whether it was made for this corpus. The tokenizer of an existing model keeps its own
            normalization. That of the corpus is put before it if it is more than the default.
    """
    normalizer = build_normalizer(settings)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if is_new:
        tokenizer.backend_tokenizer.normalizer = normalizer
    elif backend is not None and (settings.lowercase or settings.normalize not in ("NFC", "none")):
        own = backend.normalizer
        if own is None or own.normalize_str(_PROBE) != normalizer.normalize_str(_PROBE):
            parts = [normalizer] if own is None else [normalizer, own]
            backend.normalizer = normalizers.Sequence(parts)


def fingerprint_sentence(sentence: str, seed: int = 0) -> int:
    """Return a 64-bit hash that depends only on the sentence and the seed.

    Unlike Python's `hash`, it is the same in every process.
    """
    digest = blake2b(sentence.encode(), digest_size=8, salt=seed.to_bytes(16, "little")).digest()
    return int.from_bytes(digest, "little")
