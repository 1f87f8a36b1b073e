"""The feature kernel: exact sliding windows over keyed streams, in flat arrays.

One table per entity. A key owns one *row* of 64-bit words and one *ring* of its recent events, ordered by event time
(equal times in order of arrival). A ring entry holds **running totals** (count, sum, sum of squares as two words), not
values: the content of any window is the difference of two totals, exact because all arithmetic is modulo 2^64 (2^128
for squares) on fixed-point integers. A window is therefore nothing but two *cursors* into the ring, shared by all
aggregates that use the same bound; no aggregate is updated when an event leaves a window.

What totals cannot express is kept beside them:

* distinct values and label flags: a *counter* per window, adjusted by each entry a cursor passes. An entry knows the
  position of the previous and the next event with the same value, so every adjustment is O(1), in both directions;
* min and max: summaries of blocks of 16, 256, ... entries above the ring; a query touches at most 30 per level;
* first and last: fields of the row, which outlive the ring.

Cursors and counters are caches: moving them changes no answer. Reading (`_seek`, `_evaluate`) and writing (`_insert`)
are separate, so a dry run is a read without the write.

numba checks no bounds, so `apply` asks for room before it changes anything and stops at the event that lacks it; the
caller enlarges the arrays and calls again. Every function also runs as plain Python (NUMBA_DISABLE_JIT=1).
"""

from collections import namedtuple

import numba as nb
import numpy as np

from penstock.features.memory import ask_for

MISSING = np.int64(-(2**63))
"""No value: in a channel, an item, a distinct code or a time."""
NO_EVENT = 63
"""The event type of a question: no feature takes it in, so that a key's features are seen as they stand."""
LARGEST_SUM = np.int64(1) << 62
FANOUT_LOG2 = 4
SMALLEST_RING_LOG2 = 2
NO_RING, NOTHING, ARENA_START = 0, 4, 8
"""Places of the arena that belong to no key: a ring for rows that have none, an entry of zeros, the first free place."""
BLOCK = 32
"""Events whose spans are turned into features together."""
KEYS_AHEAD, ROWS_AHEAD, ENTRIES_AHEAD, AHEAD_SLOTS = 24, 16, 8, 32
"""How many events ahead a key's place, its row and its ring entries are asked for; how many slots are kept on the way."""
LINE = 8
"""Words of a cache line."""
SWEEP = 4
"""Events per slot looked at for keys to forget: a full round takes four times as many events as there are keys."""
RETIRE_EVERY = 8
"""Events of a key between two looks for entries that no window can reach any more; a power of two."""

# Words of a row; cursors follow, then counters, the totals before the oldest entry, and the items (`Sizes`).
KEY, SLOT, RING, LOG2, FIRST, END, NEWEST, TOUCHED, READ_AT, CURSORS = range(10)
"""Key code; the row's own slot; offset of the ring (NO_RING: none); log2 of its capacity; absolute positions
of the oldest entry and of the place after the newest;
newest event time; stream clock at the last write; time the cursors stand at."""

# Words of `State.meta`.
SLOTS, FREE_SLOT, RING_TOP, LARGEST, TABLE_USED, DISTINCT_USED, SALT, LATE, TOO_LATE, OVERFLOWED, FORGOTTEN, HAND, META = range(
    13
)

# Lines of `State.scratch`.
VALUES, ITEM_VALUES, DISTINCT_VALUES, LABEL_VALUES, AHEAD, SCRATCH = range(6)

# Aggregates.
COUNT, SUM, MEAN, STD, LABELS, LABEL_RATE, MIN, MAX, DISTINCT, LAST, SINCE_LAST, FIRST_VALUE, SINCE_FIRST = range(13)

# Columns of the plan's tables, all int64.
F_OP, F_OUT, F_ROLE, F_LOW, F_HIGH, F_SOURCE, F_COUNTER, F_CURRENT, F_WINDOW, F_TEXT, F_SPAN, F_WIDTH = range(12)
G_ROLE, G_LOW, G_HIGH, G_SOURCE, G_CURRENT, G_COUNT, G_SUM, G_SQUARES, G_WIDTH = range(9)
"""A span: one channel within one window, which any number of features read. G_COUNT, G_SUM, G_SQUARES: the channel's
columns in a ring entry (-1: none; positions are counts)."""
SPAN_COUNT, SPAN_SUM, SPAN_HIGH, SPAN_LOW, SPAN_WORDS = range(5)
C_SOURCE, C_WHERE, C_KINDS, C_ROLES, C_COUNT, C_SUM, C_SQUARES, C_VALUE, C_ABSOLUTE, C_EVER, C_WIDTH = range(11)
I_SOURCE, I_TEXT, I_WHERE, I_KINDS, I_ROLES, I_RING, I_ROW, I_WIDTH = range(8)
D_SOURCE, D_TEXT, D_WHERE, D_KINDS, D_ROLES, D_RING, D_EVER, D_WIDTH = range(8)
L_WHERE, L_KINDS, L_ROLES, L_RING, L_WIDTH = range(5)
K_LABEL, K_LOW, K_HIGH, K_SOURCE, K_WIDTH = range(5)
LAST_VALUE, LAST_TIME, OLD_VALUE, OLD_TIME, FIRST_WORD, FIRST_TIME, ITEM_WIDTH = range(7)
"""Words of an item in the row: the last value and its time, the same among entries that left the ring, the first."""

Sizes = namedtuple(
    "Sizes",
    "skew lateness retention horizon keeps_rows counters totals total_words items row_width ring_width sequence "
    "stepping mourns summed",
)
"""Times in microseconds; places of the row's sections; widths; the ring column of the sequence number (-1: none);
whether cursors must step entry by entry because counters watch them; whether an entry that leaves has more than totals;
how many features, the first, are made from spans alone."""

