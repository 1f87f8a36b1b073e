"""Writing of events into the rows and rings of keys, in order of time."""

import numpy as np

from penstock.features.kernel.aggregates.sessions import continue_session
from penstock.features.kernel.aggregates.sketches import count_in
from penstock.features.kernel.cursors import low_of
from penstock.features.kernel.deviation import multiply
from penstock.features.kernel.extremes import summarise, summarise_one
from penstock.features.kernel.hash_tables import distinct_at, is_scanned, place_distinct, place_key, remove_distinct
from penstock.features.kernel.leaving import reach, retire
from penstock.features.kernel.rings import give_ring, last_in_ring, lay_base, physical, search, take_ring
from penstock.features.kernel.words import (
    BASE,
    C_ABSOLUTE,
    C_COUNT,
    C_EVER,
    C_ROLES,
    C_SQUARES,
    C_SUM,
    C_VALUE,
    CURSORS,
    D_EVER,
    D_RING,
    D_ROLES,
    END,
    ENTROPY,
    F_COUNTER,
    F_OP,
    FIRST,
    FIRST_TIME,
    FIRST_WORD,
    FREE_SLOT,
    I_RING,
    I_ROLES,
    I_ROW,
    K_HIGH,
    K_LABEL,
    K_SKETCH,
    K_SOURCE,
    KEY,
    L_RING,
    L_ROLES,
    LARGEST_SUM,
    LAST_TIME,
    LAST_VALUE,
    LATE,
    LOG2,
    MISSING,
    MODE,
    NEWEST,
    NO_RING,
    OVERFLOWED,
    READ_AT,
    RETIRE_EVERY,
    RING,
    SCANNED_RING_LOG2,
    SLOT,
    SLOTS,
    SMALLEST_RING_LOG2,
    Z_CHANNEL,
    Z_GAP,
    Z_RING,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def clear_row(P, row, code, slot):
    """Reset a row to that of a key without events."""
    for word in range(row.shape[0]):
        row[word] = 0
    for word in range(P.sizes.totals + P.sizes.total_words, P.sizes.row_width):
        row[word] = MISSING
    for c in range(P.channels.shape[0]):
        if P.channels[c, C_ABSOLUTE] >= 0:
            row[P.channels[c, C_ABSOLUTE]] = 0
    row[KEY] = code
    row[SLOT] = slot
    row[RING] = NO_RING
    row[LOG2] = SMALLEST_RING_LOG2
    row[NEWEST] = MISSING
    row[READ_AT] = MISSING
    row[BASE] = MISSING


@njit(_nrt=False, error_model="numpy")
def new_slot(P, S, code, time):
    """Allocate a row for an unknown key."""
    slot = S.meta[FREE_SLOT]
    if slot >= 0:
        S.meta[FREE_SLOT] = S.rows[slot, NEWEST]
    else:
        slot = S.meta[SLOTS]
        S.meta[SLOTS] += 1
    clear_row(P, S.rows[slot], code, slot)
    S.rows[slot, READ_AT] = time
    place_key(S, code, slot)
    return slot


@njit(_nrt=False, error_model="numpy")
def resize(P, S, row, log2):
    """Move a key's entries, and the one before them, into a ring of 2^log2; a key without a ring gets its first."""
    if row[RING] == NO_RING:
        lay_base(P, S, row)
    old = row[RING]
    old_log2 = row[LOG2]
    first, end = row[FIRST], row[END]
    new = take_ring(S, log2)
    old_mask = (np.int64(1) << old_log2) - 1
    new_mask = (np.int64(1) << log2) - 1
    for position in range(first - 1, end):
        for k in range(S.ring.shape[1]):
            S.ring[new + (position & new_mask), k] = S.ring[old + (position & old_mask), k]
    row[RING] = new
    row[LOG2] = log2
    if (old_log2 <= SCANNED_RING_LOG2) != (log2 <= SCANNED_RING_LOG2):
        _enter_or_remove_values(P, S, row)
    if old != NO_RING:
        give_ring(S, old, old_log2)
    if P.extremes.shape[0] > 0:
        summarise(P, S, row, first)


@njit(_nrt=False, error_model="numpy")
def _enter_or_remove_values(P, S, row):
    """Add a ring's distinct values to their table when it becomes too large to scan, or remove them when it is small again."""
    for d in range(P.distincts.shape[0]):
        if P.distincts[d, D_EVER]:
            continue
        column = P.distincts[d, D_RING]
        owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
        for position in range(row[FIRST], row[END]):
            at = physical(row, position)
            if S.ring[at, column] == MISSING or S.ring[at, column + 2] >= 0:
                continue
            if is_scanned(P, row, d):
                remove_distinct(S.distinct, S.value_directory, S.meta, owner, S.ring[at, column])
            else:
                place_distinct(S.distinct, S.value_directory, S.meta, owner, S.ring[at, column], position)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _add_totals(P, entry, before, values, role):
    """Make an entry's running totals: those of the entry before it, and this event."""
    for c in range(P.channels.shape[0]):
        line = P.channels[c]
        value = values[c] if (line[C_ROLES] >> role) & 1 else MISSING
        counts = value != MISSING
        column = line[C_COUNT]
        if column >= 0:
            entry[np.uint64(column)] = before[np.uint64(column)] + np.int64(counts)
        column = line[C_SUM]
        if column >= 0:
            entry[np.uint64(column)] = before[np.uint64(column)] + (value if counts else np.int64(0))
        if line[C_SQUARES] >= 0:
            column = np.uint64(line[C_SQUARES])
            size = np.uint64(abs(value)) if counts else np.uint64(0)
            high, low = multiply(size, size)
            low_word = np.uint64(before[column + np.uint64(1)]) + low
            entry[column + np.uint64(1)] = np.int64(low_word)
            entry[column] = np.int64(np.uint64(before[column]) + high + np.uint64(low_word < low))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _next_in_ring(ring, row, column, code, start):
    """The first position from `start` on at which a value stands in the ring, or -1."""
    for position in range(start, row[END]):
        if ring[physical(row, position), column] == code:
            return position
    return np.int64(-1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _link(P, S, row, position, d, code):
    """Enter a distinct value at a position: between its neighbours in the chain, and in the table where it is last."""
    column = P.distincts[d, D_RING]
    at = physical(row, position)
    S.ring[at, column] = code
    S.ring[at, column + 1] = -1
    S.ring[at, column + 2] = -1
    if code == MISSING:
        return
    owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
    scanned, place, before, after = is_scanned(P, row, d), np.uint64(0), np.int64(-1), np.int64(-1)
    if scanned:
        before = last_in_ring(S.ring, row, column, code, position)
        after = _next_in_ring(S.ring, row, column, code, position + 1)
    else:
        place = distinct_at(S.distinct, S.value_directory, S.meta, owner, code)
        if S.distinct[place, 0] != 0:
            before = S.distinct[place, 2]
            while before > position:
                after = before
                before = S.ring[physical(row, before), column + 1]
    S.ring[at, column + 1] = before
    S.ring[at, column + 2] = after
    if before >= row[FIRST]:
        S.ring[physical(row, before), column + 2] = position
    if after >= 0:
        S.ring[physical(row, after), column + 1] = position
    elif not scanned:
        place_distinct(S.distinct, S.value_directory, S.meta, owner, code, position)


@njit(_nrt=False, error_model="numpy")
def _shift(P, S, row, position, values, role):
    """Make room for a late event: move later entries up by one and add the event to their totals."""
    for old in range(row[END] - 1, position - 1, -1):
        at, to = physical(row, old), physical(row, old + 1)
        for k in range(S.ring.shape[1]):
            S.ring[to, k] = S.ring[at, k]
        _add_totals(P, S.ring[to], S.ring[to], values, role)
        for d in range(P.distincts.shape[0]):
            column = P.distincts[d, D_RING]
            code = S.ring[to, column]
            if code == MISSING:
                continue
            before, after = S.ring[to, column + 1], S.ring[to, column + 2]
            if before >= row[FIRST]:
                S.ring[physical(row, before), column + 2] = old + 1
            if after >= 0:
                S.ring[physical(row, after), column + 1] = old + 1
            elif not is_scanned(P, row, d):
                owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
                place_distinct(S.distinct, S.value_directory, S.meta, owner, code, old + 1)


@njit(_nrt=False, error_model="numpy")
def _continue_sessions(P, S, row, position):
    """Write the state of the sessions into an entry and all later ones."""
    ring, width = S.ring.reshape(-1), np.uint64(S.ring.shape[1])
    for of in range(P.sessions.shape[0]):
        line = P.sessions[of]
        channel = P.channels[line[Z_CHANNEL]]
        for at in range(position, row[END]):
            entry, before = physical(row, at) * width, physical(row, at - 1) * width
            continue_session(ring, entry, before, line[Z_RING], channel[C_COUNT], channel[C_SUM], line[Z_GAP])


@njit(_nrt=False, error_model="numpy")
def forget_turns(P, row, moved):
    """Invalidate this row's counts in `State.tally`: its ring has changed, or its entries have moved."""
    for f in range(P.features.shape[0]):
        if MODE <= P.features[f, F_OP] <= ENTROPY:
            place = P.features[f, F_COUNTER]
            row[place] = 0 if moved else -abs(row[place])


@njit(_nrt=False, error_model="numpy")
def _recount(P, S, row, position):
    """Update cursors and counters after an insertion before the end: windows that contain the event count its values."""
    forget_turns(P, row, False)
    for c in range(P.offsets.shape[0]):
        if row[CURSORS + c] > position:
            row[CURSORS + c] += 1
    at = physical(row, position)
    for k in range(P.counters.shape[0]):
        if P.counters[k, K_LABEL]:
            continue
        low, high = low_of(P, row, k), row[CURSORS + P.counters[k, K_HIGH]]
        if P.counters[k, K_SKETCH] >= 0:
            if low <= position < high:
                word = S.ring[at, P.channels[P.counters[k, K_SOURCE], C_VALUE]]
                count_in(row, np.uint64(P.counters[k, K_SKETCH]), word, 1)
            continue
        column = P.distincts[P.counters[k, K_SOURCE], D_RING]
        if position < low or position >= high or S.ring[at, column] == MISSING:
            continue
        after = S.ring[at, column + 2]
        if S.ring[at, column + 1] < low and (after < 0 or after >= high):
            row[P.sizes.counters + k] += 1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _remember(P, S, row, at, time, item_values, role):
    """Enter the event's remembered values: into the ring, and into the row where it is the last or the first."""
    for item in range(P.items.shape[0]):
        value = item_values[item] if (P.items[item, I_ROLES] >> role) & 1 else MISSING
        column = P.items[item, I_RING]
        if column >= 0:
            S.ring[at, column] = value
        if value == MISSING:
            continue
        place = P.items[item, I_ROW]
        if row[place + LAST_TIME] == MISSING or time >= row[place + LAST_TIME]:
            row[place + LAST_VALUE] = value
            row[place + LAST_TIME] = time
        if row[place + FIRST_TIME] == MISSING or time < row[place + FIRST_TIME]:
            row[place + FIRST_WORD] = value
            row[place + FIRST_TIME] = time


@njit(_nrt=False, error_model="numpy", forceinline=True)
def guard(P, S, row, values, role):
    """Keep sums in range: a value that would carry a sum beyond 2^62 units stays out, and is counted as overflowed.

    The row holds an upper bound of the absolute values in its ring. It only grows; when it reaches the limit, it is recomputed.
    """
    for c in range(P.channels.shape[0]):
        place = P.channels[c, C_ABSOLUTE]
        if place < 0 or values[c] == MISSING or not (P.channels[c, C_ROLES] >> role) & 1:
            continue
        size = abs(values[c])
        if size > LARGEST_SUM - row[place] and not P.channels[c, C_EVER]:
            row[place] = _absolute(S.ring, row, P.channels[c, C_SUM], reach(P, row))
        if size > LARGEST_SUM - row[place]:
            values[c] = MISSING
            S.meta[OVERFLOWED] += 1
        else:
            row[place] += size


@njit(_nrt=False, error_model="numpy")
def _absolute(ring, row, column, bound):
    """The sum of the absolute values over the entries of a ring that windows still reach."""
    total = np.int64(0)
    offset, mask = row[RING], (np.int64(1) << row[LOG2]) - 1
    for position in range(row[FIRST], row[END]):
        if ring[offset + (position & mask), 0] > bound:
            total += abs(ring[offset + (position & mask), column] - ring[offset + ((position - 1) & mask), column])
    return total


@njit(_nrt=False, error_model="numpy", forceinline=True)
def make_place(P, S, row):
    """Resize a key's ring where needed: it must hold one more entry and the one before its oldest, and not be far too large."""
    size, mask = row[END] - row[FIRST], (np.int64(1) << row[LOG2]) - 1
    if row[RING] == NO_RING:
        resize(P, S, row, SMALLEST_RING_LOG2)
    elif size >= mask:
        resize(P, S, row, row[LOG2] + 1)
    elif row[LOG2] > 6 and size << 4 <= mask:
        resize(P, S, row, row[LOG2] - 2)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def insert(P, S, row, time, sequence, role, values, exact_values, item_values, distinct_values, label_values):
    """Write an event into its key's row and ring, where its time belongs."""
    end, mask = row[END], (np.int64(1) << row[LOG2]) - 1
    if end & (RETIRE_EVERY - 1) == 0 or end - row[FIRST] >= mask:
        retire(P, S, row, reach(P, row))
    guard(P, S, row, values, role)
    make_place(P, S, row)
    size = end - row[FIRST]
    position = end
    if size > 0 and S.ring[physical(row, position - 1), 0] > time:
        position = search(S.ring, row, row[FIRST], position, time)
        S.meta[LATE] += 1
        _shift(P, S, row, position, values, role)
    at = physical(row, position)
    S.ring[at, 0] = time
    row[END] = end + 1
    _add_totals(P, S.ring[at], S.ring[physical(row, position - 1)], values, role)
    if P.sessions.shape[0] > 0:
        _continue_sessions(P, S, row, position)
    if P.sizes.sequence >= 0:
        S.ring[at, P.sizes.sequence] = sequence
    for c in range(P.channels.shape[0]):
        if P.channels[c, C_VALUE] >= 0:
            S.ring[at, P.channels[c, C_VALUE]] = exact_values[c] if (P.channels[c, C_ROLES] >> role) & 1 else MISSING
    for item in range(P.labels.shape[0]):
        S.ring[at, P.labels[item, L_RING]] = label_values[item] if (P.labels[item, L_ROLES] >> role) & 1 else -1
    _remember(P, S, row, at, time, item_values, role)
    for d in range(P.distincts.shape[0]):
        _link(P, S, row, position, d, distinct_values[d] if (P.distincts[d, D_ROLES] >> role) & 1 else MISSING)
    if position < end:
        _recount(P, S, row, position)
        summarise(P, S, row, position)
    elif P.extremes.shape[0] > 0:
        summarise_one(P, S, row, position)
