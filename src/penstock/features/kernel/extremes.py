"""Smallest and largest values: summaries of blocks of 16, 256, ... entries above each ring."""

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from penstock.features.kernel.rings import physical
from penstock.features.kernel.words import C_VALUE, END, FANOUT_LOG2, FIRST, LOG2, MISSING
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def ordered(number, bits):
    """A number, given with its bits, as a word that sorts as numbers do; -0.0 is 0."""
    if number == 0.0:
        return np.int64(0)
    return bits if bits >= 0 else bits ^ np.int64(0x7FFFFFFFFFFFFFFF)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def bits_of(word):
    """The bits of the number behind a word of `ordered`."""
    return word if word >= 0 else word ^ np.int64(0x7FFFFFFFFFFFFFFF)


@intrinsic
def _number_of_bits(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), generate


if nb.config.DISABLE_JIT:

    def number_of_bits(word: Any) -> Any:
        """The number with these bits, given as an unsigned word."""
        return np.array(word, np.uint64).view(np.float64)[()]

else:
    number_of_bits = _number_of_bits


@njit(_nrt=False, error_model="numpy", forceinline=True)
def better(a, b, minimum):
    """The smaller or larger of two values, of which any may be missing."""
    if a == MISSING:
        return b
    if b == MISSING:
        return a
    return min(a, b) if minimum else max(a, b)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def summarise_one(P, S, row, position):
    """Bring the summaries of the blocks that hold this newest position up to date."""
    place = np.int64(physical(row, position))
    for e in range(P.extremes.shape[0]):
        value = S.ring[place, P.channels[P.extremes[e, 0], C_VALUE]]
        level = 1
        while FANOUT_LOG2 * level <= row[LOG2]:
            shift = FANOUT_LOG2 * level
            block = S.levels[level] + (place >> shift)
            if position & ((np.int64(1) << shift) - 1) == 0:
                S.blocks[e, block] = value
            else:
                S.blocks[e, block] = better(S.blocks[e, block], value, P.extremes[e, 1] == 1)
            level += 1


@njit(_nrt=False, error_model="numpy")
def summarise(P, S, row, start):
    """Make the summaries anew for the blocks that hold positions from `start` on, each level from the one below."""
    first, newest = row[FIRST], row[END] - 1
    for e in range(P.extremes.shape[0]):
        column = P.channels[P.extremes[e, 0], C_VALUE]
        level = 1
        while FANOUT_LOG2 * level <= row[LOG2]:
            shift = FANOUT_LOG2 * level
            below = shift - FANOUT_LOG2
            for block in range(max(start, first) >> shift, (newest >> shift) + 1):
                best = MISSING
                child = max(block << FANOUT_LOG2, first >> below)
                while child < (block + 1) << FANOUT_LOG2 and child <= newest >> below:
                    at = np.int64(physical(row, child << below))
                    value = S.ring[at, column] if level == 1 else S.blocks[e, S.levels[level - 1] + (at >> below)]
                    best = better(best, value, P.extremes[e, 1] == 1)
                    child += 1
                S.blocks[e, S.levels[level] + (np.int64(physical(row, block << shift)) >> shift)] = best
            level += 1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def extreme(P, S, row, low, high, e):
    """The smallest or largest value among positions [low, high), MISSING where there is none."""
    minimum = P.extremes[e, 1] == 1
    column = P.channels[P.extremes[e, 0], C_VALUE]
    best = MISSING
    level = 0
    fan = np.int64(1) << FANOUT_LOG2
    while low < high:
        shift = FANOUT_LOG2 * level
        last_level = shift + FANOUT_LOG2 > row[LOG2]
        while low < high and (last_level or low & (fan - 1)):
            at = np.int64(physical(row, low << shift))
            value = S.ring[at, column] if level == 0 else S.blocks[e, S.levels[level] + (at >> shift)]
            best = better(best, value, minimum)
            low += 1
        while low < high and high & (fan - 1):
            high -= 1
            at = np.int64(physical(row, high << shift))
            value = S.ring[at, column] if level == 0 else S.blocks[e, S.levels[level] + (at >> shift)]
            best = better(best, value, minimum)
        low >>= FANOUT_LOG2
        high >>= FANOUT_LOG2
        level += 1
    return best
