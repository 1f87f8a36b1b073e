"""Quantiles by comparing the values of a window with a guess; on a flat ring, for both tiers.

Between two events of a key a quantile moves by few places. So its last answer is the first guess: one pass that counts what is
smaller finds whether it still holds, and the next value in either direction where it does not. A bad guess is replaced by
bisecting between the nearest values found so far, 64 passes or so at most.
"""

import numpy as np

from penstock.features.kernel.aggregates.newest import newest, number_of_values, step_over
from penstock.features.kernel.extremes import bits_of, number_of_bits
from penstock.features.kernel.words import MISSING, RANKS
from penstock.jit import njit

_LARGEST = np.int64(2**63 - 1)
_RUN = 32
"""How many entries are read at once where some may hold no value: the work stays bounded by the values."""


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _compare(ring, width, column, counts, offset, mask, start, last, count, current, pivot):
    """How many values are smaller than the pivot, and how many equal it; the next smaller one, and the next larger one.

    Entries are read in runs, without asking each whether it holds a value: one that holds none is smaller than any pivot, and
    the running count says how many those are. A run begins with a value, and is short where entries may hold none.
    """
    less, equal, below, above = np.int64(0), np.int64(0), MISSING, _LARGEST
    if current != MISSING:
        less, equal = np.int64(current < pivot), np.int64(current == pivot)
        below, above = current if less else MISSING, current if current > pivot else _LARGEST
    position, left = start, count
    while left > 0:
        at = np.uint64(offset + (position & mask)) * width + np.uint64(column)
        if ring[at] == MISSING:
            position = step_over(ring, width, counts, offset, mask, position, last)
            continue
        stop = min(last, position | mask, position + _RUN - 1 if counts >= 0 else last) + 1
        for _ in range(stop - position):
            word = ring[at]
            at += width
            if word < pivot:
                less += 1
                below = max(below, word)
            elif word > pivot:
                above = min(above, word)
            else:
                equal += 1
        values = number_of_values(ring, width, counts, offset, mask, stop - 1)
        values -= number_of_values(ring, width, counts, offset, mask, position - 1)
        less -= stop - position - values
        left -= values
        position = stop
    return less, equal, below, above


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _between(lower, upper, share):
    """What lies at this share of the way between two words of `extremes.ordered`."""
    number = number_of_bits(np.uint64(bits_of(lower)))
    if share == 0 or lower == upper:
        return number
    return number + (number_of_bits(np.uint64(bits_of(upper))) - number) * share


@njit(_nrt=False, error_model="numpy")
def quantile(ring, width, column, counts, offset, mask, low, high, current, most, rank, guess):
    """A quantile of the newest values of positions [low, high) and the current one, and the word to guess next time.

    Of n sorted values it is the one at (n - 1) * rank, counted from 0; between two of them it lies on the line that joins them.
    rank: in units of `words.RANKS`. NaN where there is no value.
    """
    start, count = newest(ring, width, counts, offset, mask, low, high, most - np.int64(current != MISSING))
    total = count + np.int64(current != MISSING)
    if total == 0:
        return np.nan, guess
    at, share = (total - 1) * rank // RANKS, np.float64((total - 1) * rank % RANKS) / RANKS
    lowest, highest, pivot = MISSING, _LARGEST, guess
    while True:
        less, equal, below, above = _compare(ring, width, column, counts, offset, mask, start, high - 1, count, current, pivot)
        if at == less - 1:
            return _between(below, pivot if equal > 0 else above, share), below
        if less <= at < less + equal:
            return _between(pivot, pivot if at + 1 < less + equal else above, share), pivot
        if at == less + equal:
            if share == 0:
                return _between(above, above, share), above
            pivot = above
            continue
        if at < less:
            highest = below
        else:
            lowest = above
        pivot = (lowest >> 1) + (highest >> 1) + (lowest & highest & 1)
