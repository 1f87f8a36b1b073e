"""How often each value stands in a window: the most frequent one, its share, and the entropy; on a flat ring, for both tiers.

Values are counted in a small table that belongs to the state and is never cleared: what an earlier turn left there is known by
the number of its turn. Its last line holds the number of the newest one, and a salt.
"""

import os
from functools import cache

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel.aggregates.newest import newest, step_over
from penstock.features.kernel.hash_tables import mix
from penstock.features.kernel.words import LOG_BITS, MISSING, T_COUNT, T_LOG, T_TURN, T_WIDTH, T_WORD
from penstock.jit import njit


def empty_tally(most: int) -> NDArray[np.int64]:
    """A table in which so many values can be counted, its last line for the turns; of no line but that where none are."""
    lines = 1 << (2 * most).bit_length() if most else 0
    tally = np.zeros((lines + 1, T_WIDTH), np.int64)
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


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _add(tally, mask, turn, word):
    """Count a value once more, and return how often it was counted."""
    at = mix(word, tally[(mask + 1) * T_WIDTH + T_WORD]) & mask
    while tally[at * T_WIDTH + T_TURN] == turn and tally[at * T_WIDTH + T_WORD] != word:
        at = (at + 1) & mask
    if tally[at * T_WIDTH + T_TURN] != turn:
        tally[at * T_WIDTH + T_TURN] = turn
        tally[at * T_WIDTH + T_WORD] = word
        tally[at * T_WIDTH + T_COUNT] = 0
    tally[at * T_WIDTH + T_COUNT] += 1
    return tally[at * T_WIDTH + T_COUNT]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _count(ring, width, column, counts, offset, mask, low, high, current, most, tally):
    """Count the newest values of positions [low, high) and the current one, the oldest first.

    Returns the most frequent one (of several the one that was seen last), how often it stands there, how many values there are,
    and the sum of n * log2(n) over the different ones.
    """
    start, count = newest(ring, width, counts, offset, mask, low, high, most - np.int64(current != MISSING))
    lines = tally.shape[0] // T_WIDTH - 1
    tally[lines * T_WIDTH + T_TURN] += 1
    turn, top, highest, spread = tally[lines * T_WIDTH + T_TURN], MISSING, np.int64(0), np.int64(0)
    position, left = start, count + np.int64(current != MISSING)
    total = left
    while left > 0:
        word = current
        if left > np.int64(current != MISSING):
            word = ring[np.uint64(offset + (position & mask)) * width + np.uint64(column)]
            if word == MISSING:
                position = step_over(ring, width, counts, offset, mask, position, high - 1)
                continue
            position += 1
        times = _add(tally, lines - 1, turn, word)
        spread += tally[times * T_WIDTH + T_LOG] - tally[(times - 1) * T_WIDTH + T_LOG]
        if times >= highest:
            top, highest = word, times
        left -= 1
    return top, highest, total, spread


@njit(_nrt=False, error_model="numpy")
def most_frequent(ring, width, column, counts, offset, mask, low, high, current, most, tally):
    """The most frequent of the newest values, MISSING where there is none, and its share of them."""
    top, highest, total, _ = _count(ring, width, column, counts, offset, mask, low, high, current, most, tally)
    return top, np.float64(highest) / np.float64(total) if total > 0 else np.nan


@njit(_nrt=False, error_model="numpy")
def entropy(ring, width, column, counts, offset, mask, low, high, current, most, tally):
    """The entropy of the newest values in bits: 0 where all are equal, log2(n) where n are as frequent; NaN over nothing."""
    _, _, total, spread = _count(ring, width, column, counts, offset, mask, low, high, current, most, tally)
    if total == 0:
        return np.nan
    return np.float64(tally[total * T_WIDTH + T_LOG] - spread) / (np.float64(total) * np.float64(np.int64(1) << LOG_BITS))
