"""Recognize errors that mean a lack of memory; each library raises its own."""

import re

_ALLOCATION = re.compile(
    r"can't allocate memory: you tried to allocate (?P<bytes>\d+) bytes"  # torch on the CPU
    r"|CUDA out of memory\. Tried to allocate (?P<size>[\d.]+ \w+)"
    r"|Unable to allocate (?P<array>[\d.]+ \w+)"  # NumPy
    r"|Storage size calculation overflowed"  # torch, beyond 2^63 bytes
)


def describe_lack_of_memory(error: BaseException) -> str | None:
    """Return what could not be allocated, or None if the error has another cause."""
    match = _ALLOCATION.search(str(error))
    if match is None:
        return "Python could not allocate an object" if isinstance(error, MemoryError) else None
    if match["bytes"]:
        return f"{int(match['bytes']) / 10**9:,.1f} GB could not be allocated"
    size = match["size"] or match["array"]
    return f"{size} could not be allocated" if size else "more than 2^63 bytes were asked for"
