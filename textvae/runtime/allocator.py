"""Keep freed memory in the process while it trains on a CPU.

Each training step allocates and frees the same tens of megabytes. By default the
C library returns this memory to the system and requests it again, and the system
clears every page: that takes about 5 % of a step. This is a setting of glibc, so
nothing happens with another C library.
"""

import ctypes
import platform

# Parameter numbers of `mallopt`, from glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_MAX_THRESHOLD_BYTES = 2**31 - 1


def keep_freed_memory() -> None:
    """Ask the C library to reuse freed memory instead of returning it to the system."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    # `mallopt` returns 0 if it rejects a value; older releases accept at most 32 MB.
    is_accepted = library.mallopt(_M_MMAP_THRESHOLD, 2**30)
    if not is_accepted:
        is_accepted = library.mallopt(_M_MMAP_THRESHOLD, 2**25)
    # Only the heap is trimmed, and blocks above the mmap threshold are outside the heap. So the
    # trim threshold has no effect on them unless the mmap threshold was raised.
    if is_accepted:
        library.mallopt(_M_TRIM_THRESHOLD, _MAX_THRESHOLD_BYTES)
