"""Memory for tables that grow where they are: address space is reserved, pages are committed as they are first used."""

import mmap
import os
import sys
from functools import cache

import numpy as np
from numpy.typing import NDArray

COPIED_BYTES = 4 << 20
"""Up to this size an array grows by being copied, which takes some milliseconds; larger ones reserve all room they may need."""
_WORD = 8
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
"""Python names this flag from 3.13 on. Without it Linux refuses to map more than it has memory."""


def zeros(lines: int, width: int) -> NDArray[np.int64]:
    """An array of zeros, of which only what is written takes memory."""
    size = lines * width * _WORD
    if size <= COPIED_BYTES:
        return np.zeros((lines, width), np.int64)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    memory = mmap.mmap(-1, size, flags=flags)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.int64).reshape(lines, width)


def roomy(lines: int, width: int) -> NDArray[np.int64]:
    """Zeros with at least so many lines; a large array gets as many as the machine's memory can hold, so that it never moves.

    Where the operating system does not reserve so much (a limit of address space), it gets the lines asked for.

    Raises:
        MemoryError: not even these are there.
    """
    if lines * width * _WORD > COPIED_BYTES:
        most = 1 << (_machine_bytes() // (width * _WORD)).bit_length()
        if most > lines:
            try:
                return zeros(most, width)
            except OSError:
                pass
    try:
        return zeros(lines, width)
    except OSError as error:
        raise MemoryError(f"{lines * width * _WORD:,} bytes for feature state: {error}") from error


@cache
def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def enlarged(array: NDArray[np.int64], lines: int, used: int) -> NDArray[np.int64]:
    """Twice so many lines, of which the first are those in use."""
    larger = roomy(2 * lines, array.shape[1])
    larger[:used] = array[:used]
    return larger