Plan = namedtuple("Plan", "sizes offsets features spans channels scales extremes items distincts labels counters")
"""What is computed for one entity. offsets: cursor c stands before the first entry with time > t - offsets[c];
offsets[0] is -skew. scales: units per 1.0 by channel. extremes: (channel, minimum?) by row of `State.blocks`."""

State = namedtuple("State", "meta free table rows ring blocks levels distinct scratch blank spans")
"""meta, free list heads by ring size, key table (code, slot), rows, rings, block summaries (extreme, flattened
levels), start of each level, last positions of distinct values (slot and field, code, position), and what the kernel
reads from one event: a line each for channels, items, distinct fields and labels; and the row of an unknown key."""


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _mix(code, salt):
    h = (np.uint64(code) ^ np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(32)
    return np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))


# ------------------------------------------------------------------------------------------------ hash tables


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def find_slot(S, code):
    """The slot of a key, or -1."""
    mask = np.uint64(S.table.shape[0] - 1)
    at = np.uint64(_mix(code, S.meta[SALT])) & mask
    while S.table[at, 0] != 0:
        if S.table[at, 0] == code:
            return S.table[at, 1]
        at = (at + np.uint64(1)) & mask
    return np.int64(-1)


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def place_key(table, salt, code, slot):
    """Enter a key that the table does not hold."""
    mask = table.shape[0] - 1
    at = _mix(code, salt) & mask
    while table[at, 0] != 0:
        at = (at + 1) & mask
    table[at, 0] = code
    table[at, 1] = slot


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def place_keys(S, table):
    """Enter every key of the rows into an empty table."""
    for slot in range(S.meta[SLOTS]):
        if S.rows[slot, KEY] != 0:
            place_key(table, S.meta[SALT], S.rows[slot, KEY], slot)


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def place_distincts(S, table):
    """Enter every distinct value of the old table into an empty one."""
    for at in range(S.distinct.shape[0]):
        if S.distinct[at, 0] != 0:
            place_distinct(table, S.meta[SALT], S.distinct[at, 0], S.distinct[at, 1], S.distinct[at, 2])


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _remove_key(S, code):
    table = S.table
    mask = table.shape[0] - 1
    hole = _mix(code, S.meta[SALT]) & mask
    while table[hole, 0] != code:
        hole = (hole + 1) & mask
    at = hole
    while True:  # close the gap: move back every entry whose own place does not lie behind the hole
        at = (at + 1) & mask
        if table[at, 0] == 0:
            break
        home = _mix(table[at, 0], S.meta[SALT]) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            table[hole, 0] = table[at, 0]
            table[hole, 1] = table[at, 1]
            hole = at
    table[hole, 0] = 0
    S.meta[TABLE_USED] -= 1


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _distinct_home(table, salt, owner, code):
    return np.uint64(_mix(code ^ (owner << 32) ^ owner, salt)) & np.uint64(table.shape[0] - 1)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _distinct_at(table, salt, owner, code):
    """Where (owner, code) stands in the table of distinct values, or where it would."""
    mask = np.uint64(table.shape[0] - 1)
    at = _distinct_home(table, salt, owner, code)
    while table[at, 0] != 0 and (table[at, 0] != owner or table[at, 1] != code):
        at = (at + np.uint64(1)) & mask
    return at


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def place_distinct(table, salt, owner, code, position):
    """Enter or move the last position of a value; True where it is new."""
    at = _distinct_at(table, salt, owner, code)
    new = table[at, 0] == 0
    table[at, 0] = owner
    table[at, 1] = code
    table[at, 2] = position
    return new


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _remove_distinct(table, meta, owner, code):
    """Take a value off the table of distinct values."""
    mask = np.uint64(table.shape[0] - 1)
    hole = _distinct_at(table, meta[SALT], owner, code)
    at = hole
    while True:
        at = (at + np.uint64(1)) & mask
        if table[at, 0] == 0:
            break
        home = _distinct_home(table, meta[SALT], table[at, 0], table[at, 1])
        if ((at - home) & mask) >= ((at - hole) & mask):
            for k in range(3):
                table[hole, k] = table[at, k]
            hole = at
    table[hole, 0] = 0
    meta[DISTINCT_USED] -= 1


# ------------------------------------------------------------------------------------------------ rings


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _physical(row, position):
    return np.uint64(row[RING] + (position & ((np.int64(1) << row[LOG2]) - 1)))


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _take_ring(S, log2):
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
        _give_ring(S, top, gap_log2)
        top += np.int64(1) << gap_log2
    S.meta[RING_TOP] = top + size
    S.meta[LARGEST] = max(S.meta[LARGEST], size)
    return top


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _give_ring(S, offset, log2):
    S.ring[offset, 0] = S.free[log2]
    S.free[log2] = offset


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _resize(P, S, row, log2):
    """Move a key's entries, and the one before them, into a ring of 2^log2; a key without a ring gets its first."""
    if row[RING] == NO_RING:
        _lay_base(P, S, row)
    old = row[RING]
    old_log2 = row[LOG2]
    first, end = row[FIRST], row[END]
    new = _take_ring(S, log2)
    old_mask = (np.int64(1) << old_log2) - 1
    new_mask = (np.int64(1) << log2) - 1
    for position in range(first - 1, end):
        for k in range(S.ring.shape[1]):
            S.ring[new + (position & new_mask), k] = S.ring[old + (position & old_mask), k]
    row[RING] = new
    row[LOG2] = log2
    if old != NO_RING:
        _give_ring(S, old, old_log2)
    if P.extremes.shape[0] > 0:
        _summarise(P, S, row, first)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _lay_base(P, S, row):
    """A key without a ring keeps its totals in the row: put them where those before the oldest entry belong."""
    at = _physical(row, row[FIRST] - 1)
    for k in range(P.sizes.total_words):
        S.ring[at, 1 + k] = row[P.sizes.totals + k]


