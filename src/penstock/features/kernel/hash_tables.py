"""Hash tables that grow block by block: keys to slots, and the last position of every distinct value.

Extendible hashing: a directory maps the leading bits of a mixed code to a block of 4,096 places, within which it is looked for
from the place that its last bits name. A full block is split in two, so that no event waits for more than one block to be
rearranged, however many keys there are. The line behind a block's places holds how many are used, and how many leading bits
all its codes share.
"""

import numpy as np

from penstock.features.kernel.words import (
    D_EVER,
    DISTINCT_USED,
    KEY_SHIFT,
    KEY_TOP,
    LOG2,
    SALT,
    SCANNED_RING_LOG2,
    TABLE_USED,
    VALUE_SHIFT,
    VALUE_TOP,
    VALUES_AT_ONCE,
)
from penstock.jit import njit

PLACES = 4096
"""Places of a block."""
STRIDE = PLACES + 4
"""Lines from one block to the next: whole cache lines."""
FULL = 2560
"""Used places from which a block is split."""
_MASK = PLACES - 1
_KEY_WIDTH = 2


@njit(_nrt=False, error_model="numpy", forceinline=True)
def mix(code, salt):
    """Spread a code over the places of a table, in a way an attacker does not know."""
    h = (np.uint64(code) ^ np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(32)
    return np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def block_of(directory, shift, h):
    """Where the block of a mixed code begins."""
    return np.uint64(directory[np.uint64(h) >> np.uint64(shift)])


@njit(_nrt=False, error_model="numpy", forceinline=True)
def key_home(S, code):
    """The place at which the search for a key begins."""
    h = np.uint64(mix(code, S.meta[SALT]))
    return block_of(S.key_directory, S.meta[KEY_SHIFT], h) + (h & np.uint64(_MASK))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def find_slot(S, code):
    """The slot of a key, or -1."""
    h = np.uint64(mix(code, S.meta[SALT]))
    block, at = block_of(S.key_directory, S.meta[KEY_SHIFT], h), h & np.uint64(_MASK)
    while S.table[block + at, 0] != 0:
        if S.table[block + at, 0] == code:
            return S.table[block + at, 1]
        at = (at + np.uint64(1)) & np.uint64(_MASK)
    return np.int64(-1)


@njit(_nrt=False, error_model="numpy")
def place_key(S, code, slot):
    """Enter a key that the table does not hold; there is room for one more block."""
    h = mix(code, S.meta[SALT])
    block = _block_with_room(S.table, S.key_directory, S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, h)
    at = h & _MASK
    while S.table[block + at, 0] != 0:
        at = (at + 1) & _MASK
    S.table[block + at, 0] = code
    S.table[block + at, 1] = slot
    S.table[block + PLACES, 0] += 1
    S.meta[TABLE_USED] += 1


@njit(_nrt=False, error_model="numpy")
def remove_key(S, code):
    """Take a key off the table."""
    table, h = S.table, mix(code, S.meta[SALT])
    block, hole = np.int64(block_of(S.key_directory, S.meta[KEY_SHIFT], h)), h & _MASK
    while table[block + hole, 0] != code:
        hole = (hole + 1) & _MASK
    _close_gap(table, S.meta[SALT], block, hole)
    S.meta[TABLE_USED] -= 1


# ---------------------------------------------------------------- distinct values


@njit(_nrt=False, error_model="numpy", forceinline=True)
def is_scanned(P, row, d):
    """Whether a key's values of a distinct field are found by scanning its ring: no table holds them."""
    return row[LOG2] <= SCANNED_RING_LOG2 and not P.distincts[d, D_EVER]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def mixed_value(salt, owner, code):
    """The mixed code of a value of an owner: see `words.State.distinct`."""
    return mix(code ^ (owner << 32) ^ owner, salt)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def distinct_home(S, owner, code):
    """The place at which the search for (owner, code) begins."""
    h = np.uint64(mixed_value(S.meta[SALT], owner, code))
    return block_of(S.value_directory, S.meta[VALUE_SHIFT], h) + (h & np.uint64(_MASK))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def distinct_at(table, directory, meta, owner, code):
    """Where (owner, code) stands in the table of distinct values, or where it would."""
    h = np.uint64(mixed_value(meta[SALT], owner, code))
    block, at = block_of(directory, meta[VALUE_SHIFT], h), h & np.uint64(_MASK)
    while table[block + at, 0] != 0 and (table[block + at, 0] != owner or table[block + at, 1] != code):
        at = (at + np.uint64(1)) & np.uint64(_MASK)
    return block + at


@njit(_nrt=False, error_model="numpy")
def place_distinct(table, directory, meta, owner, code, position):
    """Enter or move the last position of a value; there is room for one more block."""
    at = np.int64(distinct_at(table, directory, meta, owner, code))
    if table[at, 0] == 0:
        h = mixed_value(meta[SALT], owner, code)
        block = _block_with_room(table, directory, meta, DISTINCT_USED, VALUE_SHIFT, VALUE_TOP, h)
        at = np.int64(distinct_at(table, directory, meta, owner, code))
        table[block + PLACES, 0] += 1
        meta[DISTINCT_USED] += 1
        table[at, 0] = owner
        table[at, 1] = code
    table[at, 2] = position


@njit(_nrt=False, error_model="numpy")
def remove_distinct(table, directory, meta, owner, code):
    """Take a value off the table of distinct values; without effect where it is not there."""
    block = np.int64(block_of(directory, meta[VALUE_SHIFT], mixed_value(meta[SALT], owner, code)))
    at = np.int64(distinct_at(table, directory, meta, owner, code))
    if table[at, 0] != 0:
        _close_gap(table, meta[SALT], block, at - block)
        meta[DISTINCT_USED] -= 1


@njit(_nrt=False, error_model="numpy")
def keep_out(P, S, role, sequence):
    """Remember that an event came too late for the key that it has in a role, where its label could still count."""
    if P.sizes.recalls:
        place_distinct(S.distinct, S.value_directory, S.meta, np.int64(-1 - role), np.int64(sequence), np.int64(0))


@njit(_nrt=False, error_model="numpy")
def was_kept_out(P, S, role, sequence):
    """Whether an event came too late for the key that it has in a role."""
    if not P.sizes.recalls:
        return False
    return S.distinct[distinct_at(S.distinct, S.value_directory, S.meta, np.int64(-1 - role), np.int64(sequence)), 0] != 0


@njit(_nrt=False, error_model="numpy", forceinline=True)
def values_at_once(roles, fields):
    """For how many distinct values an event asks for room."""
    return roles * (VALUES_AT_ONCE * fields + 1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def values_fit(table, directory, meta, values):
    """Whether the table of distinct values, an array of so many lines, can take so many at once: no block is split twice."""
    blocks = min(values, meta[VALUE_TOP] // STRIDE)
    return can_split(table, directory, meta, DISTINCT_USED, VALUE_SHIFT, VALUE_TOP, values, blocks)


# ---------------------------------------------------------------- blocks


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _mixed_at(table, salt, at):
    """The mixed code of what stands at a place of either table."""
    if table.shape[1] == _KEY_WIDTH:
        return mix(table[at, 0], salt)
    return mixed_value(salt, table[at, 0], table[at, 1])


@njit(_nrt=False, error_model="numpy")
def _close_gap(table, salt, block, hole):
    """Empty a place of a block, and move back every later entry whose own place does not lie behind the hole."""
    at = hole
    while True:
        at = (at + 1) & _MASK
        if table[block + at, 0] == 0:
            break
        home = _mixed_at(table, salt, block + at) & _MASK
        if ((at - home) & _MASK) >= ((at - hole) & _MASK):
            for word in range(table.shape[1]):
                table[block + hole, word] = table[block + at, word]
            hole = at
    table[block + hole, 0] = 0
    table[block + PLACES, 0] -= 1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _block_with_room(table, directory, meta, used, shift, top, h):
    """The block of a mixed code, split before if it is full."""
    block = np.int64(block_of(directory, meta[shift], h))
    while table[block + PLACES, 0] >= FULL and can_split(table.shape[0], directory.shape[0], meta, used, shift, top, 1, 1):
        _split(table, directory, meta, shift, top, block, h)
        block = np.int64(block_of(directory, meta[shift], h))
    return block


@njit(_nrt=False, error_model="numpy", forceinline=True)
def can_split(lines, places, meta, used, shift, top, entries, blocks):
    """Whether a table of so many lines, with a directory of so many places, can take this many more entries that split at
    most so many blocks: it has room for these, for one to rearrange another in, and for a directory twice as long; or it
    needs none.
    """
    if meta[used] + entries < FULL:
        return True
    return meta[top] + (blocks + 1) * STRIDE <= lines and np.int64(2) << (63 - meta[shift]) <= places


@njit(_nrt=False, error_model="numpy")
def _split(table, directory, meta, shift, top, block, h):
    """Split the block of a mixed code in two; the directory is doubled where only one of its places leads to the block."""
    depth, fresh, spare = table[block + PLACES, 1], meta[top], meta[top] + STRIDE
    if depth == 63 - meta[shift]:
        for place in range((np.int64(1) << depth) - 1, -1, -1):
            directory[2 * place] = directory[2 * place + 1] = directory[place]
        meta[shift] -= 1
    meta[top] += STRIDE
    used = np.int64(0)
    for at in range(PLACES):
        if table[block + at, 0] != 0:
            for word in range(table.shape[1]):
                table[spare + used, word] = table[block + at, word]
            used += 1
        table[block + at, 0] = table[fresh + at, 0] = 0
    for half in (block, fresh):
        table[half + PLACES, 0] = 0
        table[half + PLACES, 1] = depth + 1
    for entry in range(used):
        moved = _mixed_at(table, meta[SALT], spare + entry)
        half = fresh if (moved >> (62 - depth)) & 1 else block
        at = moved & _MASK
        while table[half + at, 0] != 0:
            at = (at + 1) & _MASK
        for word in range(table.shape[1]):
            table[half + at, word] = table[spare + entry, word]
        table[half + PLACES, 0] += 1
    deeper = 62 - meta[shift] - depth
    first = ((h >> (63 - depth)) * 2 + 1) << deeper
    for place in range(first, first + (np.int64(1) << deeper)):
        directory[place] = fresh
