"""Standard deviations from exact sums of squares in two words."""

import numpy as np

from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def multiply(a, b):
    """The 128-bit product of two unsigned 64-bit numbers, as (high, low)."""
    half = np.uint64(32)
    lower = np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & lower, b >> half, b & lower
    low = a0 * b0
    middle = a1 * b0 + (low >> half)
    other = a0 * b1 + (middle & lower)
    return a1 * b1 + (middle >> half) + (other >> half), (other << half) | (low & lower)


@njit(_nrt=False, error_model="numpy", forceinline=True)
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


@njit(_nrt=False, error_model="numpy", forceinline=True)
def deviation(count, total, squares_high, squares_low, scale):
    """The sample standard deviation from exact sums: sqrt((n * squares - total^2) / (n * (n - 1))) in units."""
    n = np.uint64(count)
    size = np.uint64(abs(total))
    high, low = multiply(n, squares_low)
    high += n * squares_high
    if high == 0:  # nothing is larger than n * squares, total^2 included
        difference = np.float64(low - size * size)
    else:
        taken_high, taken_low = multiply(size, size)
        borrow = np.uint64(1) if low < taken_low else np.uint64(0)
        difference = _wide_to_float(high - taken_high - borrow, low - taken_low)
    return np.sqrt(difference / np.float64(count * (count - 1))) / scale
