"""Cursors, which bound windows, and the counters that watch what passes them."""

import numpy as np

from penstock.features.kernel.aggregates.sketches import count_in
from penstock.features.kernel.rings import physical, search
from penstock.features.kernel.words import (
    C_VALUE,
    CURSORS,
    D_RING,
    END,
    FIRST,
    K_HIGH,
    K_LABEL,
    K_LOW,
    K_SKETCH,
    K_SOURCE,
    L_RING,
    LOG2,
    MISSING,
    READ_AT,
    RING,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def low_of(P, row, k):
    """Where the window that a counter watches begins."""
    return row[CURSORS + P.counters[k, K_LOW]] if P.counters[k, K_LOW] >= 0 else np.int64(0)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _pass(P, S, row, cursor, position, forward):
    """Adjust the counters whose window begins or ends at a cursor that passes the entry at this position."""
    at = physical(row, position)
    sign = 1 if forward else -1
    for k in range(P.counters.shape[0]):
        ends = P.counters[k, K_HIGH] == cursor
        if not ends and P.counters[k, K_LOW] != cursor:
            continue
        if P.counters[k, K_SKETCH] >= 0:
            word = S.ring[at, P.channels[P.counters[k, K_SOURCE], C_VALUE]]
            count_in(row, np.uint64(P.counters[k, K_SKETCH]), word, sign if ends else -sign)
            continue
        place = P.sizes.counters + k
        if P.counters[k, K_LABEL]:
            flag = max(S.ring[at, P.labels[P.counters[k, K_SOURCE], L_RING]], 0)
            row[place] += sign * flag if ends else -sign * flag
            continue
        column = P.distincts[P.counters[k, K_SOURCE], D_RING]
        if S.ring[at, column] == MISSING:
            continue
        if ends:  # an entry joins or leaves at the newer end: it counts unless its value stands earlier in the window
            if S.ring[at, column + 1] < low_of(P, row, k):
                row[place] += sign
        else:  # at the older end it counts unless its value stands again later in the window
            following = S.ring[at, column + 2]
            if following < 0 or following >= row[CURSORS + P.counters[k, K_HIGH]]:
                row[place] -= sign


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _step(P, S, row, cursor, bound):
    """Move one cursor entry by entry, so that its counters see each."""
    first, end = row[FIRST], row[END]
    place = CURSORS + cursor
    position = row[place]
    while position < end and S.ring[physical(row, position), 0] <= bound:
        _pass(P, S, row, cursor, position, True)
        position += 1
        row[place] = position
    while position > first and S.ring[physical(row, position - 1), 0] > bound:
        position -= 1
        _pass(P, S, row, cursor, position, False)
        row[place] = position


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _leap(ring, row, cursor, bound, offset, mask, forward):
    """Move one cursor: two steps without a branch (how many entries left a window is a coin's toss), a few more, then by
    bisection, so that no distance costs more than a logarithm. Going forward in time, no cursor has to go back.
    """
    first, end = row[FIRST], row[END]
    place = np.uint64(CURSORS + cursor)
    if cursor == 0 and end > first and ring[np.uint64(offset + ((end - 1) & mask)), 0] <= bound:
        row[place] = end  # events in order: all that is there has happened
        return
    position = row[place]
    for _ in range(2):
        position += np.int64((position < end) & (ring[np.uint64(offset + (position & mask)), 0] <= bound))
    stop = min(end, position + 6)
    while position < stop and ring[np.uint64(offset + (position & mask)), 0] <= bound:
        position += 1
    if position == stop and position < end:
        position = search(ring, row, position, end, bound)
    if not forward and position > first and ring[np.uint64(offset + ((position - 1) & mask)), 0] > bound:
        position = search(ring, row, first, position, bound)
    row[place] = position


@njit(_nrt=False, error_model="numpy", forceinline=True)
def seek(P, S, row, time):
    """Bring every cursor to its place as of this time.

    Windows must never turn inside out on the way, so going forward the newer bounds move first, going back the older.
    """
    n = P.offsets.shape[0]
    offset, mask = row[RING], (np.int64(1) << row[LOG2]) - 1
    forward = time >= row[READ_AT]
    for k in range(n):
        cursor = k if forward else n - 1 - k
        if P.sizes.stepping:
            _step(P, S, row, cursor, time - P.offsets[cursor])
        else:
            _leap(S.ring, row, cursor, time - P.offsets[cursor], offset, mask, forward)
    row[READ_AT] = time
