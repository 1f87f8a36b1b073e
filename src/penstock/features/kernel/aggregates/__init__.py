"""Aggregates that are no differences of totals, each one function on a flat ring that both tiers call.

`sessions` reads one entry. The others read the newest values of a window one by one; `scan` is the one door to them.
"""

import numpy as np

from penstock.features.kernel.aggregates.frequencies import frequencies
from penstock.features.kernel.aggregates.quantiles import quantile
from penstock.features.kernel.extremes import bits_of, number_of_bits
from penstock.features.kernel.words import ENTROPY, LOG_BITS, MISSING, MODE, QUANTILE, T_LOG, T_WIDTH
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def scan(op, ring, width, column, counts, offset, mask, first, low, high, current, most, rank, kept, tally):
    """An aggregate of the newest `most` values of positions [low, high) of a key's ring and of the current one.

    column: where an entry holds the value. counts: where it holds their running count, below 0 if every entry holds a value.
    first: the oldest position of the ring. rank: which quantile. kept: what the last scan returned for the next one. tally: the
    tables in which values are counted. Returns the number, NaN where there is none; of a mode the value itself, which may be a
    text; and what the next scan is given.
    """
    if op == QUANTILE:
        number, kept = quantile(ring, width, column, counts, offset, mask, low, high, current, most, rank, kept)
        return number, MISSING, kept
    top, highest, total, spread, kept = frequencies(
        ring, width, column, counts, offset, mask, first, low, high, current, most, tally, kept, op == MODE
    )
    if total == 0:
        return np.nan, MISSING, kept
    if op == ENTROPY:
        bits = np.float64(tally[total * T_WIDTH + T_LOG] - spread)
        return bits / (np.float64(total) * np.float64(np.int64(1) << LOG_BITS)), MISSING, kept
    if op == MODE:
        return number_of_bits(np.uint64(bits_of(top))), top, kept
    return np.float64(highest) / np.float64(total), MISSING, kept