# ------------------------------------------------------------------------------------------------ minimum and maximum


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _better(a, b, minimum):
    if a == MISSING:
        return b
    if b == MISSING:
        return a
    return min(a, b) if minimum else max(a, b)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _summarise_one(P, S, row, position):
    """Bring the summaries of the blocks that hold this newest position up to date."""
    physical = np.int64(_physical(row, position))
    for e in range(P.extremes.shape[0]):
        value = S.ring[physical, P.channels[P.extremes[e, 0], C_VALUE]]
        level = 1
        while FANOUT_LOG2 * level <= row[LOG2]:
            shift = FANOUT_LOG2 * level
            block = S.levels[level] + (physical >> shift)
            if position & ((np.int64(1) << shift) - 1) == 0:
                S.blocks[e, block] = value
            else:
                S.blocks[e, block] = _better(S.blocks[e, block], value, P.extremes[e, 1] == 1)
            level += 1


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _summarise(P, S, row, start):
    """Make the summaries anew for the blocks that hold positions from `start` on, each level from the one below."""
    first, newest = row[FIRST], row[END] - 1
    for e in range(P.extremes.shape[0]):
        column = P.channels[P.extremes[e, 0], C_VALUE]
        level = 1
        while FANOUT_LOG2 * level <= row[LOG2]:
            shift = FANOUT_LOG2 * level
            below = shift - FANOUT_LOG2
            for block in range(max(start, first) >> shift, (newest >> shift) + 1):
                best = MISSING
                child = max(block << FANOUT_LOG2, first >> below)
                while child < (block + 1) << FANOUT_LOG2 and child <= newest >> below:
                    at = np.int64(_physical(row, child << below))
                    value = S.ring[at, column] if level == 1 else S.blocks[e, S.levels[level - 1] + (at >> below)]
                    best = _better(best, value, P.extremes[e, 1] == 1)
                    child += 1
                S.blocks[e, S.levels[level] + (np.int64(_physical(row, block << shift)) >> shift)] = best
            level += 1


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _extreme(P, S, row, low, high, e):
    """The smallest or largest value among positions [low, high), MISSING where there is none."""
    minimum = P.extremes[e, 1] == 1
    column = P.channels[P.extremes[e, 0], C_VALUE]
    best = MISSING
    level = 0
    fan = np.int64(1) << FANOUT_LOG2
    while low < high:
        shift = FANOUT_LOG2 * level
        last_level = shift + FANOUT_LOG2 > row[LOG2]
        while low < high and (last_level or low & (fan - 1)):
            at = np.int64(_physical(row, low << shift))
            value = S.ring[at, column] if level == 0 else S.blocks[e, S.levels[level] + (at >> shift)]
            best = _better(best, value, minimum)
            low += 1
        while low < high and high & (fan - 1):
            high -= 1
            at = np.int64(_physical(row, high << shift))
            value = S.ring[at, column] if level == 0 else S.blocks[e, S.levels[level] + (at >> shift)]
            best = _better(best, value, minimum)
        low >>= FANOUT_LOG2
        high >>= FANOUT_LOG2
        level += 1
    return best


# ------------------------------------------------------------------------------------------------ cursors and counters


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _low(P, row, k):
    return row[CURSORS + P.counters[k, K_LOW]] if P.counters[k, K_LOW] >= 0 else np.int64(0)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _pass(P, S, row, cursor, position, forward):
    """Adjust the counters whose window begins or ends at a cursor that passes the entry at this position."""
    at = _physical(row, position)
    sign = 1 if forward else -1
    for k in range(P.counters.shape[0]):
        ends = P.counters[k, K_HIGH] == cursor
        if not ends and P.counters[k, K_LOW] != cursor:
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
            if S.ring[at, column + 1] < _low(P, row, k):
                row[place] += sign
        else:  # at the older end it counts unless its value stands again later in the window
            following = S.ring[at, column + 2]
            if following < 0 or following >= row[CURSORS + P.counters[k, K_HIGH]]:
                row[place] -= sign


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _search(ring, row, low, high, bound):
    """The first position in [low, high) with time > bound, or high."""
    offset, mask = row[RING], (np.int64(1) << row[LOG2]) - 1
    while low < high:
        middle = (low + high) >> 1
        if ring[offset + (middle & mask), 0] <= bound:
            low = middle + 1
        else:
            high = middle
    return low


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _step(P, S, row, cursor, bound):
    """Move one cursor entry by entry, so that its counters see each."""
    first, end = row[FIRST], row[END]
    place = CURSORS + cursor
    position = row[place]
    while position < end and S.ring[_physical(row, position), 0] <= bound:
        _pass(P, S, row, cursor, position, True)
        position += 1
        row[place] = position
    while position > first and S.ring[_physical(row, position - 1), 0] > bound:
        position -= 1
        _pass(P, S, row, cursor, position, False)
        row[place] = position


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _leap(ring, row, cursor, bound, offset, mask):
    """Move one cursor: two steps without a branch (how many entries left a window is a coin's toss), a few more, then by
    bisection, so that no distance costs more than a logarithm.
    """
    first, end = row[FIRST], row[END]
    place = np.uint64(CURSORS + cursor)
    position = row[place]
    for _ in range(2):
        position += np.int64((position < end) & (ring[np.uint64(offset + (position & mask)), 0] <= bound))
    stop = min(end, position + 6)
    while position < stop and ring[np.uint64(offset + (position & mask)), 0] <= bound:
        position += 1
    if position == stop and position < end:
        position = _search(ring, row, position, end, bound)
    if position > first and ring[np.uint64(offset + ((position - 1) & mask)), 0] > bound:
        position = _search(ring, row, first, position, bound)
    row[place] = position


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _seek(P, S, row, time):
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
            _leap(S.ring, row, cursor, time - P.offsets[cursor], offset, mask)
    row[READ_AT] = time


