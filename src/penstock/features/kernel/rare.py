"""What the plan's own function leaves to the table-driven kernel: late events, new keys, growth, sums out of range."""

from functools import cache
from importlib import import_module

import numba as nb
import numpy as np

from penstock.features.kernel.addresses import address_of_function, flags, numbers, words
from penstock.features.kernel.events import event
from penstock.features.kernel.handles import HANDLE, plan_at, state_at
from penstock.features.kernel.reading import express, nothing_measured
from penstock.features.kernel.words import (
    AHEAD,
    BLOCK,
    C_ROLES,
    CALL_ADMISSION,
    CALL_CLOCKS,
    CALL_CODES,
    CALL_HANDLE,
    CALL_KEEP,
    CALL_KEYS,
    CALL_KINDS,
    CALL_N,
    CALL_READ,
    CALL_SEQUENCE,
    CALL_TEXTS,
    CALL_TIMES,
    CALL_WIDTH,
    CALL_WORDS,
    CALL_WRITE,
    CALL_X,
    MISSING,
    NO_EVENT,
    RARE_EVENT,
    RARE_GUARD,
    RARE_KEY,
    SMALLEST_RING_LOG2,
    TOUCHED,
    VALUES,
)
from penstock.features.kernel.writing import guard, make_place, new_slot, resize
from penstock.jit import njit


def rare(what, call, a, b, c):
    """One of the rare ways, by number; the arguments and the answer are whole numbers, and so are addresses.

    call: the address of the words that `handles.advance` passes to the plan's own function (`words.CALL_...`).

    * RARE_EVENT: read and write event `a` as the table-driven kernel does.
    * RARE_KEY: a row and a first ring for the key `a`, new at time `b` and stream clock `c`; answers its slot.
    * RARE_PLACE: a ring with room for one more entry for the key in slot `a`.
    * RARE_GUARD: the value `c` of channel `b` if the sums of the key in slot `a` can take it in, else MISSING.
    """
    call = words(call, CALL_WORDS)
    h = words(call[CALL_HANDLE], HANDLE)
    P, S = plan_at(h), state_at(h)
    if what == RARE_EVENT:
        _event(P, S, call, a)
        return np.int64(0)
    if what == RARE_KEY:
        slot = new_slot(P, S, a, b)
        resize(P, S, S.rows[slot], SMALLEST_RING_LOG2)
        S.rows[slot, TOUCHED] = c
        return np.int64(slot)
    row = S.rows[a]
    if what == RARE_GUARD:
        values = S.scratch[VALUES]
        for channel in range(P.channels.shape[0]):
            values[channel] = MISSING
        values[b] = c
        role = np.int64(0)
        while not (P.channels[b, C_ROLES] >> role) & 1:
            role += 1
        guard(P, S, row, values, role)
        return np.int64(values[b])
    make_place(P, S, row)
    return np.int64(0)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _event(P, S, call, i):
    n, roles = call[CALL_N], P.keys[P.keys.shape[0] - 1, 0] + 1
    keys = words(call[CALL_KEYS], n * roles).reshape(n, roles)
    x = numbers(call[CALL_X], n * call[CALL_WIDTH]).reshape(n, call[CALL_WIDTH])
    codes = words(call[CALL_CODES], n * call[CALL_TEXTS]).reshape(n, call[CALL_TEXTS])
    admission, kind = flags(call[CALL_ADMISSION], n), np.int64(flags(call[CALL_KINDS], n)[i])
    reads = call[CALL_READ] != 0 and kind in (0, NO_EVENT)
    writes = call[CALL_WRITE] != 0 and flags(call[CALL_KEEP], n)[i] != 0 and kind <= P.sizes.labels_kind
    if not reads and not writes:
        return
    nothing_measured(S, 0)
    time, clock = words(call[CALL_TIMES], n)[i], words(call[CALL_CLOCKS], n)[i]
    place = (i & (2 * BLOCK - 1)) * roles
    sequence = call[CALL_SEQUENCE] + i
    slots = S.scratch[AHEAD]
    first = 0 * i  # not a literal, for which numba would compile `event` and what it calls a second time
    event(P, S, keys, slots, place, i, first, kind, time, clock, sequence, admission, x, codes, reads, writes)
    express(P, S, x, i, i + 1)


@cache
def address_of_rare() -> int:
    """Where `rare` lies; it is compiled, or loaded, when first asked for."""
    if nb.config.DISABLE_JIT:
        return address_of_function(rare)
    numba = import_module("penstock.kept_code").numba  # what it compiles is kept
    word = nb.types.int64
    address: int = numba.cfunc(word(*[word] * 5), cache=True, _nrt=False, error_model="numpy")(rare).address
    return address
