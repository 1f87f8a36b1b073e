"""How often each value stands in a window: the most frequent one, its share, and the entropy; on a flat ring, for both tiers.

Values are counted in tables that belong to the state and are never cleared: what an earlier turn left there is known by the
number of its turn. In the first table the values of small windows are counted anew at each event. The others are a cache: the
row of a key with more values remembers the turn in which they were counted, and where a table still holds that turn, only what
has entered and left the window since is counted. Counts are whole numbers, so either way gives the same bits.
"""

import os
from functools import cache

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel.aggregates.newest import newest, number_of_values, reach_of, step_over
from penstock.features.kernel.hash_tables import mix
from penstock.features.kernel.words import (
    LOG_BITS,
    MISSING,
    T_COUNT,
    T_END,
    T_FREE,
    T_HIGHEST,
    T_LOG,
    T_SPREAD,
    T_START,
    T_TIMES,
    T_TURN,
    T_USED,
    T_WIDTH,
    T_WORD,
)
from penstock.jit import njit

_TABLES = 16
"""Tables in addition to the first one."""
_FEW = 64
"""Up to so many values are counted anew."""
_OUTLASTS = 32
"""How often a table that is in use is not given to another key: where more keys than tables come in turns, most tables stay."""
_HEAD = 2
"""Lines after those of a table, for what is known of all its values."""


def empty_tally(most: int) -> NDArray[np.int64]:
    """Tables in which so many values can be counted, without a line where none are."""
    lines = 1 << (2 * most).bit_length() if most else 0
    tally = np.zeros(((_TABLES + 1) * (lines + _HEAD), T_WIDTH), np.int64)
    tally[: most + 1, T_LOG] = _logarithms(most) if most else 0
    tally[lines, T_WORD] = int.from_bytes(os.urandom(7), "little")  # values chosen by an attacker must not collide
    return tally


@cache
def _logarithms(most: int) -> NDArray[np.int64]:
    """Return n * log2(n) in 2^-LOG_BITS for every n up to `most`, made from whole numbers: the same on any machine."""
    found = np.zeros(most + 1, np.int64)
    for n in range(2, most + 1):
        bits, rest = n.bit_length() - 1, n << (62 - (n.bit_length() - 1))
        for _ in range(LOG_BITS):  # the logarithm of a number from 1 to 2, bit by bit: squaring it doubles its logarithm
            rest = rest * rest >> 62
            bits = bits << 1 | rest >> 63
            rest >>= rest >> 63
        found[n] = n * bits
    return found


@njit(_nrt=False, error_model="numpy")
def frequencies(ring, width, column, counts, offset, mask, first, low, high, current, most, tally, turn, ranked):
    """Count the newest values of positions [low, high) and the current one.

    first: the oldest position of the ring. turn: in which these values were counted last, negative where others came between
    them. ranked: whether the most frequent one is asked for. Returns it (of several the one that was seen last; MISSING where
    there is none), how often it stands there, how many values there are, the sum of n * log2(n) over the different ones, and
    the turn to remember, 0 for none.
    """
    start, count = newest(ring, width, counts, offset, mask, low, high, most - np.int64(current != MISSING))
    lines = tally.shape[0] // (T_WIDTH * (_TABLES + 1)) - _HEAD
    turn = (
        np.int64(0)
        if count <= _FEW
        else _go_on(ring, width, column, counts, offset, mask, first, start, high, lines, tally, turn)
    )
    if turn == 0:
        top, highest, spread = _count_anew(ring, width, column, counts, offset, mask, start, high, count, current, lines, tally)
        return top, highest, count + np.int64(current != MISSING), spread, np.int64(0)
    table = _table_of(lines, turn)
    head = table + lines * T_WIDTH
    _change(tally, lines, turn, current, 1)
    highest, spread, top = tally[head + T_HIGHEST], tally[head + T_SPREAD], MISSING
    if ranked:
        top = _latest(ring, width, column, counts, offset, mask, start, high, current, lines, tally, turn)
    _change(tally, lines, turn, current, -1)
    return top, highest, count + np.int64(current != MISSING), spread, turn


# ---------------------------------------------------------------- few values


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _next_turn(lines, tally):
    tally[lines * T_WIDTH + T_TURN] += 1
    return tally[lines * T_WIDTH + T_TURN]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _line_of(tally, table, lines, turn, word):
    """Where a value is counted in a table, or the free line where it would be."""
    at = mix(word, tally[lines * T_WIDTH + T_WORD]) & (lines - 1)
    line = table + at * T_WIDTH
    while tally[line + T_TURN] == turn and tally[line + T_WORD] != word:
        at = (at + 1) & (lines - 1)
        line = table + at * T_WIDTH
    return line


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _count_anew(ring, width, column, counts, offset, mask, start, high, count, current, lines, tally):
    """Count all values in the first table, the oldest first."""
    turn, top, highest, spread = _next_turn(lines, tally), MISSING, np.int64(0), np.int64(0)
    position, left = start, count + np.int64(current != MISSING)
    while left > 0:
        word = current
        if left > np.int64(current != MISSING):
            word = ring[np.uint64(offset + (position & mask)) * width + np.uint64(column)]
            if word == MISSING:
                position = step_over(ring, width, counts, offset, mask, position, high - 1)
                continue
            position += 1
        line = _line_of(tally, 0, lines, turn, word)
        times = np.int64(1)
        if tally[line + T_TURN] == turn:
            times = tally[line + T_COUNT] + 1
        tally[line + T_TURN], tally[line + T_WORD], tally[line + T_COUNT] = turn, word, times
        spread += tally[times * T_WIDTH + T_LOG] - tally[(times - 1) * T_WIDTH + T_LOG]
        if times >= highest:
            top, highest = word, times
        left -= 1
    return top, highest, spread


