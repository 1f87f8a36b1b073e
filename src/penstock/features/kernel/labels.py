"""Labels that become known, or are taken back, for events that are in state."""

from penstock.features.kernel.cursors import low_of
from penstock.features.kernel.events import counts
from penstock.features.kernel.hash_tables import find_slot, was_kept_out
from penstock.features.kernel.rings import physical, search
from penstock.features.kernel.words import (
    CURSORS,
    END,
    FIRST,
    K_HIGH,
    K_LABEL,
    K_LOW,
    K_SOURCE,
    L_KINDS,
    L_RING,
    L_ROLES,
    L_WHERE,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def apply_label(P, S, key, role, nth, time, sequence, kind, x, i, change):
    """A label became known (change +1: fraud) or was taken back (-1), for the event with this time and sequence.

    The event's own columns stand in row i of x; nth: how many earlier roles of the event had the same key.
    """
    slot = find_slot(S, key)
    if slot < 0:
        return
    row = S.rows[slot]
    first, end = row[FIRST], row[END]
    position = search(S.ring, row, first, end, time - 1) if first < end else end
    while position < end and S.ring[physical(row, position), 0] == time:
        if S.ring[physical(row, position), P.sizes.sequence] == sequence:
            if nth == 0:
                _flag(P, S, row, position, change)
                return
            nth -= 1
        position += 1
    if was_kept_out(P, S, role, sequence):
        return
    for counter in range(P.counters.shape[0]):  # the event left the ring: only windows of all time still see it
        if P.counters[counter, K_LABEL] and P.counters[counter, K_LOW] < 0:
            label = P.counters[counter, K_SOURCE]
            if (P.labels[label, L_ROLES] >> role) & 1 and counts(
                x, i, kind, P.labels[label, L_WHERE], P.labels[label, L_KINDS]
            ):
                row[P.sizes.counters + counter] += change


@njit(_nrt=False, error_model="numpy")
def _flag(P, S, row, position, change):
    """Mark an entry for every label channel it belongs to, and tell the windows that hold it."""
    at = physical(row, position)
    for k in range(P.labels.shape[0]):
        column = P.labels[k, L_RING]
        if S.ring[at, column] < 0:
            continue
        S.ring[at, column] += change
        for counter in range(P.counters.shape[0]):
            if not P.counters[counter, K_LABEL] or P.counters[counter, K_SOURCE] != k:
                continue
            if low_of(P, row, counter) <= position < row[CURSORS + P.counters[counter, K_HIGH]]:
                row[P.sizes.counters + counter] += change