# ------------------------------------------------------------------------------------------------ reading


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _multiply(a, b):
    """The 128-bit product of two unsigned 64-bit numbers, as (high, low)."""
    half = np.uint64(32)
    lower = np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & lower, b >> half, b & lower
    low = a0 * b0
    middle = a1 * b0 + (low >> half)
    other = a0 * b1 + (middle & lower)
    return a1 * b1 + (middle >> half) + (other >> half), (other << half) | (low & lower)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _wide_to_float(high, low):
    """An unsigned 128-bit number as the nearest float64: at least 56 leading bits, and whether there was more."""
    if high == 0:
        return np.float64(low)
    if high >> np.uint64(56):
        return np.float64(high | np.uint64(low != 0)) * 2.0**64
    shift, unit = np.uint64(8), 256.0
    while high >> shift:
        shift += np.uint64(8)
        unit *= 256.0
    rest = low & ((np.uint64(1) << shift) - np.uint64(1))
    return np.float64((high << (np.uint64(64) - shift)) | (low >> shift) | np.uint64(rest != 0)) * unit


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def deviation(count, total, squares_high, squares_low, scale):
    """The sample standard deviation from exact sums: sqrt((n * squares - total^2) / (n * (n - 1))) in units."""
    n = np.uint64(count)
    size = np.uint64(abs(total))
    high, low = _multiply(n, squares_low)
    high += n * squares_high
    if high == 0:  # nothing is larger than n * squares, total^2 included
        difference = np.float64(low - size * size)
    else:
        taken_high, taken_low = _multiply(size, size)
        borrow = np.uint64(1) if low < taken_low else np.uint64(0)
        difference = _wide_to_float(high - taken_high - borrow, low - taken_low)
    return np.sqrt(difference / np.float64(count * (count - 1))) / scale


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _item(P, S, row, item, high):
    """The last value of an item before a position, and its time."""
    place = P.items[item, I_ROW]
    if high == row[END]:
        return row[place + LAST_VALUE], row[place + LAST_TIME]
    column = P.items[item, I_RING]
    for position in range(high - 1, row[FIRST] - 1, -1):
        at = _physical(row, position)
        if column < 0:
            return np.int64(1), S.ring[at, 0]
        if S.ring[at, column] != MISSING:
            return S.ring[at, column], S.ring[at, 0]
    return row[place + OLD_VALUE], row[place + OLD_TIME]


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _stands(P, S, row, d, low, high, code):
    """Whether a value stands in [low, high) of a distinct field."""
    owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
    at = _distinct_at(S.distinct, S.meta[SALT], owner, code)
    if S.distinct[at, 0] == 0:
        return False
    position = S.distinct[at, 2]
    while position >= high:
        position = S.ring[_physical(row, position), P.distincts[d, D_RING] + 1]
    return position >= low


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _remembered(P, S, row, line, time, numbers, codes):
    """first, last and the times since them; nothing is written where there is nothing: NaN stands there."""
    op, item, out = line[F_OP], line[F_SOURCE], np.uint64(line[F_OUT])
    if op in (LAST, SINCE_LAST):
        word, at = _item(P, S, row, item, row[CURSORS])
    else:
        place = P.items[item, I_ROW]
        word, at = row[place + FIRST_WORD], row[place + FIRST_TIME]
        if at > time + P.sizes.skew and row[place + OLD_TIME] == MISSING:
            return
    if at == MISSING or at <= time - line[F_WINDOW]:
        return
    if op in (SINCE_LAST, SINCE_FIRST):
        numbers[out] = max(time - at, 0) / 1e6
    elif line[F_TEXT]:
        codes[out] = word
    else:
        numbers.view(np.int64)[out] = word


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _ring_of(P, S, row):
    """Offset and mask of a key's ring, with the totals before its oldest entry in place."""
    if P.sizes.keeps_rows and row[RING] == NO_RING:
        _lay_base(P, S, row)
    return row[RING], (np.int64(1) << row[LOG2]) - 1


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _measure(P, S, row, role, values, j):
    """Count and sums of every span of a row's key, with the current event's value where it belongs to them."""
    offset, mask = _ring_of(P, S, row)
    for g in range(P.spans.shape[0]):
        line = P.spans[g]
        if line[G_ROLE] != role:
            continue
        end = row[np.uint64(CURSORS + line[G_HIGH])]
        newer = S.ring[np.uint64(offset + ((end - 1) & mask))]
        start, older = np.int64(0), S.ring[np.uint64(NOTHING)]
        if line[G_LOW] >= 0:
            start = row[np.uint64(CURSORS + line[G_LOW])]
            older = S.ring[np.uint64(offset + ((start - 1) & mask))]
        value = values[np.uint64(line[G_SOURCE])] if line[G_CURRENT] else MISSING
        current = value != MISSING
        span = S.spans[g]
        column = line[G_COUNT]
        count = newer[np.uint64(column)] - older[np.uint64(column)] if column >= 0 else end - start
        span[SPAN_COUNT, j] = count + np.int64(current)
        if line[G_SUM] >= 0:
            column = np.uint64(line[G_SUM])
            span[SPAN_SUM, j] = newer[column] - older[column] + (value if current else np.int64(0))
        if line[G_SQUARES] >= 0:
            _measure_squares(newer, older, np.uint64(line[G_SQUARES]), np.uint64(abs(value)) if current else np.uint64(0), span, j)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _measure_squares(newer, older, column, size, span, j):
    """The sum of squares between two entries, and of one more value, in two words."""
    more_high, more_low = _multiply(size, size)
    low_word, less_low = np.uint64(newer[column + np.uint64(1)]), np.uint64(older[column + np.uint64(1)])
    high_word = np.uint64(newer[column]) - np.uint64(older[column]) - np.uint64(low_word < less_low)
    low_word -= less_low
    low_word += more_low
    span[SPAN_HIGH, j] = np.int64(high_word + more_high + np.uint64(low_word < more_low))
    span[SPAN_LOW, j] = np.int64(low_word)


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _express(P, S, x, start, n):
    """Turn the measured spans of a block's events into features, one feature after another."""
    for f in range(P.sizes.summed):
        line = P.features[f]
        op, out = line[F_OP], np.uint64(line[F_OUT])
        span = S.spans[line[F_SPAN]]
        scale = P.scales[line[F_SOURCE]]
        for j in range(n):
            count = span[SPAN_COUNT, j]
            if count < 0:  # nothing was asked
                continue
            if op == COUNT:
                result = np.float64(count)
            elif op == SUM:
                result = span[SPAN_SUM, j] / scale
            elif op == MEAN:
                result = span[SPAN_SUM, j] / (count * scale) if count > 0 else np.nan
            elif count > 1:
                high, low = np.uint64(span[SPAN_HIGH, j]), np.uint64(span[SPAN_LOW, j])
                result = deviation(count, span[SPAN_SUM, j], high, low, scale)
            else:
                result = np.nan
            x[np.uint64(start + j), out] = result


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _evaluate(P, S, row, role, time, values, distinct_values, numbers, codes, j):
    """The features of a row's key that are not made from spans alone, as of this time, into an event's columns."""
    for f in range(P.sizes.summed, P.features.shape[0]):
        line = P.features[f]
        if line[F_ROLE] != role:
            continue
        op = line[F_OP]
        if op >= LAST:
            _remembered(P, S, row, line, time, numbers, codes)
            continue
        end = row[np.uint64(CURSORS + line[F_HIGH])]
        start = row[np.uint64(CURSORS + line[F_LOW])] if line[F_LOW] >= 0 else np.int64(0)
        if op == DISTINCT:
            result = np.float64(_distinct_count(P, S, row, line, start, end, distinct_values))
        elif op in (MIN, MAX):
            value = values[np.uint64(line[F_SOURCE])] if line[F_CURRENT] else MISSING
            result = _extreme_value(P, S, row, line, start, end, value)
        else:
            frauds = row[P.sizes.counters + line[F_COUNTER]]
            result = np.float64(frauds)
            if op == LABEL_RATE:
                count = S.spans[line[F_SPAN], SPAN_COUNT, j]
                result = frauds / count if count > 0 else 0.0
        numbers[np.uint64(line[F_OUT])] = result


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _distinct_count(P, S, row, line, start, end, distinct_values):
    found = row[P.sizes.counters + line[F_COUNTER]]
    code = distinct_values[line[F_SOURCE]] if line[F_CURRENT] else MISSING
    if code != MISSING and not _stands(P, S, row, line[F_SOURCE], start, end, code):
        found += 1
    return found


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _extreme_value(P, S, row, line, start, end, value):
    """The min or max over positions [start, end) and the current event's value; of all time for a window without beginning."""
    minimum, e = line[F_OP] == MIN, line[F_COUNTER]
    best = _better(_extreme(P, S, row, max(start, row[FIRST]), end, e), value, minimum)
    if line[F_LOW] < 0:
        best = _better(best, row[P.sizes.totals + P.sizes.total_words + e], minimum)
    return best / P.scales[line[F_SOURCE]] if best != MISSING else np.nan


