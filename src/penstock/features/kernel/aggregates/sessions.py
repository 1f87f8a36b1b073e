"""Sessions: runs of events of a channel none of which comes more than a gap after the one before; on a flat ring, for both
tiers.

Every ring entry says how its session stood: when it began, and the channel's running totals before it. So the current session
is the difference of two totals, however long it is, and although its first events may have left the ring.
"""

import numpy as np

from penstock.features.kernel.words import (
    MISSING,
    SESSION_BEFORE,
    SESSION_BEFORE_SUM,
    SESSION_LAST,
    SESSION_START,
    SESSION_WORDS,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_over(last, gap, time):
    """Whether a session with this latest event ended before a time."""
    return last == 0 or time - (last ^ MISSING) > gap


@njit(_nrt=False, error_model="numpy", forceinline=True)
def continue_session(ring, entry, before, column, counts, sums, gap):
    """Say in an entry how its session stands, from the entry before it; its time and totals are there.

    entry, before: where they begin. column: that of the session's words. counts, sums: those of the channel's totals; sums is
    below 0 where there are none.
    """
    words, earlier = entry + np.uint64(column), before + np.uint64(column)
    for word in range(SESSION_WORDS):
        ring[words + np.uint64(word)] = ring[earlier + np.uint64(word)]
    if ring[entry + np.uint64(counts)] == ring[before + np.uint64(counts)]:
        return
    if _is_over(ring[earlier + np.uint64(SESSION_LAST)], gap, ring[entry]):
        ring[words + np.uint64(SESSION_START)] = ring[entry]
        ring[words + np.uint64(SESSION_BEFORE)] = ring[before + np.uint64(counts)]
        ring[words + np.uint64(SESSION_BEFORE_SUM)] = ring[before + np.uint64(sums)] if sums >= 0 else np.int64(0)
    ring[words + np.uint64(SESSION_LAST)] = ring[entry] ^ MISSING


@njit(_nrt=False, error_model="numpy", forceinline=True)
def session(ring, entry, column, counts, sums, gap, time, current):
    """Count, sum and seconds of the session at a time, with the current event's value; of none: 0, 0 and NaN.

    entry: where the latest entry up to that time begins.
    """
    words = entry + np.uint64(column)
    count, total, start = np.int64(0), np.int64(0), time
    if not _is_over(ring[words + np.uint64(SESSION_LAST)], gap, time):
        count = ring[entry + np.uint64(counts)] - ring[words + np.uint64(SESSION_BEFORE)]
        total = ring[entry + np.uint64(sums)] - ring[words + np.uint64(SESSION_BEFORE_SUM)] if sums >= 0 else np.int64(0)
        start = ring[words + np.uint64(SESSION_START)]
    if current != MISSING:
        count, total = count + 1, total + current
    return count, total, np.float64(max(time - start, 0)) / 1e6 if count > 0 else np.nan
