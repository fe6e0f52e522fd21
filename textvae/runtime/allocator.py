"""Keep freed memory in the process while it trains on a CPU.

Each step allocates and frees the same tens of megabytes. The C library hands
them back to the system and asks for them anew, and the system clears every
page: about 5 % of a step. glibc alone is told otherwise; elsewhere nothing
happens.
"""

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h


_MAX_THRESHOLD_BYTES = 2**31 - 1  # bytes


def keep_freed_memory() -> None:
    """Ask the C library to reuse freed memory rather than return it."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    if library.mallopt(MMAP_THRESHOLD, 2**30) or library.mallopt(
        MMAP_THRESHOLD, 2**25
    ):  # older ones take 32 MB at most
        library.mallopt(TRIM_THRESHOLD, _MAX_THRESHOLD_BYTES)
