"""Hash tables of open addressing: keys to slots, and the last position of every distinct value."""

import numpy as np

from penstock.features.kernel.words import (
    D_EVER,
    DISTINCT_USED,
    KEY,
    LOG2,
    SALT,
    SCANNED_RING_LOG2,
    SLOTS,
    TABLE_USED,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def mix(code, salt):
    """Spread a code over the places of a table, in a way an attacker does not know."""
    h = (np.uint64(code) ^ np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(32)
    return np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def find_slot(S, code):
    """The slot of a key, or -1."""
    mask = np.uint64(S.table.shape[0] - 1)
    at = np.uint64(mix(code, S.meta[SALT])) & mask
    while S.table[at, 0] != 0:
        if S.table[at, 0] == code:
            return S.table[at, 1]
        at = (at + np.uint64(1)) & mask
    return np.int64(-1)


@njit(_nrt=False, error_model="numpy")
def place_key(table, salt, code, slot):
    """Enter a key that the table does not hold."""
    mask = table.shape[0] - 1
    at = mix(code, salt) & mask
    while table[at, 0] != 0:
        at = (at + 1) & mask
    table[at, 0] = code
    table[at, 1] = slot


@njit(_nrt=False, error_model="numpy")
def place_keys(S, table):
    """Enter every key of the rows into an empty table."""
    for slot in range(S.meta[SLOTS]):
        if S.rows[slot, KEY] != 0:
            place_key(table, S.meta[SALT], S.rows[slot, KEY], slot)


@njit(_nrt=False, error_model="numpy")
def remove_key(S, code):
    """Take a key off the table."""
    table = S.table
    mask = table.shape[0] - 1
    hole = mix(code, S.meta[SALT]) & mask
    while table[hole, 0] != code:
        hole = (hole + 1) & mask
    at = hole
    while True:  # close the gap: move back every entry whose own place does not lie behind the hole
        at = (at + 1) & mask
        if table[at, 0] == 0:
            break
        home = mix(table[at, 0], S.meta[SALT]) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            table[hole, 0] = table[at, 0]
            table[hole, 1] = table[at, 1]
            hole = at
    table[hole, 0] = 0
    S.meta[TABLE_USED] -= 1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def is_scanned(P, row, d):
    """Whether a key's values of a distinct field are found by scanning its ring: no table holds them."""
    return row[LOG2] <= SCANNED_RING_LOG2 and not P.distincts[d, D_EVER]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def distinct_home(table, salt, owner, code):
    """The place at which the search for (owner, code) begins."""
    return np.uint64(mix(code ^ (owner << 32) ^ owner, salt)) & np.uint64(table.shape[0] - 1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def distinct_at(table, salt, owner, code):
    """Where (owner, code) stands in the table of distinct values, or where it would."""
    mask = np.uint64(table.shape[0] - 1)
    at = distinct_home(table, salt, owner, code)
    while table[at, 0] != 0 and (table[at, 0] != owner or table[at, 1] != code):
        at = (at + np.uint64(1)) & mask
    return at


@njit(_nrt=False, error_model="numpy", forceinline=True)
def place_distinct(table, salt, owner, code, position):
    """Enter or move the last position of a value; True where it is new."""
    at = distinct_at(table, salt, owner, code)
    new = table[at, 0] == 0
    table[at, 0] = owner
    table[at, 1] = code
    table[at, 2] = position
    return new


@njit(_nrt=False, error_model="numpy")
def place_distincts(S, table):
    """Enter every distinct value of the old table into an empty one."""
    for at in range(S.distinct.shape[0]):
        if S.distinct[at, 0] != 0:
            place_distinct(table, S.meta[SALT], S.distinct[at, 0], S.distinct[at, 1], S.distinct[at, 2])


@njit(_nrt=False, error_model="numpy")
def keep_out(P, S, role, sequence):
    """Remember that an event came too late for the key that it has in a role, where its label could still count."""
    if P.sizes.recalls and place_distinct(S.distinct, S.meta[SALT], np.int64(-1 - role), np.int64(sequence), np.int64(0)):
        S.meta[DISTINCT_USED] += 1


@njit(_nrt=False, error_model="numpy")
def was_kept_out(P, S, role, sequence):
    """Whether an event came too late for the key that it has in a role."""
    if not P.sizes.recalls:
        return False
    return S.distinct[distinct_at(S.distinct, S.meta[SALT], np.int64(-1 - role), np.int64(sequence)), 0] != 0


@njit(_nrt=False, error_model="numpy")
def remove_distinct(table, meta, owner, code):
    """Take a value off the table of distinct values."""
    mask = np.uint64(table.shape[0] - 1)
    hole = distinct_at(table, meta[SALT], owner, code)
    at = hole
    while True:
        at = (at + np.uint64(1)) & mask
        if table[at, 0] == 0:
            break
        home = distinct_home(table, meta[SALT], table[at, 0], table[at, 1])
        if ((at - home) & mask) >= ((at - hole) & mask):
            for k in range(3):
                table[hole, k] = table[at, k]
            hole = at
    table[hole, 0] = 0
    meta[DISTINCT_USED] -= 1
