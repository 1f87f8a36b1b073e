"""Quantiles by comparing the values of a window with a guess; on a flat ring, for both tiers.

Between two events of a key a quantile moves by few places. So its last answer is the first guess: one pass that counts what is
smaller finds whether it still holds, and the next value in either direction where it does not. A bad guess is replaced by
bisecting between the smallest and the largest value, 64 passes at most.
"""

import numpy as np

from penstock.features.kernel.extremes import bits_of, number_of_bits
from penstock.features.kernel.scans.newest import newest, step_over
from penstock.features.kernel.words import MISSING, RANKS
from penstock.jit import njit

_LARGEST = np.int64(2**63 - 1)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _compare(ring, width, column, counts, offset, mask, start, last, count, current, pivot):
    """How many values are smaller than the pivot, and how many equal it; the next smaller and larger ones, the smallest, the
    largest.
    """
    less, equal, below, above, smallest, largest = np.int64(0), np.int64(0), MISSING, _LARGEST, _LARGEST, MISSING
    position, word = start, current
    left = count + np.int64(current != MISSING)
    while left > 0:
        if left <= count:
            word = ring[np.uint64(offset + (position & mask)) * width + np.uint64(column)]
            if word == MISSING:
                position = step_over(ring, width, counts, offset, mask, position, last)
                continue
            position += 1
        less += np.int64(word < pivot)
        equal += np.int64(word == pivot)
        below = max(below, word if word < pivot else MISSING)
        above = min(above, word if word > pivot else _LARGEST)
        smallest, largest = min(smallest, word), max(largest, word)
        left -= 1
    return less, equal, below, above, smallest, largest


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
        less, equal, below, above, smallest, largest = _compare(
            ring, width, column, counts, offset, mask, start, high - 1, count, current, pivot
        )
        lowest, highest = max(lowest, smallest), min(highest, largest)
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
