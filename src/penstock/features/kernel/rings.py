"""Rings of entries in one arena: taken and given back by size, in powers of two."""

import numpy as np

from penstock.features.kernel.words import FIRST, LARGEST, LOG2, RING, RING_TOP
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def physical(row, position):
    """Where the entry at a position of a key's ring lies in the arena."""
    return np.uint64(row[RING] + (position & ((np.int64(1) << row[LOG2]) - 1)))


@njit(_nrt=False, error_model="numpy")
def take_ring(S, log2):
    """An aligned ring of 2^log2 entries, from the free list of its size or from the top of the arena."""
    head = S.free[log2]
    if head >= 0:
        S.free[log2] = S.ring[head, 0]
        return head
    size = np.int64(1) << log2
    top = S.meta[RING_TOP]
    while top & (size - 1):  # the gap before an aligned start becomes free rings of smaller sizes
        gap_log2 = 0
        while not (top >> gap_log2) & 1:
            gap_log2 += 1
        give_ring(S, top, gap_log2)
        top += np.int64(1) << gap_log2
    S.meta[RING_TOP] = top + size
    S.meta[LARGEST] = max(S.meta[LARGEST], size)
    return top


@njit(_nrt=False, error_model="numpy")
def give_ring(S, offset, log2):
    """Put a ring on the free list of its size."""
    S.ring[offset, 0] = S.free[log2]
    S.free[log2] = offset


@njit(_nrt=False, error_model="numpy", forceinline=True)
def lay_base(P, S, row):
    """A key without a ring keeps its totals in the row: put them where those before the oldest entry belong."""
    at = physical(row, row[FIRST] - 1)
    for k in range(P.sizes.total_words):
        S.ring[at, 1 + k] = row[P.sizes.totals + k]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def last_in_ring(ring, row, column, code, end):
    """The last position before `end` at which a value stands in the ring, or -1."""
    first, offset, mask = row[FIRST], row[RING], (np.int64(1) << row[LOG2]) - 1
    position = end - 1
    while position >= first and ring[np.uint64(offset + (position & mask)), np.uint64(column)] != code:
        position -= 1
    return position if position >= first else np.int64(-1)


@njit(_nrt=False, error_model="numpy")
def search(ring, row, low, high, bound):
    """The first position in [low, high) with time > bound, or high."""
    offset, mask = row[RING], (np.int64(1) << row[LOG2]) - 1
    while low < high:
        middle = (low + high) >> 1
        if ring[offset + (middle & mask), 0] <= bound:
            low = middle + 1
        else:
            high = middle
    return low
