"""Links in arrival order: each event is asked about, then links its key with its values."""

import numpy as np

from penstock.features.kernel.link_blocks import node_code
from penstock.features.kernel.link_reading import ask
from penstock.features.kernel.link_words import K_KINDS, K_VALUE, K_WHERE, KEY_SIDE, VALUE_SIDE
from penstock.features.kernel.link_writing import has_room, is_known, link_up, sweep_links, tell
from penstock.features.kernel.words import KNOWN_KEYS, NO_EVENT, NO_KEYS, REFUSED, TABLE_USED, TOO_LATE
from penstock.jit import njit

SWEEP = 2
"""Events for each slot that is looked at for what is out of reach; two more are for each node that is made, so that a stream of
new keys holds no more than twice what can be asked about."""


@njit(_nrt=False, error_model="numpy", forceinline=True)
def as_of(P, time, clock):
    """The time at which an event is looked at: its own, but no more than the lateness behind the stream's clock."""
    return max(time, clock - P.lateness)


@njit(_nrt=False, error_model="numpy")
def apply_links(P, S, start, codes, kinds, times, arrived, clock, moves, keep, admission, x, linked, read, write):
    """Read and write links for events in arrival order, from row `start` on.

    codes: int64 (n, columns), see `LinkPlan.fields`. clock: the stream's clock before the first row. keep: whether an event
    may enter state. admission: which nodes it may enter, marked where one was refused. linked: room for one flag for each link.
    Returns the row at which the arrays must be enlarged, or n.
    """
    n, used = kinds.shape[0], S.meta[TABLE_USED]
    for i in range(n):
        now = max(clock, min(times[i], arrived[i]))
        clock = now if moves else clock
        if i < start:
            continue
        if write and not has_room(P, S):
            return i
        kind = np.int64(kinds[i])
        for link in range(P.links.shape[0]):
            where = P.links[link, K_WHERE]
            linked[link] = (P.links[link, K_KINDS] >> kind) & 1 and (where < 0 or x[i, where] == 1.0)
        if read and kind in (0, NO_EVENT):
            for question in range(P.questions.shape[0]):
                ask(P, S, question, codes[i], linked, as_of(P, times[i], now), x[i])
        if write and keep[i] and codes[i, 0] != 0:
            _write(P, S, codes[i], linked, times[i], now, admission, x, i)
    if write and n > 0:
        sweep_links(P, S, clock, n // SWEEP + 1 + 2 * (S.meta[TABLE_USED] - used))
    return n


@njit(_nrt=False, error_model="numpy")
def _write(P, S, codes, linked, time, clock, admission, x, i):
    """Let an event link its key with its values, unless it is too late."""
    for link in range(P.links.shape[0]):
        key, value = node_code(codes[0], link, KEY_SIDE), node_code(codes[P.links[link, K_VALUE]], link, VALUE_SIDE)
        if value == 0 or not linked[link]:
            continue
        if time < clock - P.lateness:
            S.meta[TOO_LATE] += 1
        elif admission[i] & NO_KEYS or (
            admission[i] & KNOWN_KEYS and not (is_known(P, S, key, clock) and is_known(P, S, value, clock))
        ):
            admission[i] |= REFUSED
        else:
            link_up(P, S, link, codes[0], key, value, time, clock, x, i)


@njit(_nrt=False, error_model="numpy")
def tell_links(P, S, code, time, change):
    """A key's event became known to be fraud, or is no longer: False where the arrays must be enlarged first."""
    if not has_room(P, S):
        return False
    tell(S, code, time, change)
    return True
