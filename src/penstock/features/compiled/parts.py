"""What generated functions call: short functions that are inlined, on flat arrays whose widths the caller knows.

They do what their namesakes of the table-driven kernel do, bit for bit. Words of rows and of other tables are unsigned here:
numba then leaves out the code for negative places.
"""

from collections import namedtuple
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from penstock.features.kernel import words as k
from penstock.features.kernel.addresses import array_at, call_rare, flags, numbers, words
from penstock.features.kernel.aggregates import scan
from penstock.features.kernel.aggregates.sessions import continue_session, session
from penstock.features.kernel.aggregates.sketches import approx_quantile, count_in
from penstock.features.kernel.extremes import better, bits_of, number_of_bits, ordered
from penstock.features.kernel.handles import HANDLE, PLACES, RARE
from penstock.features.kernel.hash_tables import PLACES as BLOCK_PLACES
from penstock.features.kernel.hash_tables import can_split, place_distinct, remove_distinct, values_at_once, values_fit
from penstock.features.kernel.memory import ask_for
from penstock.features.kernel.words import (
    CALL_ADMISSION,
    CALL_CLOCKS,
    CALL_CODES,
    CALL_HANDLE,
    CALL_KEEP,
    CALL_KEYS,
    CALL_KINDS,
    CALL_N,
    CALL_READ,
    CALL_SEQUENCE,
    CALL_TEXTS,
    CALL_TIMES,
    CALL_WIDTH,
    CALL_WORDS,
    CALL_WRITE,
    CALL_X,
    FANOUT_LOG2,
    LARGEST_SUM,
    LINE,
    MISSING,
    NO_RING,
    RARE_EVENT,
    RARE_GUARD,
    RARE_KEY,
    RARE_PLACE,
    RETIRE_EVERY,
    ROW_AHEAD,
    SCANNED_RING_LOG2,
)
from penstock.jit import njit

U = np.uint64
KEY, RING, LOG2, FIRST, END, NEWEST, TOUCHED, READ_AT, BASE, CURSORS = (
    U(word) for word in (k.KEY, k.RING, k.LOG2, k.FIRST, k.END, k.NEWEST, k.TOUCHED, k.READ_AT, k.BASE, k.CURSORS)
)
_KEYS_AT, _META_AT, _TABLE_AT, _ROWS_AT, _RING_AT, _BLOCKS_AT, _LEVELS_AT, _DISTINCT_AT, _SCRATCH_AT, _OFFSETS_AT = (
    PLACES[name] for name in ("keys", "meta", "table", "rows", "ring", "blocks", "levels", "distinct", "scratch", "offsets")
)
_KEY_DIRECTORY_AT, _VALUE_DIRECTORY_AT, _TALLY_AT = (PLACES[name] for name in ("key_directory", "value_directory", "tally"))
NAN = np.int64(0x7FF8000000000000)
TURN = k.BLOCK
"""Events whose keys and rows are asked for together, one turn ahead."""
NEAR = 16
"""How many events ahead the ring entries are asked for."""
_GOLDEN, _HALF, _POSITIVE = U(0x9E3779B97F4A7C15), U(32), U(0x7FFFFFFFFFFFFFFF)
_MASK = U(BLOCK_PLACES - 1)

__all__ = [  # what a generated source imports
    "BASE",
    "CALL_HANDLE",
    "CALL_WORDS",
    "CURSORS",
    "END",
    "FIRST",
    "HANDLE",
    "KEY",
    "LARGEST_SUM",
    "LOG2",
    "MISSING",
    "NAN",
    "NEAR",
    "NEWEST",
    "NO_RING",
    "RARE_EVENT",
    "RARE_GUARD",
    "RARE_KEY",
    "RARE_PLACE",
    "READ_AT",
    "RETIRE_EVERY",
    "RING",
    "SCANNED_RING_LOG2",
    "TOUCHED",
    "TURN",
    "U",
    "approx_quantile",
    "array_at",
    "ask_for",
    "ask_for_entries",
    "batch_at",
    "better",
    "bits_of",
    "bits_or_missing",
    "call_rare",
    "code_or_missing",
    "continue_session",
    "count_in",
    "deviation",
    "distinct_home",
    "enter_distinct",
    "extreme",
    "has_room",
    "last_position",
    "leap",
    "look_ahead",
    "np",
    "numbers",
    "ordered",
    "rounded",
    "scan",
    "session",
    "slot_of",
    "squares_between",
    "state_at",
    "summarise",
    "take_off",
    "words",
]

