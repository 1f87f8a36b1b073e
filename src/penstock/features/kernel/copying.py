"""Keys copied out of a state, a few at a time, and brought into another one: for snapshots, and to move a table together.

A *copied row* is a row whose ring offset is the place of its first entry among the copied entries, which stand in order: the
entry before the oldest, then all that are in the ring. A *value* is (key, distinct field, code, last position) where its owner
remembers values of all time, or (-1 - role, -1, sequence, 0) for an event that was kept out as too late.
"""

import numpy as np

from penstock.features.kernel.ahead import word_of
from penstock.features.kernel.extremes import summarise
from penstock.features.kernel.handles import plan_at, state_at
from penstock.features.kernel.hash_tables import (
    FULL,
    PLACES,
    STRIDE,
    block_of,
    can_split,
    distinct_at,
    find_slot,
    is_scanned,
    place_distinct,
    place_key,
    remove_distinct,
)
from penstock.features.kernel.rings import physical, take_ring
from penstock.features.kernel.words import (
    D_EVER,
    D_RING,
    D_SOURCE,
    D_TEXT,
    DISTINCT_USED,
    END,
    FIRST,
    KEY,
    KEY_SHIFT,
    KEY_TOP,
    LOG2,
    MISSING,
    NO_RING,
    RING,
    SLOT,
    SLOTS,
    TABLE_USED,
    VALUE_SHIFT,
    VALUE_TOP,
)
from penstock.features.kernel.writing import forget_turns
from penstock.jit import njit

ABSENT = np.int64(-(2**62))
"""The last position of a value that was not there."""
VALUE_WIDTH = 4


# ---------------------------------------------------------------- out of a state


@njit(_nrt=False, error_model="numpy", nogil=True)
def slots_of(handle, keys, slots):
    """The slot of every key, -1 where it has none."""
    S = state_at(handle)
    for at in range(keys.shape[0]):
        slots[at] = find_slot(S, keys[at]) if keys[at] != 0 else np.int64(-1)


@njit(_nrt=False, error_model="numpy", nogil=True)
def copy_keys(handle, slots, start, stop, copied, rows, entries, used):
    """Copy the keys of slots that were not copied yet; `copied`, by slot, says which were.

    slots: from place `start` to `stop`; where it is empty, these are the slots themselves. used: how many lines of `rows` and
    `entries` are taken. Returns where it stopped because they were full, or `stop`.
    """
    S = state_at(handle)
    for at in range(start, stop):
        slot = slots[at] if slots.shape[0] > 0 else np.int64(at)
        if slot < 0 or slot >= copied.shape[0] or copied[slot]:
            continue
        row = S.rows[slot]
        if row[KEY] != 0:
            size = row[END] - row[FIRST] + 1 if row[RING] != NO_RING else np.int64(0)
            if used[0] == rows.shape[0] or used[1] + size > entries.shape[0]:
                return np.int64(at)
            for word in range(row.shape[0]):
                rows[used[0], word] = row[word]
            if size > 0:
                rows[used[0], RING] = used[1]
            for entry in range(size):
                place = physical(row, row[FIRST] - 1 + entry)
                for word in range(S.ring.shape[1]):
                    entries[used[1] + entry, word] = S.ring[place, word]
            used[0] += 1
            used[1] += size
        copied[slot] = True
    return np.int64(stop)


