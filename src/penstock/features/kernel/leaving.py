"""Removal of entries that no window reaches, and of keys without recent events."""

import numpy as np

from penstock.features.kernel.cursors import seek
from penstock.features.kernel.extremes import better
from penstock.features.kernel.hash_tables import is_scanned, remove_distinct, remove_key
from penstock.features.kernel.rings import give_ring, physical
from penstock.features.kernel.words import (
    BASE,
    C_VALUE,
    D_EVER,
    D_RING,
    END,
    FIRST,
    FORGOTTEN,
    FREE_SLOT,
    I_RING,
    I_ROW,
    KEY,
    LOG2,
    MISSING,
    NEWEST,
    NO_RING,
    OLD_TIME,
    OLD_VALUE,
    READ_AT,
    RING,
    SLOT,
    SMALLEST_RING_LOG2,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def retire(P, S, row, bound):
    """Remove a key's entries up to the time `bound`, which no window reaches.

    The newest removed entry stays in its place before the oldest remaining one: its totals are the base of all windows.
    """
    first, end = row[FIRST], row[END]
    while first < end and S.ring[physical(row, first), 0] <= bound:
        if P.sizes.mourns:
            _release(P, S, row, physical(row, first))
        first += 1
    if first > row[FIRST]:
        row[BASE] = max(row[BASE], S.ring[physical(row, first - 1), 0])
        row[FIRST] = first


@njit(_nrt=False, error_model="numpy", forceinline=True)
def reach(P, row):
    """The newest time that no window of a key reaches, by the key's newest event."""
    return row[NEWEST] - P.sizes.retention if row[NEWEST] != MISSING else MISSING


@njit(_nrt=False, error_model="numpy")
def retire_all(P, S, row, bound):
    """`retire` for rare calls: it first moves the cursors past the removed entries, whose values would never count."""
    if row[FIRST] < row[END] and S.ring[physical(row, row[FIRST]), 0] <= bound:
        seek(P, S, row, max(row[READ_AT], bound + P.sizes.retention))
        retire(P, S, row, bound)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _release(P, S, row, at):
    """Keep the values of an entry that outlive it in the row, and remove its distinct values from the table."""
    for e in range(P.extremes.shape[0]):
        place = P.sizes.totals + P.sizes.total_words + e
        value = S.ring[at, P.channels[P.extremes[e, 0], C_VALUE]]
        row[place] = better(row[place], value, P.extremes[e, 1] == 1)
    for item in range(P.items.shape[0]):
        column = P.items[item, I_RING]
        if column < 0 or S.ring[at, column] != MISSING:
            place = P.items[item, I_ROW]
            if row[place + OLD_TIME] > S.ring[at, 0]:
                continue
            row[place + OLD_VALUE] = S.ring[at, column] if column >= 0 else np.int64(1)
            row[place + OLD_TIME] = S.ring[at, 0]
    for d in range(P.distincts.shape[0]):
        column = P.distincts[d, D_RING]
        held = not P.distincts[d, D_EVER] and not is_scanned(P, row, d)
        if held and S.ring[at, column] != MISSING and S.ring[at, column + 2] < 0:
            owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
            remove_distinct(S.distinct, S.value_directory, S.meta, owner, S.ring[at, column])


@njit(_nrt=False, error_model="numpy")
def forget(P, S, row):
    """A key that the stream left behind: its ring is released, and its row where nothing in it lasts for ever."""
    if row[FIRST] < row[END]:
        newest = S.ring[physical(row, row[END] - 1), 0]  # of an event, or of a label that became known after all events
        seek(P, S, row, newest + P.sizes.retention + 1)
        retire_all(P, S, row, newest)
    if row[RING] != NO_RING:
        for k in range(P.sizes.total_words):
            row[P.sizes.totals + k] = S.ring[physical(row, row[FIRST] - 1), 1 + k]
        give_ring(S, row[RING], row[LOG2])
        row[RING] = NO_RING
        row[LOG2] = SMALLEST_RING_LOG2
    if not P.sizes.keeps_rows:
        remove_key(S, row[KEY])
        row[KEY] = 0
        row[NEWEST] = S.meta[FREE_SLOT]
        S.meta[FREE_SLOT] = row[SLOT]
        S.meta[FORGOTTEN] += 1
