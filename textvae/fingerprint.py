"""Fingerprints of sentences: the same in every process and on every machine, unlike Python's own `hash`."""

from hashlib import blake2b


def fingerprint(sentence: str, seed: int = 0) -> int:
    """Return 64 bits that depend on the sentence and the seed alone."""
    digest = blake2b(sentence.encode(), digest_size=8, salt=seed.to_bytes(16, "little")).digest()
    return int.from_bytes(digest, "little")
