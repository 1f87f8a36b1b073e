"""The newest values of a window, for aggregates that read them one by one. On a flat ring, for both tiers.

An entry that holds no value of the channel (another type of event, a filter, a null) is stepped over by bisecting the channel's
running count, so that the work is bounded by the values, whatever lies between them.
"""

import numpy as np

from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def number_of_values(ring, width, counts, offset, mask, position):
    """How many values there are up to an entry: its running count, or its position where every entry holds one."""
    return ring[np.uint64(offset + (position & mask)) * width + np.uint64(counts)] if counts >= 0 else position


@njit(_nrt=False, error_model="numpy")
def reach_of(ring, width, counts, offset, mask, low, high, most, number):
    """The first position in [low, high) of a value whose number differs from `number` by less than `most`."""
    while low < high:
        middle = (low + high) >> 1
        if number - number_of_values(ring, width, counts, offset, mask, middle) >= most:
            low = middle + 1
        else:
            high = middle
    return low


@njit(_nrt=False, error_model="numpy", forceinline=True)
def newest(ring, width, counts, offset, mask, low, high, most):
    """Where the newest values of positions [low, high) begin, at most so many, and how many they are."""
    if low >= high:
        return high, np.int64(0)
    number = number_of_values(ring, width, counts, offset, mask, high - 1)
    found = number - number_of_values(ring, width, counts, offset, mask, low - 1)
    if found <= most:
        return low, found
    return reach_of(ring, width, counts, offset, mask, low, high, most, number), most


@njit(_nrt=False, error_model="numpy")
def step_over(ring, width, counts, offset, mask, position, last):
    """The position of the first value after an entry that holds none; there is one up to `last`."""
    number, step = number_of_values(ring, width, counts, offset, mask, position), np.int64(1)
    while position + step < last and number_of_values(ring, width, counts, offset, mask, position + step) == number:
        position += step
        step <<= 1
    low, high = position + 1, min(position + step, last)
    while low < high:
        middle = (low + high) >> 1
        if number_of_values(ring, width, counts, offset, mask, middle) == number:
            low = middle + 1
        else:
            high = middle
    return low
