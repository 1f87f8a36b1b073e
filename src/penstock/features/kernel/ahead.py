"""What the coming events will read is asked for ahead of them, in three steps; see `memory`."""

import numpy as np

from penstock.features.kernel.hash_tables import distinct_home, find_slot, is_scanned, key_home
from penstock.features.kernel.memory import ask_for
from penstock.features.kernel.words import AHEAD_SLOTS, CURSORS, D_SOURCE, D_TEXT, LINE, LOG2, MISSING, RING, ROW_AHEAD
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def word_of(x, codes, i, source, text):
    """A field's value as one word, MISSING where it is null: a text's code, or the bits of a number."""
    if source < 0:
        return np.int64(1)
    if text:
        return codes[i, source] if codes[i, source] != 0 else MISSING
    if np.isnan(x[i, source]):
        return MISSING
    return x.view(np.int64)[i, source] if x[i, source] != 0.0 else np.int64(0)  # -0.0 has the bits of MISSING


@njit(_nrt=False, error_model="numpy", forceinline=True)
def ask_for_keys(S, keys, i):
    """First step ahead of an event: the places of its keys."""
    for role in range(keys.shape[1]):
        ask_for(S.table[key_home(S, keys[np.uint64(i), np.uint64(role)])], 0)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def ask_for_rows(S, keys, i, slots):
    """Second step: find the slots, and ask for their rows."""
    roles = keys.shape[1]
    for role in range(roles):
        slot = find_slot(S, keys[np.uint64(i), np.uint64(role)])
        slots[np.uint64((i & (AHEAD_SLOTS - 1)) * roles + role)] = slot
        if slot >= 0:
            row = S.rows[np.uint64(slot)]
            for word in range(0, min(row.shape[0], ROW_AHEAD), LINE):
                ask_for(row, word)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def ask_for_entries(P, S, keys, i, slots, x, codes):
    """Third step: the ring entries at the cursors, the free place, and the places of distinct values."""
    roles = keys.shape[1]
    for role in range(roles):
        slot = slots[np.uint64((i & (AHEAD_SLOTS - 1)) * roles + role)]
        if slot < 0:
            continue
        row = S.rows[np.uint64(slot)]
        offset, mask = row[RING], (np.int64(1) << row[LOG2]) - 1
        for c in range(P.offsets.shape[0]):
            ask_for(S.ring[np.uint64(offset + (row[np.uint64(CURSORS + c)] & mask))], 0)
        for d in range(P.distincts.shape[0]):
            if is_scanned(P, row, d):
                continue
            code = word_of(x, codes, i, P.distincts[d, D_SOURCE], P.distincts[d, D_TEXT])
            owner = slot * np.int64(P.distincts.shape[0]) + d + 1
            ask_for(S.distinct[distinct_home(S, owner, code)], 0)