# ------------------------------------------------------------------------------------------------ writing


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _retire(P, S, row, bound):
    """Let go of entries up to a time that no feature can reach any more.

    The newest of them stays where it is, before the oldest that is left: its totals are the base of all windows.
    """
    first, end = row[FIRST], row[END]
    while first < end and S.ring[_physical(row, first), 0] <= bound:
        if P.sizes.mourns:
            _let_go(P, S, row, _physical(row, first))
        first += 1
    row[FIRST] = first


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _retire_all(P, S, row, bound):
    """`_retire` where it is rare."""
    _retire(P, S, row, bound)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _let_go(P, S, row, at):
    """Keep in the row what outlives an entry, and take its distinct values off the table."""
    for e in range(P.extremes.shape[0]):
        place = P.sizes.totals + P.sizes.total_words + e
        value = S.ring[at, P.channels[P.extremes[e, 0], C_VALUE]]
        row[place] = _better(row[place], value, P.extremes[e, 1] == 1)
    for item in range(P.items.shape[0]):
        column = P.items[item, I_RING]
        if column < 0 or S.ring[at, column] != MISSING:
            place = P.items[item, I_ROW]
            row[place + OLD_VALUE] = S.ring[at, column] if column >= 0 else np.int64(1)
            row[place + OLD_TIME] = S.ring[at, 0]
    for d in range(P.distincts.shape[0]):
        column = P.distincts[d, D_RING]
        if S.ring[at, column] != MISSING and S.ring[at, column + 2] < 0 and not P.distincts[d, D_EVER]:
            owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
            _remove_distinct(S.distinct, S.meta, owner, S.ring[at, column])


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _forget(P, S, row):
    """A key that the stream left behind: its ring is released, and its row where nothing in it lasts for ever."""
    if row[FIRST] < row[END]:
        _seek(P, S, row, row[NEWEST] + P.sizes.retention + 1)
        _retire_all(P, S, row, row[NEWEST])
    for k in range(P.sizes.total_words):
        row[P.sizes.totals + k] = S.ring[_physical(row, row[FIRST] - 1), 1 + k]
    _give_ring(S, row[RING], row[LOG2])
    row[RING] = NO_RING
    row[LOG2] = SMALLEST_RING_LOG2
    if not P.sizes.keeps_rows:
        _remove_key(S, row[KEY])
        row[KEY] = 0
        row[NEWEST] = S.meta[FREE_SLOT]
        S.meta[FREE_SLOT] = row[SLOT]
        S.meta[FORGOTTEN] += 1


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def clear_row(P, row, code, slot):
    """Make a row that has seen nothing."""
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


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _new_slot(P, S, code, time):
    slot = S.meta[FREE_SLOT]
    if slot >= 0:
        S.meta[FREE_SLOT] = S.rows[slot, NEWEST]
    else:
        slot = S.meta[SLOTS]
        S.meta[SLOTS] += 1
    clear_row(P, S.rows[slot], code, slot)
    S.rows[slot, READ_AT] = time
    place_key(S.table, S.meta[SALT], code, slot)
    S.meta[TABLE_USED] += 1
    return slot


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
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
            high, low = _multiply(size, size)
            low_word = np.uint64(before[column + np.uint64(1)]) + low
            entry[column + np.uint64(1)] = np.int64(low_word)
            entry[column] = np.int64(np.uint64(before[column]) + high + np.uint64(low_word < low))


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _link(P, S, row, position, d, code):
    """Enter a distinct value at a position: between its neighbours in the chain, and in the table where it is last."""
    column = P.distincts[d, D_RING]
    at = _physical(row, position)
    S.ring[at, column] = code
    S.ring[at, column + 1] = -1
    S.ring[at, column + 2] = -1
    if code == MISSING:
        return
    owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
    place = _distinct_at(S.distinct, S.meta[SALT], owner, code)
    before, after = np.int64(-1), np.int64(-1)
    if S.distinct[place, 0] != 0:
        before = S.distinct[place, 2]
        while before > position:
            after = before
            before = S.ring[_physical(row, before), column + 1]
    S.ring[at, column + 1] = before
    S.ring[at, column + 2] = after
    if before >= row[FIRST]:
        S.ring[_physical(row, before), column + 2] = position
    if after >= 0:
        S.ring[_physical(row, after), column + 1] = position
    else:
        if S.distinct[place, 0] == 0:
            S.meta[DISTINCT_USED] += 1
        S.distinct[place, 0] = owner
        S.distinct[place, 1] = code
        S.distinct[place, 2] = position


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _shift(P, S, row, position, values, role):
    """Make room for a late event: move later entries up by one and add the event to their totals."""
    for old in range(row[END] - 1, position - 1, -1):
        at, to = _physical(row, old), _physical(row, old + 1)
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
                S.ring[_physical(row, before), column + 2] = old + 1
            if after >= 0:
                S.ring[_physical(row, after), column + 1] = old + 1
            else:
                owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
                place_distinct(S.distinct, S.meta[SALT], owner, code, old + 1)


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _recount(P, S, row, position):
    """After an insertion before the end: cursors behind it move on, and windows that hold it count its values."""
    for c in range(P.offsets.shape[0]):
        if row[CURSORS + c] > position:
            row[CURSORS + c] += 1
    at = _physical(row, position)
    for k in range(P.counters.shape[0]):
        if P.counters[k, K_LABEL]:
            continue
        low, high = _low(P, row, k), row[CURSORS + P.counters[k, K_HIGH]]
        column = P.distincts[P.counters[k, K_SOURCE], D_RING]
        if position < low or position >= high or S.ring[at, column] == MISSING:
            continue
        after = S.ring[at, column + 2]
        if S.ring[at, column + 1] < low and (after < 0 or after >= high):
            row[P.sizes.counters + k] += 1


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
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


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _guard(P, S, row, values, role):
    """Keep sums in range: a value that would carry a sum beyond 2^62 units stays out, and is counted as overflowed.

    The row holds a bound of the absolute values in its ring: it only grows, until it would say no; then it is summed anew.
    """
    for c in range(P.channels.shape[0]):
        place = P.channels[c, C_ABSOLUTE]
        if place < 0 or values[c] == MISSING or not (P.channels[c, C_ROLES] >> role) & 1:
            continue
        size = abs(values[c])
        if size > LARGEST_SUM - row[place] and not P.channels[c, C_EVER]:
            row[place] = _absolute(S.ring, row, P.channels[c, C_SUM], row[NEWEST] - P.sizes.retention)
        if size > LARGEST_SUM - row[place]:
            values[c] = MISSING
            S.meta[OVERFLOWED] += 1
        else:
            row[place] += size


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _absolute(ring, row, column, bound):
    """The absolute values of one sum over the entries of a ring that windows still reach."""
    total = np.int64(0)
    offset, mask = row[RING], (np.int64(1) << row[LOG2]) - 1
    for position in range(row[FIRST], row[END]):
        if ring[offset + (position & mask), 0] > bound:
            total += abs(ring[offset + (position & mask), column] - ring[offset + ((position - 1) & mask), column])
    return total


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _make_place(P, S, row, size, mask):
    """Give a key a ring that takes one more entry, beside the one before its oldest; a far too large one is exchanged."""
    if row[RING] == NO_RING:
        _resize(P, S, row, SMALLEST_RING_LOG2)
    elif size >= mask:
        _resize(P, S, row, row[LOG2] + 1)
    elif row[LOG2] > 6 and size << 4 <= mask:
        _resize(P, S, row, row[LOG2] - 2)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _insert(P, S, row, time, sequence, role, values, item_values, distinct_values, label_values):
    """Write an event into its key's row and ring, where its time belongs."""
    newest = max(row[NEWEST], time)
    row[NEWEST] = newest
    end, mask = row[END], (np.int64(1) << row[LOG2]) - 1
    if end & (RETIRE_EVERY - 1) == 0 or end - row[FIRST] >= mask:
        _retire(P, S, row, newest - P.sizes.retention)
    _guard(P, S, row, values, role)
    size = end - row[FIRST]
    _make_place(P, S, row, size, mask)
    position = end
    if size > 0 and S.ring[_physical(row, position - 1), 0] > time:
        position = _search(S.ring, row, row[FIRST], position, time)
        S.meta[LATE] += 1
        _shift(P, S, row, position, values, role)
    at = _physical(row, position)
    S.ring[at, 0] = time
    row[END] = end + 1
    _add_totals(P, S.ring[at], S.ring[_physical(row, position - 1)], values, role)
    if P.sizes.sequence >= 0:
        S.ring[at, P.sizes.sequence] = sequence
    for c in range(P.channels.shape[0]):
        if P.channels[c, C_VALUE] >= 0:
            S.ring[at, P.channels[c, C_VALUE]] = values[c] if (P.channels[c, C_ROLES] >> role) & 1 else MISSING
    for item in range(P.labels.shape[0]):
        S.ring[at, P.labels[item, L_RING]] = label_values[item] if (P.labels[item, L_ROLES] >> role) & 1 else -1
    _remember(P, S, row, at, time, item_values, role)
    for d in range(P.distincts.shape[0]):
        _link(P, S, row, position, d, distinct_values[d] if (P.distincts[d, D_ROLES] >> role) & 1 else MISSING)
    if position < end:
        _recount(P, S, row, position)
        _summarise(P, S, row, position)
    elif P.extremes.shape[0] > 0:
        _summarise_one(P, S, row, position)


