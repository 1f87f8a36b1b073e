"""Aggregates that are no differences of totals, each one function on a flat ring that both tiers call.

`sessions` reads one entry. The others read the newest values of a window one by one; `scan` is the one door to them.
"""

import numpy as np

from penstock.features.kernel.aggregates.frequencies import entropy, most_frequent
from penstock.features.kernel.aggregates.quantiles import quantile
from penstock.features.kernel.extremes import bits_of, number_of_bits
from penstock.features.kernel.words import ENTROPY, MISSING, MODE, QUANTILE
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def scan(op, ring, width, column, counts, offset, mask, low, high, current, most, rank, word, tally):
    """An aggregate of the newest `most` values of positions [low, high) of a key's ring and of the current one.

    column: where an entry holds the value. counts: where it holds their running count, below 0 if every entry holds a value.
    rank: which quantile. word: what the last scan returned. tally: the table in which values are counted. Returns the number,
    NaN where there is none, and a word: of a mode the value itself, which may be a text, else what the next scan is given.
    """
    if op == QUANTILE:
        return quantile(ring, width, column, counts, offset, mask, low, high, current, most, rank, word)
    if op == ENTROPY:
        return entropy(ring, width, column, counts, offset, mask, low, high, current, most, tally), word
    top, share = most_frequent(ring, width, column, counts, offset, mask, low, high, current, most, tally)
    if op == MODE:
        return number_of_bits(np.uint64(bits_of(top))) if top != MISSING else np.nan, top
    return share, word
