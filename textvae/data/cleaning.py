"""Cleaning: from a raw line to a sentence, with a count of what was left out and why."""

import unicodedata
from collections import Counter
from hashlib import blake2b
from typing import Literal

from pydantic import Field

from textvae.schema import StrictSettings


class CleaningSettings(StrictSettings):
    """What is done to every line; the order is that of the fields. White space is always folded to single blanks."""

    normalize: Literal["NFC", "NFKC", "NFD", "NFKD", "none"] = Field(
        "NFC", description="Unicode normalisation form"
    )
    lowercase: bool = False
    min_words: int = Field(1, ge=1, description="shorter sentences are left out")
    max_words: int | None = Field(None, ge=1, description="longer sentences are left out")
    max_characters: int = Field(
        5000, ge=1, description="longer sentences are cut, at a blank where there is one"
    )
    drop_duplicates: bool = Field(
        False, description="leave out sentences seen before; takes memory for each sentence"
    )


class Cleaner:
    """Cleans lines one by one and counts their fates.

    Attributes:
        counts: how many lines were `read`, `kept`, and left out as `blank`,
            `too short`, `too long` or `duplicate`; `truncated` ones are kept.
    """

    def __init__(self, settings: CleaningSettings) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.seen: set[int] = set()

    def __call__(self, line: str) -> str | None:
        """Return the clean sentence, or None where it is left out."""
        self.counts["read"] += 1
        sentence = self.shorten(self.normalized(line))
        reason = self.objection(sentence)
        self.counts[reason or "kept"] += 1
        return None if reason else sentence

    def normalized(self, line: str) -> str:
        """Return the line with its white space folded, in the wanted Unicode form and case."""
        settings = self.settings
        text = (
            line
            if settings.normalize == "none"
            else unicodedata.normalize(settings.normalize, line)
        )
        text = " ".join(text.split())  # last, since compatibility forms bring blanks
        return text.lower() if settings.lowercase else text

    def shorten(self, text: str) -> str:
        """Cut an over-long text, at a blank where there is one."""
        limit = self.settings.max_characters
        if len(text) <= limit:
            return text
        self.counts["truncated"] += 1
        cut = text[: limit + 1]
        return cut.rpartition(" ")[0] or cut[:limit]

    def objection(self, sentence: str) -> str | None:
        """Return why the sentence is left out, or None."""
        settings = self.settings
        words = sentence.count(" ") + 1
        if not sentence:
            return "blank"
        if words < settings.min_words:
            return "too short"
        if settings.max_words and words > settings.max_words:
            return "too long"
        if settings.drop_duplicates:
            mark = hash(sentence)
            if mark in self.seen:
                return "duplicate"
            self.seen.add(mark)
        return None


def fingerprint_sentence(sentence: str, seed: int = 0) -> int:
    """Return 64 bits that depend on the sentence and the seed alone."""
    digest = blake2b(sentence.encode(), digest_size=8, salt=seed.to_bytes(16, "little")).digest()
    return int.from_bytes(digest, "little")