# ------------------------------------------------------------------------------------------------ events


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _counts(x, i, kind, where, kinds):
    """Whether the event's type and the filter let it into a channel, item or distinct field."""
    return (kinds >> kind) & 1 and (where < 0 or x[np.uint64(i), np.uint64(where)] == 1.0)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _gather(P, i, kind, x, codes, values, item_values, distinct_values, label_values):
    """Read from the event's columns what the entity's channels, items and distinct fields take in."""
    for c in range(P.channels.shape[0]):
        values[c] = MISSING
        if _counts(x, i, kind, P.channels[c, C_WHERE], P.channels[c, C_KINDS]):
            source = P.channels[c, C_SOURCE]
            if source < 0:
                values[c] = 0
            elif not np.isnan(x[i, source]):
                values[c] = np.int64(np.rint(x[i, source] * P.scales[c]))
    for k in range(P.items.shape[0]):
        item_values[k] = MISSING
        if _counts(x, i, kind, P.items[k, I_WHERE], P.items[k, I_KINDS]):
            item_values[k] = _word(x, codes, i, P.items[k, I_SOURCE], P.items[k, I_TEXT])
    for d in range(P.distincts.shape[0]):
        distinct_values[d] = MISSING
        if _counts(x, i, kind, P.distincts[d, D_WHERE], P.distincts[d, D_KINDS]):
            distinct_values[d] = _word(x, codes, i, P.distincts[d, D_SOURCE], P.distincts[d, D_TEXT])
    for k in range(P.labels.shape[0]):
        label_values[k] = 0 if _counts(x, i, kind, P.labels[k, L_WHERE], P.labels[k, L_KINDS]) else -1


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _word(x, codes, i, source, text):
    if source < 0:
        return np.int64(1)
    if text:
        return codes[i, source] if codes[i, source] != 0 else MISSING
    if np.isnan(x[i, source]):
        return MISSING
    return x.view(np.int64)[i, source] if x[i, source] != 0.0 else np.int64(0)  # -0.0 has the bits of MISSING


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _has_room(P, S, roles):
    """Whether the arrays can take whatever one event may need; nothing has been changed yet.

    A ring that doubles needs twice its size, and as much again so that it can be aligned.
    """
    return (
        (S.meta[TABLE_USED] + roles) * 2 <= S.table.shape[0]
        and (S.meta[DISTINCT_USED] + roles * P.distincts.shape[0]) * 2 <= S.distinct.shape[0]
        and S.meta[SLOTS] + roles <= S.rows.shape[0]
        and S.meta[RING_TOP] + roles * 4 * S.meta[LARGEST] <= S.ring.shape[0]
    )


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _awake(P, S, code, clock, slot):
    """The slot of a key that is not forgotten, or -1; `slot` is where it was a moment ago."""
    if slot < 0 or S.rows[np.uint64(slot), KEY] != code:
        slot = find_slot(S, code)
        if slot < 0:
            return slot
    row = S.rows[np.uint64(slot)]
    if clock - row[TOUCHED] > P.sizes.horizon and row[RING] != NO_RING:
        _forget(P, S, row)
        if not P.sizes.keeps_rows:
            return np.int64(-1)
    return slot


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _too_late(P, row, time):
    """Whether an event lies too far behind the newest of its key to enter its state."""
    return row[NEWEST] != MISSING and time < row[NEWEST] - P.sizes.lateness


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _arrive(P, S, row, time):
    """Bring a row to this time; from further back than `lateness`, what no window reaches must not be seen again."""
    if _too_late(P, row, time):
        _retire_all(P, S, row, row[NEWEST] - P.sizes.retention)
    _seek(P, S, row, time)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _ask_for_keys(S, keys, i):
    """First step ahead of an event: the places of its keys."""
    mask = np.uint64(S.table.shape[0] - 1)
    for role in range(keys.shape[1]):
        ask_for(S.table[np.uint64(_mix(keys[np.uint64(i), np.uint64(role)], S.meta[SALT])) & mask], 0)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _ask_for_rows(S, keys, i, slots):
    """Second step: find the slots, and ask for their rows."""
    roles = keys.shape[1]
    for role in range(roles):
        slot = find_slot(S, keys[np.uint64(i), np.uint64(role)])
        slots[np.uint64((i & (AHEAD_SLOTS - 1)) * roles + role)] = slot
        if slot >= 0:
            row = S.rows[np.uint64(slot)]
            for word in range(0, row.shape[0], LINE):
                ask_for(row, word)