Batch = namedtuple("Batch", "n keys kinds times clocks keep admission first x bits width codes texts read write")
"""What `handles.advance` passes, as flat arrays; bits: `x` as words."""
State = namedtuple(
    "State",
    "meta salt table rows ring blocks levels block_width distinct slots offsets rare key_directory value_directory tally",
)
"""A state as flat arrays; slots: where the keys of the next events are."""


@njit(_nrt=False, error_model="numpy", forceinline=True)
def batch_at(call):
    """The events behind the address that a generated function is called with."""
    c = words(call, CALL_WORDS)
    n, size, texts = c[CALL_N], c[CALL_N] * c[CALL_WIDTH], c[CALL_N] * c[CALL_TEXTS]
    h = words(c[CALL_HANDLE], HANDLE)
    fields = words(h[_KEYS_AT], h[_KEYS_AT + 1] * np.int64(3))
    roles = fields[fields.shape[0] - 3] + 1
    return Batch(
        n,
        words(c[CALL_KEYS], n * roles),
        flags(c[CALL_KINDS], n),
        words(c[CALL_TIMES], n),
        words(c[CALL_CLOCKS], n),
        flags(c[CALL_KEEP], n),
        flags(c[CALL_ADMISSION], n),
        c[CALL_SEQUENCE],
        numbers(c[CALL_X], size),
        words(c[CALL_X], size),
        U(c[CALL_WIDTH]),
        words(c[CALL_CODES], texts),
        U(c[CALL_TEXTS]),
        c[CALL_READ] != 0,
        c[CALL_WRITE] != 0,
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def state_at(h):
    """The state behind a handle."""
    meta, scratch = array_at(h, _META_AT), array_at(h, _SCRATCH_AT)
    width = h[_SCRATCH_AT + 2]
    return State(
        meta,
        U(meta[k.SALT]),
        array_at(h, _TABLE_AT),
        array_at(h, _ROWS_AT),
        array_at(h, _RING_AT),
        array_at(h, _BLOCKS_AT),
        array_at(h, _LEVELS_AT),
        h[_BLOCKS_AT + 2],
        array_at(h, _DISTINCT_AT),
        scratch[width * k.AHEAD : width * (k.AHEAD + 1)],
        array_at(h, _OFFSETS_AT),
        h[RARE],
        array_at(h, _KEY_DIRECTORY_AT),
        array_at(h, _VALUE_DIRECTORY_AT),
        array_at(h, _TALLY_AT),
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def has_room(S, roles, distincts, row_width, ring_width):
    """Whether the arrays can take whatever one event may need; see `kernel.events`."""
    meta, values = S.meta, values_at_once(roles, distincts)
    return (
        can_split(S.table.shape[0] // 2, S.key_directory.shape[0], meta, k.TABLE_USED, k.KEY_SHIFT, k.KEY_TOP, roles, roles)
        and values_fit(S.distinct.shape[0] // 3, S.value_directory.shape[0], meta, values)
        and (meta[k.SLOTS] + roles) * np.int64(row_width) <= S.rows.shape[0]
        and (meta[k.RING_TOP] + roles * 4 * meta[k.LARGEST]) * np.int64(ring_width) <= S.ring.shape[0]
    )


# ---------------------------------------------------------------- finding keys, ahead of their events


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _mixed(S, code):
    h = (U(code) ^ S.salt) * _GOLDEN
    h ^= h >> _HALF
    return h & _POSITIVE


@njit(_nrt=False, error_model="numpy", forceinline=True)
def place_of(S, key):
    """Where the search for a key begins."""
    h = _mixed(S, key)
    return U(S.key_directory[h >> U(S.meta[k.KEY_SHIFT])]) + (h & _MASK)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def find(S, key):
    """The slot of a key, or -1."""
    table, h = S.table, _mixed(S, key)
    block, at = U(S.key_directory[h >> U(S.meta[k.KEY_SHIFT])]), h & _MASK
    while table[(block + at) * U(2)] != 0:
        if table[(block + at) * U(2)] == key:
            return table[(block + at) * U(2) + U(1)]
        at = (at + U(1)) & _MASK
    return np.int64(-1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def slot_of(S, row_width, key, slot):
    """The slot of a key, or -1; `slot` is where it was a turn ago."""
    if slot >= 0 and S.rows[U(slot) * row_width + KEY] == key:
        return slot
    return find(S, key)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _find_rows(S, B, roles, row_width, begin, stop):
    """Find the slots of the events' keys, and ask for their rows."""
    for i in range(begin, stop):
        for role in range(roles):
            slot = find(S, B.keys[U(i * roles + role)])
            S.slots[U((i & (2 * TURN - 1)) * roles + role)] = slot
            row = U(max(slot, 0)) * row_width
            for word in range(0, min(np.int64(row_width), np.int64(ROW_AHEAD)), LINE):
                ask_for(S.rows, row + U(word))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def look_ahead(S, B, roles, row_width, begin, stop, first):
    """Before a turn of events [begin, stop): find the rows of the next turn, and ask for the keys of the one after it."""
    next_stop = min(stop + TURN, B.n)
    if first:
        for at in range(begin * roles, next_stop * roles):
            ask_for(S.table, place_of(S, B.keys[U(at)]) * U(2))
        _find_rows(S, B, roles, row_width, begin, stop)
    _find_rows(S, B, roles, row_width, stop, next_stop)
    for at in range(next_stop * roles, min(next_stop + TURN, B.n) * roles):
        ask_for(S.table, place_of(S, B.keys[U(at)]) * U(2))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def ask_for_entries(S, row_width, ring_width, cursors, slot):
    """Ask for the ring entries at a key's cursors, and for the oldest."""
    row = U(max(slot, 0)) * row_width
    offset, mask = S.rows[row + RING], (np.int64(1) << S.rows[row + LOG2]) - 1
    for c in range(cursors):
        position = S.rows[row + CURSORS + U(c)]
        ask_for(S.ring, U(offset + (position & mask)) * ring_width)
        ask_for(S.ring, U(offset + ((position + 1) & mask)) * ring_width)  # where it goes next, often in another line
    ask_for(S.ring, U(offset + (S.rows[row + FIRST] & mask)) * ring_width)


# ---------------------------------------------------------------- values


@njit(_nrt=False, error_model="numpy", forceinline=True)
def rounded(number, scale):
    """A number in units, MISSING where it is null."""
    return np.int64(np.rint(number * scale)) if number == number else MISSING  # noqa: PLR0124 -- NaN is not


@njit(_nrt=False, error_model="numpy", forceinline=True)
def bits_or_missing(number, bits):
    """The bits of a number, MISSING where it is null; -0.0 is 0."""
    if number != number:  # noqa: PLR0124 -- NaN is not
        return MISSING
    return bits if number != 0.0 else np.int64(0)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def code_or_missing(code):
    """The code of a text, MISSING where it is null."""
    return code if code != 0 else MISSING


# ---------------------------------------------------------------- cursors


@njit(_nrt=False, error_model="numpy")
def _search(ring, ring_width, offset, mask, low, high, bound):
    while low < high:
        middle = (low + high) >> 1
        if ring[U(offset + (middle & mask)) * ring_width] <= bound:
            low = middle + 1
        else:
            high = middle
    return low


@njit(_nrt=False, error_model="numpy", forceinline=True)
def leap(ring, ring_width, offset, mask, position, end, bound):
    """A cursor moved forward: two steps without a branch, a few more, then by bisection; see `kernel.cursors`."""
    for _ in range(2):
        position += np.int64((position < end) & (ring[U(offset + (position & mask)) * ring_width] <= bound))
    stop = min(end, position + 6)
    while position < stop and ring[U(offset + (position & mask)) * ring_width] <= bound:
        position += 1
    if position == stop and position < end:
        position = _search(ring, ring_width, offset, mask, position, end, bound)
    return position


# ---------------------------------------------------------------- sums of squares


@intrinsic
def _high_word(_context: Any, _a: Any, _b: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic
def _leading_zeros(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], cgutils.true_bit)

    return types.uint64(types.uint64), generate


if nb.config.DISABLE_JIT:

    def high_word(a: Any, b: Any) -> Any:
        """The higher word of the product of two words."""
        return U((int(a) * int(b)) >> 64)

    def leading_zeros(word: Any) -> Any:
        """How many leading bits of a word are 0; it is not 0 itself."""
        return U(64 - int(word).bit_length())

else:
    high_word, leading_zeros = _high_word, _leading_zeros


@njit(_nrt=False, error_model="numpy", forceinline=True)
def squares_between(newer_high, newer_low, older_high, older_low, value):
    """The sum of squares between two entries, and of one more value, in two words."""
    size = U(abs(value))
    more_low = size * size
    low, less = U(newer_low), U(older_low)
    high = U(newer_high) - U(older_high) - U(low < less)
    low -= less
    low += more_low
    return high + high_word(size, size) + U(low < more_low), low


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _to_float(high, low):
    """An unsigned 128-bit number as the nearest float64, without a branch: its 64 leading bits, the last one set where there
    was more, then a power of two.
    """
    narrow = high == 0
    top, rest = (low, U(0)) if narrow else (high, low)
    shift = leading_zeros(top | U(1))
    bits = (top << shift) | ((rest >> U(1)) >> (U(63) - shift))
    lost = (rest << shift) != U(0)
    exponent = (U(1023) if narrow else U(1023 + 64)) - shift
    return np.float64(bits | U(lost)) * number_of_bits(exponent << U(52))


@njit(_nrt=False, error_model="numpy", forceinline=True)
def deviation(count, total, squares_high, squares_low, scale):
    """The sample standard deviation from exact sums: see `kernel.deviation`."""
    if count <= 1:
        return np.nan
    n, size = U(count), U(abs(total))
    low = n * squares_low
    high = high_word(n, squares_low) + n * squares_high
    taken_low = size * size
    high -= high_word(size, size) + U(low < taken_low)
    return np.sqrt(_to_float(high, low - taken_low) / np.float64(count * (count - 1))) / scale


# ---------------------------------------------------------------- distinct values


@njit(_nrt=False, error_model="numpy", forceinline=True)
def distinct_home(S, owner, code):
    """The place at which the search for (owner, code) begins."""
    h = _mixed(S, code ^ (owner << 32) ^ owner)
    return U(S.value_directory[h >> U(S.meta[k.VALUE_SHIFT])]) + (h & _MASK)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def distinct_at(S, owner, code):
    """Where (owner, code) stands in the flat table of distinct values, or where it would."""
    h = _mixed(S, code ^ (owner << 32) ^ owner)
    block, at = U(S.value_directory[h >> U(S.meta[k.VALUE_SHIFT])]), h & _MASK
    while S.distinct[(block + at) * U(3)] != 0:
        if S.distinct[(block + at) * U(3)] == owner and S.distinct[(block + at) * U(3) + U(1)] == code:
            break
        at = (at + U(1)) & _MASK
    return (block + at) * U(3)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def last_position(S, ring_width, column, ever, owner, code, offset, log2, first, end):
    """The last position of a value of a key, or -1: small rings are scanned, unless the table has the values of all time."""
    if log2 <= SCANNED_RING_LOG2 and not ever:
        mask, position = (np.int64(1) << log2) - 1, end - 1
        while position >= first and S.ring[U(offset + (position & mask)) * ring_width + column] != code:
            position -= 1
        return position if position >= first else np.int64(-1)
    at = distinct_at(S, owner, code)
    return S.distinct[at + U(2)] if S.distinct[at] != 0 else np.int64(-1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def enter_distinct(S, owner, code, position):
    """Enter the newest position of a value of a key."""
    at = distinct_at(S, owner, code)
    if S.distinct[at] != 0:
        S.distinct[at + U(2)] = position
    else:
        _enter_new(S.distinct, S.value_directory, S.meta, owner, code, position)


@njit(_nrt=False, error_model="numpy")
def _enter_new(distinct, directory, meta, owner, code, position):
    place_distinct(distinct.reshape(distinct.shape[0] // 3, 3), directory, meta, owner, code, position)


@njit(_nrt=False, error_model="numpy")
def take_off(S, owner, code):
    """Take a value of a key off the table."""
    table = S.distinct
    remove_distinct(table.reshape(table.shape[0] // 3, 3), S.value_directory, S.meta, owner, code)


# ---------------------------------------------------------------- extremes


@njit(_nrt=False, error_model="numpy")
def extreme(S, ring_width, column, line, minimum, offset, log2, low, high):
    """The smallest or largest value among positions [low, high), MISSING where there is none."""
    best, level, fan, mask = MISSING, 0, np.int64(1) << FANOUT_LOG2, (np.int64(1) << log2) - 1
    while low < high:
        shift = FANOUT_LOG2 * level
        last_level = shift + FANOUT_LOG2 > log2
        while low < high and (last_level or low & (fan - 1)):
            at = offset + ((low << shift) & mask)
            best = better(best, _summary(S, ring_width, column, line, level, at, shift), minimum)
            low += 1
        while low < high and high & (fan - 1):
            high -= 1
            at = offset + ((high << shift) & mask)
            best = better(best, _summary(S, ring_width, column, line, level, at, shift), minimum)
        low >>= FANOUT_LOG2
        high >>= FANOUT_LOG2
        level += 1
    return best


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _summary(S, ring_width, column, line, level, at, shift):
    if level == 0:
        return S.ring[U(at) * ring_width + column]
    return S.blocks[U(line * S.block_width + S.levels[level] + (at >> shift))]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def summarise(S, line, minimum, value, position, place, log2):
    """Bring the summaries of the blocks that hold this newest position up to date."""
    level = 1
    while FANOUT_LOG2 * level <= log2:
        shift = FANOUT_LOG2 * level
        block = U(line * S.block_width + S.levels[level] + (place >> shift))
        if position & ((np.int64(1) << shift) - 1) == 0:
            S.blocks[block] = value
        else:
            S.blocks[block] = better(S.blocks[block], value, minimum)
        level += 1
