"""Events in arrival order: each is read, then written."""

import numpy as np

from penstock.features.kernel.ahead import ask_for_entries, ask_for_keys, ask_for_rows, word_of
from penstock.features.kernel.cursors import seek
from penstock.features.kernel.extremes import ordered
from penstock.features.kernel.hash_tables import can_split, find_slot, keep_out, values_at_once, values_fit, was_kept_out
from penstock.features.kernel.leaving import forget, reach, retire_all
from penstock.features.kernel.reading import evaluate, express, measure, nothing_measured
from penstock.features.kernel.words import (
    AHEAD,
    AHEAD_SLOTS,
    AT_HAND,
    BLOCK,
    C_KINDS,
    C_SOURCE,
    C_TEXT,
    C_VALUE,
    C_WHERE,
    D_KINDS,
    D_SOURCE,
    D_TEXT,
    D_WHERE,
    DISTINCT_VALUES,
    ENTRIES_AHEAD,
    EXACT_VALUES,
    HAND,
    I_KINDS,
    I_SOURCE,
    I_TEXT,
    I_WHERE,
    ITEM_VALUES,
    KEY,
    KEY_SHIFT,
    KEY_TOP,
    KEYS_AHEAD,
    KNOWN_KEYS,
    L_KINDS,
    L_WHERE,
    LABEL_VALUES,
    LARGEST,
    MISSING,
    NEWEST,
    NO_EVENT,
    NO_KEYS,
    NO_RING,
    PAUSED,
    REFUSED,
    RING,
    RING_TOP,
    ROWS_AHEAD,
    SLOTS,
    SWEEP,
    TABLE_USED,
    TOO_LATE,
    TOUCHED,
    VALUES,
)
from penstock.features.kernel.writing import insert, new_slot
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def counts(x, i, kind, where, kinds):
    """Whether the event's type and the filter let it into a channel, item or distinct field."""
    return (kinds >> kind) & 1 and (where < 0 or x[np.uint64(i), np.uint64(where)] == 1.0)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _exact(x, codes, i, channel):
    """The unrounded value of a channel's field as a word: a text's code, or a number as a word that sorts as numbers do."""
    source = channel[C_SOURCE]
    return codes[i, source] if channel[C_TEXT] else ordered(x[i, source], x.view(np.int64)[i, source])


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _gather(P, i, kind, x, codes, values, exact_values, item_values, distinct_values, label_values):
    """Read from the event's columns what the entity's channels, items and distinct fields take in."""
    for c in range(P.channels.shape[0]):
        values[c] = MISSING
        if counts(x, i, kind, P.channels[c, C_WHERE], P.channels[c, C_KINDS]):
            source = P.channels[c, C_SOURCE]
            if source < 0 or (P.channels[c, C_TEXT] and codes[i, source] != 0):
                values[c] = 0
            elif not P.channels[c, C_TEXT] and not np.isnan(x[i, source]):
                values[c] = np.int64(np.rint(x[i, source] * P.scales[c]))
        if P.channels[c, C_VALUE] >= 0:
            exact_values[c] = _exact(x, codes, i, P.channels[c]) if values[c] != MISSING else MISSING
    for k in range(P.items.shape[0]):
        item_values[k] = MISSING
        if counts(x, i, kind, P.items[k, I_WHERE], P.items[k, I_KINDS]):
            item_values[k] = word_of(x, codes, i, P.items[k, I_SOURCE], P.items[k, I_TEXT])
    for d in range(P.distincts.shape[0]):
        distinct_values[d] = MISSING
        if counts(x, i, kind, P.distincts[d, D_WHERE], P.distincts[d, D_KINDS]):
            distinct_values[d] = word_of(x, codes, i, P.distincts[d, D_SOURCE], P.distincts[d, D_TEXT])
    for k in range(P.labels.shape[0]):
        label_values[k] = 0 if counts(x, i, kind, P.labels[k, L_WHERE], P.labels[k, L_KINDS]) else -1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _has_room(P, S, roles):
    """Whether the arrays can take whatever one event may need; nothing has been changed yet.

    A ring that doubles needs twice its size, and as much again so that it can be aligned.
    """
    values = values_at_once(roles, P.distincts.shape[0])
    return (
        can_split(S.table.shape[0], S.key_directory.shape[0], S.meta, TABLE_USED, KEY_SHIFT, KEY_TOP, roles, roles)
        and values_fit(S.distinct.shape[0], S.value_directory.shape[0], S.meta, values)
        and S.meta[SLOTS] + roles <= S.rows.shape[0]
        and S.meta[RING_TOP] + roles * 4 * S.meta[LARGEST] <= S.ring.shape[0]
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _awake(P, S, code, clock, slot):
    """The slot of a key that is not forgotten, or -1; `slot` is where it was a moment ago."""
    if slot < 0 or S.rows[np.uint64(slot), KEY] != code:
        slot = find_slot(S, code)
        if slot < 0:
            return slot
    row = S.rows[np.uint64(slot)]
    if clock - row[TOUCHED] > P.sizes.horizon and (row[RING] != NO_RING or not P.sizes.keeps_rows):
        forget(P, S, row)
        if not P.sizes.keeps_rows:
            return np.int64(-1)
    return slot


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _too_late(P, row, time):
    """Whether an event lies too far behind the newest of its key to enter its state."""
    return row[NEWEST] != MISSING and time < row[NEWEST] - P.sizes.lateness


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_let_in(P, S, row, role, kind, time, clock, sequence):
    """Whether an event enters its key's ring. It moves the key's newest time also where no feature takes in its type: no
    feature changes what is too late for another.
    """
    takes_in, is_label = (P.sizes.known_kinds >> kind) & 1 != 0, kind == P.sizes.labels_kind
    if _too_late(P, row, time):
        S.meta[TOO_LATE] += takes_in
        if not is_label:
            keep_out(P, S, role, sequence)
        return False
    if not is_label:
        row[NEWEST] = max(row[NEWEST], time)
    row[TOUCHED] = max(clock, time)
    return takes_in


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _arrive(P, S, row, time):
    """Bring a row to this time; from further back than `lateness`, what no window reaches must not be seen again."""
    if _too_late(P, row, time):
        retire_all(P, S, row, reach(P, row))
    seek(P, S, row, time)


@njit(_nrt=False, error_model="numpy")
def sweep(P, S, clock, slots):
    """Look at the next few slots in turn and forget the keys that the stream left behind."""
    if S.meta[PAUSED]:
        return
    for _ in range(min(slots, S.meta[SLOTS])):
        hand = S.meta[HAND] + 1 if S.meta[HAND] + 1 < S.meta[SLOTS] else np.int64(0)
        S.meta[HAND] = hand
        if S.rows[hand, KEY] != 0:
            _awake(P, S, S.rows[hand, KEY], clock, hand)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_large(S):
    """Whether the state is more than a core's own cache holds, so that asking ahead is worth its trouble."""
    return S.meta[RING_TOP] * S.ring.shape[1] + S.meta[SLOTS] * S.rows.shape[1] > S.meta[AT_HAND]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _look_ahead(P, S, keys, start, i, slots, x, codes):
    """Ask for the memory of the events that come next."""
    n = keys.shape[0]
    if start <= i + KEYS_AHEAD < n:
        ask_for_keys(S, keys, i + KEYS_AHEAD)
    if start <= i + ROWS_AHEAD < n:
        ask_for_rows(S, keys, i + ROWS_AHEAD, slots)
    if start <= i + ENTRIES_AHEAD < n:
        ask_for_entries(P, S, keys, i + ENTRIES_AHEAD, slots, x, codes)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def event(P, S, keys, slots, place, i, j, kind, time, clock, sequence, admission, x, codes, reads, writes):
    """One event: what it asks for is read, then it is written; slots[place + role]: where its keys' rows may be."""
    values, exact_values, item_values = S.scratch[VALUES], S.scratch[EXACT_VALUES], S.scratch[ITEM_VALUES]
    distinct_values, label_values = S.scratch[DISTINCT_VALUES], S.scratch[LABEL_VALUES]
    roles = keys.shape[1]
    _gather(P, i, kind, x, codes, values, exact_values, item_values, distinct_values, label_values)
    # every role is read before any is written: an event never sees itself in another role
    for turn in range(roles if roles == 1 else 2 * roles):
        role = turn if turn < roles else turn - roles
        key = keys[np.uint64(i), np.uint64(role)]
        if key == 0:
            continue
        slot = _awake(P, S, key, clock, slots[np.uint64(place + role)])
        if slot >= 0:
            _arrive(P, S, S.rows[np.uint64(slot)], time)
        if reads and turn < roles:
            row = S.rows[np.uint64(slot)] if slot >= 0 else S.blank
            measure(P, S, row, role, time, values, j)
            evaluate(P, S, row, role, time, values, exact_values, distinct_values, x[np.uint64(i)], codes[np.uint64(i)], j)
        if not writes or (roles > 1 and turn < roles):
            continue
        if kind == P.sizes.labels_kind and was_kept_out(P, S, role, sequence):
            continue
        if admission[i] & NO_KEYS or (slot < 0 and admission[i] & KNOWN_KEYS):
            admission[i] |= REFUSED if (P.sizes.known_kinds >> kind) & 1 else 0
            continue
        row = S.rows[np.uint64(slot if slot >= 0 else new_slot(P, S, key, time))]
        if _is_let_in(P, S, row, role, kind, time, clock, sequence):
            insert(P, S, row, time, sequence, role, values, exact_values, item_values, distinct_values, label_values)


@njit(_nrt=False, error_model="numpy")
def apply(P, S, start, keys, kinds, times, clocks, keep, admission, first_sequence, x, codes, read, write):
    """Read and write one entity's state for events in arrival order, from row `start` on.

    keys: int64 (n, roles), 0 where null. clocks: the stream's clock at each event. keep: whether an event may enter
    state. admission: which keys it may enter (`words.ALL_KEYS`), marked where one was refused. x, codes: columns in, features
    out. Returns the row at which the arrays must be enlarged, or n.
    """
    n, roles = keys.shape
    slots = S.scratch[AHEAD]
    for role in range(roles):
        slots[role] = -1
    ahead, mask = (KEYS_AHEAD, AHEAD_SLOTS - 1) if n - start > 1 and _is_large(S) else (0, 0)
    begin = np.int64(start)  # of the block whose spans are being measured
    for step in range(start - ahead, n):
        i = np.int64(step)
        if ahead > 0:
            _look_ahead(P, S, keys, start, i, slots, x, codes)
            if i < start:
                continue
        if i - begin == BLOCK:
            express(P, S, x, begin, i)
            begin = i
        nothing_measured(S, i - begin)
        if write and not _has_room(P, S, roles):
            express(P, S, x, begin, i)
            return i
        kind = np.int64(kinds[i])
        reads = read and kind in (0, NO_EVENT)
        writes = write and keep[i] and kind <= P.sizes.labels_kind
        if reads or writes:
            place, sequence = (i & mask) * roles, first_sequence + i
            time, clock = times[i], clocks[i]
            event(P, S, keys, slots, place, i, i - begin, kind, time, clock, sequence, admission, x, codes, reads, writes)
    express(P, S, x, begin, n)
    if write and n > 0 and kinds[n - 1] != P.sizes.labels_kind:
        sweep(P, S, clocks[n - 1], n // SWEEP + 1)
    return n


@njit(_nrt=False, error_model="numpy")
def settle(P, S):
    """Remove every entry that no window reaches, so that equal states have equal arrays."""
    for slot in range(S.meta[SLOTS]):
        if S.rows[slot, KEY] != 0 and S.rows[slot, RING] != NO_RING:
            retire_all(P, S, S.rows[slot], reach(P, S.rows[slot]))
