"""Quantiles of any number of values, to a relative error: how many values of a window stand in each of 4,095 fixed buckets.

They are those of a log-linear histogram: 32 between a power of two and the next, for both signs, from 1e-6 (2^-20) to 1.7e13.
What is smaller is 0, what is larger counts as the largest. A value enters and leaves by an addition, so a sketch depends on the
values that stand in it, and not on their order. It lies in the key's row: first sums of 64 buckets each, then the buckets, two
in a word. Both tiers call these functions on flat rows.
"""

import numpy as np

from penstock.features.kernel.extremes import number_of_bits
from penstock.features.kernel.words import MISSING, RANKS, SKETCH_GROUP, SKETCH_MIDDLE
from penstock.jit import njit

_U = np.uint64
_FRACTION_LOG2 = 5
_SHIFT = 52 - _FRACTION_LOG2
_SMALLEST = ((1023 - 20) << _FRACTION_LOG2) - 1
"""What is subtracted from the leading bits of a number, so that 2^-20 stands in the first bucket above 0."""
_MIDDLE = SKETCH_MIDDLE
"""The bucket of 0; larger numbers stand above it."""
_GROUP_LOG2 = SKETCH_GROUP.bit_length() - 1
_GROUPS = 2 * _MIDDLE >> _GROUP_LOG2
RELATIVE_ERROR = 1 / (2 << _FRACTION_LOG2)
"""How far an answer is from the value that it stands for at most, as a share of that value: it is the middle of its bucket."""


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _bucket_of(word):
    """The bucket of a word of `extremes.ordered`, whose complement has the bits of the absolute value where it is negative."""
    size = word if word >= 0 else ~word
    step = min(max((size >> _SHIFT) - _SMALLEST, 0), _MIDDLE - 1)
    return _MIDDLE + step if word >= 0 else _MIDDLE - step


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _number_of(bucket):
    """The middle of a bucket."""
    step = abs(bucket - _MIDDLE)
    if step == 0:
        return 0.0
    number = number_of_bits(_U(((step + _SMALLEST) << _SHIFT) | (1 << (_SHIFT - 1))))
    return number if bucket > _MIDDLE else -number


@njit(_nrt=False, error_model="numpy")
def count_in(rows, at, word, change):
    """Let a value enter (+1) or leave (-1) the sketch that begins at a word of flat rows; nothing where it is MISSING."""
    if word == MISSING:
        return
    bucket = _bucket_of(word)
    rows[at + _U(bucket >> _GROUP_LOG2)] += change
    rows[at + _U(_GROUPS + (bucket >> 1))] += change * (np.int64(1) << (32 * (bucket & 1)))


@njit(_nrt=False, error_model="numpy")
def approx_quantile(rows, at, current, rank):
    """A quantile of the values in a sketch and the current one: of n sorted ones about that at place (n - 1) * rank, rounded
    down. rank: in units of `words.RANKS`. NaN where there is no value.
    """
    count_in(rows, at, current, 1)
    total = np.int64(0)
    for group in range(_GROUPS):
        total += rows[at + _U(group)]
    found = _number_of(_bucket_at(rows, at, (total - 1) * rank // RANKS)) if total > 0 else np.nan
    count_in(rows, at, current, -1)
    return found


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _bucket_at(rows, at, place):
    """The bucket in which the value at this place in their order stands."""
    group = 0
    while place >= rows[at + _U(group)]:
        place -= rows[at + _U(group)]
        group += 1
    bucket = group << _GROUP_LOG2
    while True:
        count = (rows[at + _U(_GROUPS + (bucket >> 1))] >> (32 * (bucket & 1))) & 0xFFFFFFFF
        if place < count:
            return bucket
        place -= count
        bucket += 1