@njit(_nrt=False, error_model="numpy", nogil=True)
def copy_values(handle, code, blocks, before, values):
    """Copy the values of the table of distinct values that rings do not hold: `blocks` blocks, starting at this mixed code.

    Blocks are copied in the order of mixed codes, which splits preserve. before: events that were kept out are skipped from
    this sequence number on. Returns (mixed code of the next block, below 0 at the end; values copied).
    """
    P, S = plan_at(handle), state_at(handle)
    fields, used = P.distincts.shape[0], np.int64(0)
    for _ in range(blocks):
        block = np.int64(block_of(S.value_directory, S.meta[VALUE_SHIFT], code))
        for at in range(block, block + PLACES):
            owner = S.distinct[at, 0]
            if owner < 0 and S.distinct[at, 1] < before:
                values[used, 0] = owner
                values[used, 1] = -1
                values[used, 3] = 0
                values[used, 2] = S.distinct[at, 1]
                used += 1
            elif owner > 0 and P.distincts[(owner - 1) % fields, D_EVER]:
                values[used, 0] = S.rows[(owner - 1) // fields, KEY]
                values[used, 1] = (owner - 1) % fields
                values[used, 2] = S.distinct[at, 1]
                values[used, 3] = S.distinct[at, 2]
                used += 1
        shift = 63 - S.distinct[block + PLACES, 1]
        if shift == 63 or (code >> shift) + 1 == np.int64(1) << (63 - shift):
            return np.int64(-1), used
        code = ((code >> shift) + 1) << shift
    return code, used


@njit(_nrt=False, error_model="numpy", nogil=True)
def copy_values_of(handle, slots, roles, x, codes, start, values):
    """Copy the values of all time that events may enter or move: those that they hold, of their keys.

    slots: of the keys of the events in each role, one after another. Returns (the event at which `values` is full, or the
    number of events; values copied).
    """
    P, S = plan_at(handle), state_at(handle)
    fields, used = P.distincts.shape[0], np.int64(0)
    for i in range(start, x.shape[0]):
        if used + roles * fields > values.shape[0]:
            return np.int64(i), used
        for role in range(roles):
            slot = slots[i * roles + role]
            for d in range(fields):
                code = word_of(x, codes, i, P.distincts[d, D_SOURCE], P.distincts[d, D_TEXT])
                if slot < 0 or not P.distincts[d, D_EVER] or code == MISSING:
                    continue
                at = distinct_at(S.distinct, S.value_directory, S.meta, slot * fields + d + 1, code)
                values[used, 0] = S.rows[slot, KEY]
                values[used, 1] = d
                values[used, 2] = code
                values[used, 3] = S.distinct[at, 2] if S.distinct[at, 0] != 0 else ABSENT
                used += 1
    return np.int64(x.shape[0]), used


# ---------------------------------------------------------------- into a state


@njit(_nrt=False, error_model="numpy")
def bring_keys(P, S, order, start, rows, ring, packed):
    """Bring the keys of some rows into a state that does not know them, in this order; its rows and rings have room.

    packed: whether these are copied rows; otherwise they and their rings are those of another state. Returns the place in the
    order at which a hash table needs more room, or its length.
    """
    for at in range(start, order.shape[0]):
        source, slot = rows[order[at]], S.meta[SLOTS]
        if not _has_room(P, S, source[END] - source[FIRST] if source[RING] != NO_RING else np.int64(0)):
            return np.int64(at)
        row = S.rows[slot]
        for word in range(row.shape[0]):
            row[word] = source[word]
        row[SLOT] = slot
        forget_turns(P, row, True)
        S.meta[SLOTS] += 1
        place_key(S, row[KEY], slot)
        if row[RING] == NO_RING:
            continue
        offset, mask = source[RING], (np.int64(1) << source[LOG2]) - 1
        row[RING] = take_ring(S, row[LOG2])
        for position in range(row[FIRST] - 1, row[END]):
            to = physical(row, position)
            place = offset + (position - row[FIRST] + 1 if packed else position & mask)
            for word in range(S.ring.shape[1]):
                S.ring[to, word] = ring[place, word]
        if P.extremes.shape[0] > 0:
            summarise(P, S, row, row[FIRST])
        _enter_values(P, S, row, False)
    return np.int64(order.shape[0])


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _has_room(P, S, size):
    """Whether the hash tables can take a key with a ring of so many entries."""
    lines, places = S.distinct.shape[0], S.value_directory.shape[0]
    values, blocks = room_for_ring(P.distincts.shape[0], size)
    return (
        can_split(S.table.shape[0], S.key_directory.shape[0], S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, 1, 1)
        and can_split(lines, places, S.meta, DISTINCT_USED, VALUE_SHIFT, VALUE_TOP, values, blocks)
        and 4 * (S.meta[VALUE_TOP] // STRIDE + blocks) <= places
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def room_for_ring(fields, size):
    """Distinct values of a ring of so many entries and one more, and the blocks that they may split."""
    return fields * size + 1, fields * (size // (FULL // 2) + 2) + 1


@njit(_nrt=False, error_model="numpy")
def _enter_values(P, S, row, ever):
    """Enter the last positions of the values in a key's ring: those of windows, or those of all time."""
    for d in range(P.distincts.shape[0]):
        if is_scanned(P, row, d) or (P.distincts[d, D_EVER] != 0) != ever:
            continue
        column = P.distincts[d, D_RING]
        owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
        for position in range(row[FIRST], row[END]):
            at = physical(row, position)
            if S.ring[at, column] != MISSING and S.ring[at, column + 2] < 0:
                place_distinct(S.distinct, S.value_directory, S.meta, owner, S.ring[at, column], position)


@njit(_nrt=False, error_model="numpy")
def bring_values(P, S, values, start):
    """Bring values to the keys that are there; the last of equal ones holds. Returns where the table needs more room, or their
    number.
    """
    for at in range(start, values.shape[0]):
        if not _has_room(P, S, np.int64(0)):
            return np.int64(at)
        owner, code, position = values[at, 0], values[at, 2], values[at, 3]
        if values[at, 1] >= 0:
            slot = find_slot(S, owner)
            if slot < 0:
                continue
            owner = slot * P.distincts.shape[0] + values[at, 1] + 1
        if position == ABSENT:
            remove_distinct(S.distinct, S.value_directory, S.meta, owner, code)
        else:
            place_distinct(S.distinct, S.value_directory, S.meta, owner, code, position)
    return np.int64(values.shape[0])


@njit(_nrt=False, error_model="numpy")
def settle_values(P, S):
    """Where a value of all time stands in its key's ring, its last position is the one there."""
    for slot in range(S.meta[SLOTS]):
        if S.rows[slot, RING] != NO_RING:
            _enter_values(P, S, S.rows[slot], True)
