"""The events of one key with one value: times in order, each with running totals of amounts up to it."""

import numpy as np

from penstock.features.kernel.link_blocks import enlarged_block
from penstock.features.kernel.link_words import (
    A_LINK,
    A_SOURCE,
    A_WORD,
    E_RING,
    E_RING_COUNT,
    E_RING_LOG2,
    K_REACH,
    K_WIDTH,
    SMALLEST_LOG2,
)
from penstock.features.kernel.words import LARGEST_SUM, LATE, OVERFLOWED
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def events_until(S, at, width, time):
    """How many events of an entry are not later than a time."""
    ring, low, high = S.pool[at + E_RING], 0, S.pool[at + E_RING_COUNT]
    while low < high:
        middle = (low + high) >> 1
        if S.pool[ring + middle * width] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@njit(_nrt=False, error_model="numpy", forceinline=True)
def total_until(S, at, width, word, time):
    """The running total at the latest event that is not later than a time."""
    events = events_until(S, at, width, time)
    return S.pool[S.pool[at + E_RING] + (events - 1) * width + word] if events else 0


@njit(_nrt=False, error_model="numpy")
def out_of_reach(S, at, width, until):
    """How many events, the oldest, no question reaches: a later one lies before all that is asked about, too."""
    return max(events_until(S, at, width, until) - 1, 0)


@njit(_nrt=False, error_model="numpy")
def _make_room(S, at, width, until):
    """Room for one more event: what is out of reach goes, else the ring doubles."""
    ring, count = S.pool[at + E_RING], S.pool[at + E_RING_COUNT]
    if ring and (count + 1) * width <= 1 << S.pool[at + E_RING_LOG2]:
        return
    gone = out_of_reach(S, at, width, until) if ring else 0
    if gone:
        for word in range((count - gone) * width):
            S.pool[ring + word] = S.pool[ring + gone * width + word]
        S.pool[at + E_RING_COUNT] = count - gone
        return
    S.pool[at + E_RING] = enlarged_block(S, ring, S.pool[at + E_RING_LOG2], count * width)
    S.pool[at + E_RING_LOG2] = S.pool[at + E_RING_LOG2] + 1 if ring else SMALLEST_LOG2


@njit(_nrt=False, error_model="numpy")
def insert_event(P, S, at, link, time, clock, x, i):
    """Insert an event where its time belongs, after those of the same time."""
    width = P.links[link, K_WIDTH]
    _make_room(S, at, width, clock - P.links[link, K_REACH])
    ring, count = S.pool[at + E_RING], S.pool[at + E_RING_COUNT]
    place = events_until(S, at, width, time)
    S.meta[LATE] += place < count
    for word in range((count - place) * width - 1, -1, -1):
        S.pool[ring + (place + 1) * width + word] = S.pool[ring + place * width + word]
    S.pool[ring + place * width] = time
    for word in range(1, width):
        S.pool[ring + place * width + word] = S.pool[ring + (place - 1) * width + word] if place else 0
    S.pool[at + E_RING_COUNT] = count + 1
    for amount in range(P.amounts.shape[0]):
        if P.amounts[amount, A_LINK] == link:
            value = _fixed(P, S, amount, x[i, P.amounts[amount, A_SOURCE]])
            for event in range(place, count + 1):
                S.pool[ring + event * width + P.amounts[amount, A_WORD]] += value


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _fixed(P, S, amount, value):
    """An amount in units of its scale: null is nothing, and what no sum can hold is counted and left out."""
    scaled = value * P.scales[amount]
    if np.isnan(scaled):
        return np.int64(0)
    if abs(scaled) >= LARGEST_SUM:
        S.meta[OVERFLOWED] += 1
        return np.int64(0)
    return np.int64(np.rint(scaled))