@nb.njit(cache=True, _nrt=False, error_model="numpy", forceinline=True)
def _ask_for_entries(P, S, keys, i, slots, x, codes):
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
            code = _word(x, codes, i, P.distincts[d, D_SOURCE], P.distincts[d, D_TEXT])
            owner = slot * np.int64(P.distincts.shape[0]) + d + 1
            ask_for(S.distinct[_distinct_home(S.distinct, S.meta[SALT], owner, code)], 0)


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def sweep(P, S, clock, slots):
    """Look at the next few slots in turn and forget the keys that the stream left behind."""
    for _ in range(min(slots, S.meta[SLOTS])):
        hand = S.meta[HAND] + 1 if S.meta[HAND] + 1 < S.meta[SLOTS] else np.int64(0)
        S.meta[HAND] = hand
        if S.rows[hand, KEY] != 0:
            _awake(P, S, S.rows[hand, KEY], clock, hand)


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def apply(P, S, start, keys, kinds, times, clocks, keep, first_sequence, known_kinds, x, codes, read, write):
    """Read and write one entity's state for events in arrival order, from row `start` on.

    keys: int64 (n, roles), 0 where null. clocks: the stream's clock at each event. keep: whether an event may enter
    state. known_kinds: bit k is set where this entity takes in events of type k. x, codes: columns in, features out.
    Returns the row at which the arrays must be enlarged, or n.
    """
    n, roles = keys.shape
    values, item_values = S.scratch[VALUES], S.scratch[ITEM_VALUES]
    distinct_values, label_values = S.scratch[DISTINCT_VALUES], S.scratch[LABEL_VALUES]
    slots = S.scratch[AHEAD]
    for role in range(roles):
        slots[role] = -1
    looks_ahead = n - start > 1
    begin = np.int64(start)  # of the block whose spans are being measured
    for step in range(start - KEYS_AHEAD if looks_ahead else start, n):
        i = np.int64(step)
        if looks_ahead:
            if start <= i + KEYS_AHEAD < n:
                _ask_for_keys(S, keys, i + KEYS_AHEAD)
            if start <= i + ROWS_AHEAD < n:
                _ask_for_rows(S, keys, i + ROWS_AHEAD, slots)
            if start <= i + ENTRIES_AHEAD < n:
                _ask_for_entries(P, S, keys, i + ENTRIES_AHEAD, slots, x, codes)
            if i < start:
                continue
        if i - begin == BLOCK:
            if read:
                _express(P, S, x, begin, BLOCK)
            begin = i
        j = i - begin
        if read:
            for g in range(P.spans.shape[0]):
                S.spans[np.uint64(g), SPAN_COUNT, np.uint64(j)] = -1
        if write and not _has_room(P, S, roles):
            if read:
                _express(P, S, x, begin, j)
            return i
        kind = np.int64(kinds[i])
        reads = read and kind in (0, NO_EVENT)
        writes = write and keep[i] and (known_kinds >> kind) & 1
        if not reads and not writes:
            continue
        time = times[i]
        _gather(P, i, kind, x, codes, values, item_values, distinct_values, label_values)
        # every role is read before any is written: an event never sees itself in another role
        for turn in range(roles if roles == 1 else 2 * roles):
            role = turn if turn < roles else turn - roles
            if keys[i, role] == 0:
                continue
            slot = _awake(P, S, keys[i, role], clocks[i], slots[np.uint64((i & (AHEAD_SLOTS - 1) if looks_ahead else 0) * roles + role)])
            if slot >= 0:
                _arrive(P, S, S.rows[slot], time)
            if reads and turn < roles:
                row = S.rows[slot] if slot >= 0 else S.blank
                _measure(P, S, row, role, values, j)
                _evaluate(P, S, row, role, time, values, distinct_values, x[i], codes[i], j)
            if not writes or (roles > 1 and turn < roles):
                continue
            row = S.rows[slot if slot >= 0 else _new_slot(P, S, keys[i, role], time)]
            if _too_late(P, row, time):
                S.meta[TOO_LATE] += 1
                continue
            row[TOUCHED] = clocks[i]
            _insert(P, S, row, time, first_sequence + i, role, values, item_values, distinct_values, label_values)
    if read:
        _express(P, S, x, begin, n - begin)
    if write and n > 0:
        sweep(P, S, clocks[n - 1], n // SWEEP + 1)
    return n


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def apply_label(P, S, key, role, nth, time, sequence, kind, x, i, change):
    """A label became known (change +1: fraud) or was taken back (-1), for the event with this time and sequence.

    The event's own columns stand in row i of x; nth: how many earlier roles of the event had the same key.
    """
    slot = find_slot(S, key)
    if slot < 0:
        return
    row = S.rows[slot]
    first, end = row[FIRST], row[END]
    position = _search(S.ring, row, first, end, time - 1) if first < end else end
    while position < end and S.ring[_physical(row, position), 0] == time:
        if S.ring[_physical(row, position), P.sizes.sequence] == sequence:
            if nth == 0:
                _flag(P, S, row, position, change)
                return
            nth -= 1
        position += 1
    if first < end and time > row[NEWEST] - P.sizes.retention:
        return
    for counter in range(P.counters.shape[0]):  # the event left the ring: only windows of all time still see it
        if P.counters[counter, K_LABEL] and P.counters[counter, K_LOW] < 0:
            label = P.counters[counter, K_SOURCE]
            if (P.labels[label, L_ROLES] >> role) & 1 and _counts(
                x, i, kind, P.labels[label, L_WHERE], P.labels[label, L_KINDS]
            ):
                row[P.sizes.counters + counter] += change


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def _flag(P, S, row, position, change):
    """Mark an entry for every label channel it belongs to, and tell the windows that hold it."""
    at = _physical(row, position)
    for k in range(P.labels.shape[0]):
        column = P.labels[k, L_RING]
        if S.ring[at, column] < 0:
            continue
        S.ring[at, column] += change
        for counter in range(P.counters.shape[0]):
            if not P.counters[counter, K_LABEL] or P.counters[counter, K_SOURCE] != k:
                continue
            if _low(P, row, counter) <= position < row[CURSORS + P.counters[counter, K_HIGH]]:
                row[P.sizes.counters + counter] += change


@nb.njit(cache=True, _nrt=False, error_model="numpy")
def settle(P, S):
    """Let go of every entry that no feature can reach any more, so that equal states look equal."""
    for slot in range(S.meta[SLOTS]):
        if S.rows[slot, KEY] != 0 and S.rows[slot, RING] != NO_RING:
            _retire_all(P, S, S.rows[slot], S.rows[slot, NEWEST] - P.sizes.retention)