# ---------------------------------------------------------------- many values


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _table_of(lines, turn):
    """Where the table of a turn begins."""
    return (1 + abs(turn) % _TABLES) * (lines + _HEAD) * T_WIDTH


@njit(_nrt=False, error_model="numpy")
def _change(tally, lines, turn, word, change):
    """Count a value once more (+1) or once less (-1) in the table of a turn; nothing where it is MISSING."""
    if word == MISSING:
        return
    table = _table_of(lines, turn)
    head, line = table + lines * T_WIDTH, _line_of(tally, table, lines, turn, word)
    if tally[line + T_TURN] != turn:
        tally[line + T_TURN], tally[line + T_WORD], tally[line + T_COUNT] = turn, word, 0
        tally[head + T_FREE] -= 1
    before = tally[line + T_COUNT]
    times = before + change
    tally[line + T_COUNT] = times
    tally[table + before * T_WIDTH + T_TIMES] -= 1
    tally[table + times * T_WIDTH + T_TIMES] += 1
    tally[head + T_SPREAD] += tally[times * T_WIDTH + T_LOG] - tally[before * T_WIDTH + T_LOG]
    if times > tally[head + T_HIGHEST] or (
        before == tally[head + T_HIGHEST] and tally[table + before * T_WIDTH + T_TIMES] == 0
    ):
        tally[head + T_HIGHEST] = times


@njit(_nrt=False, error_model="numpy")
def _change_all(ring, width, column, counts, offset, mask, start, stop, lines, tally, turn, change):
    """Count the values of positions [start, stop) once more, or once less."""
    if start == stop:
        return
    left = number_of_values(ring, width, counts, offset, mask, stop - 1)
    left -= number_of_values(ring, width, counts, offset, mask, start - 1)
    position = start
    while left > 0:
        word = ring[np.uint64(offset + (position & mask)) * width + np.uint64(column)]
        if word == MISSING:
            position = step_over(ring, width, counts, offset, mask, position, stop - 1)
            continue
        _change(tally, lines, turn, word, change)
        position += 1
        left -= 1


@njit(_nrt=False, error_model="numpy")
def _go_on(ring, width, column, counts, offset, mask, first, start, high, lines, tally, turn):
    """Bring the table of a turn to positions [start, high), or count them in another one; returns the turn, 0 for no table."""
    head = _table_of(lines, turn) + lines * T_WIDTH
    begin, end = tally[head + T_START], tally[head + T_END]
    owned = turn != 0 and tally[head + T_TURN] == abs(turn)
    held = owned and turn > 0 and first <= begin <= start <= end <= high
    if held and high - end < tally[head + T_FREE]:
        _change_all(ring, width, column, counts, offset, mask, begin, start, lines, tally, turn, -1)
        _change_all(ring, width, column, counts, offset, mask, end, high, lines, tally, turn, 1)
        tally[head + T_USED] = min(tally[head + T_USED] + 1, _OUTLASTS)
    else:
        if owned:  # the next turn that has the same table
            tally[lines * T_WIDTH + T_TURN] += (abs(turn) - tally[lines * T_WIDTH + T_TURN] - 1) % _TABLES
        turn = _next_turn(lines, tally)
        table = _table_of(lines, turn)
        head = table + lines * T_WIDTH
        if tally[head + T_USED] > 0 and not owned:
            tally[head + T_USED] -= 1
            return np.int64(0)
        tally[head + T_USED] = _OUTLASTS
        for times in range(tally[head + T_HIGHEST] + 1):
            tally[table + times * T_WIDTH + T_TIMES] = 0
        tally[head + T_TURN], tally[head + T_FREE] = turn, lines // 4 * 3
        tally[head + T_HIGHEST], tally[head + T_SPREAD] = 0, 0
        _change_all(ring, width, column, counts, offset, mask, start, high, lines, tally, turn, 1)
    tally[head + T_START], tally[head + T_END] = start, high
    return turn


@njit(_nrt=False, error_model="numpy")
def _latest(ring, width, column, counts, offset, mask, start, high, current, lines, tally, turn):
    """Of the most frequent values the one that was seen last, searched from the newest one back."""
    table = _table_of(lines, turn)
    highest = tally[table + lines * T_WIDTH + T_HIGHEST]
    word, position = current, high
    while word == MISSING or tally[_line_of(tally, table, lines, turn, word) + T_COUNT] != highest:
        position -= 1
        word = ring[np.uint64(offset + (position & mask)) * width + np.uint64(column)]
        if word == MISSING:  # on to the entry that holds the value before it
            number = number_of_values(ring, width, counts, offset, mask, position)
            position = reach_of(ring, width, counts, offset, mask, start, position, 1, number)
            word = ring[np.uint64(offset + (position & mask)) * width + np.uint64(column)]
    return word
