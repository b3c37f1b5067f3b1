"""How glibc's allocator keeps the memory of a server with hundreds of threads, told once at the start (mallopt(3)).

By default every core has up to eight arenas, threads spread over all of them, and none gives back what lies below a
block that lives; the threshold for memory of its own also grows by itself unless it is set. A server under 64 matches
at a time held less with these settings; whether they are all that lets it grow is not known.
"""

from __future__ import annotations

import ctypes
import sys

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
ARENAS = 2
OWN_MAPPING_BYTES = 256 * 1024


def settle_memory() -> bool:
    """Have few arenas, and large blocks in mappings of their own; whether this system's allocator has such settings."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    settings = ((_M_ARENA_MAX, ARENAS), (_M_MMAP_THRESHOLD, OWN_MAPPING_BYTES))
    return all(mallopt(ctypes.c_int(name), ctypes.c_int(value)) == 1 for name, value in settings)
