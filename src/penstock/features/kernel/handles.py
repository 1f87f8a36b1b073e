"""Handles: the addresses of an entity's plan and state, so that one compiled call serves all entities of a detector.

A plan and a state are two dozen arrays. Passing them one by one to a compiled function takes microseconds per entity, many
times the cost of an event. A *handle* lists their addresses and shapes instead, and the compiled function makes the arrays
from it. The holder of a handle keeps its arrays alive.
"""

import ctypes
import math
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from penstock.codes import word_code
from penstock.features.kernel.addresses import address_of, call_run
from penstock.features.kernel.events import apply, sweep
from penstock.features.kernel.labels import apply_label
from penstock.features.kernel.words import (
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
    SWEEP,
    Plan,
    Sizes,
    State,
)
from penstock.jit import njit

_SIZES = len(Sizes._fields)
_ITEM_BYTES = 8
_ARRAY = 4
"""Words of one array in a handle: its address and up to three lengths."""
_FIRST_STATE = _SIZES + _ARRAY * (len(Plan._fields) - 1)
PLACES = {name: _SIZES + _ARRAY * k for k, name in enumerate((*Plan._fields[1:], *State._fields))}
"""Where the four words of each array of a plan and a state stand in a handle; those of its sizes come first."""
RUN = _FIRST_STATE + _ARRAY * len(State._fields)
RARE = RUN + 1
HANDLE = RUN + 2
"""Words of a handle. RUN: the address of the plan's own function, 0 where the table-driven kernel does everything. RARE: where
that function finds `rare.rare`."""
_GOLDEN = np.int64(0x1E3779B97F4A7C15)


def handle_of(plan: Plan, state: State) -> np.ndarray[Any, Any]:
    """The numbers that stand for a plan and a state: see `plan_at`, `state_at`."""
    words = [int(size) for size in plan.sizes]
    for array in (*plan[1:], *state):
        words += [array.ctypes.data, *[*array.shape, 1, 1][:3]]
    return np.array([*words, 0, 0], np.int64)


# ---------------------------------------------------------------- from numbers to arrays


def _array_maker(dimensions: int, item: Any) -> Any:
    """An intrinsic (handle, place) -> the contiguous array that the handle's four words there describe."""

    @intrinsic
    def array_at(_context: Any, handle: Any, place: Any) -> Any:
        array_type = types.Array(item, dimensions, "C")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            words = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            first = builder.gep(words, [arguments[1]])
            address, *lengths = (
                builder.load(builder.gep(first, [ir.Constant(ir.IntType(64), word)])) for word in range(1 + dimensions)
            )
            array = make_array(array_type)(context, builder)
            strides: list[Any] = []
            size = ir.Constant(ir.IntType(64), _ITEM_BYTES)
            for length in reversed(lengths):
                strides.insert(0, size)
                size = builder.mul(size, length)
            pointer = builder.inttoptr(address, array.data.type)
            populate_array(array, pointer, lengths, strides, ir.Constant(ir.IntType(64), _ITEM_BYTES), meminfo=None)
            return array._getvalue()

        return array_type(handle, place), generate

    return array_at


def _plain_array_maker(dimensions: int, item: Any) -> Any:
    kind: Any = {types.int64: ctypes.c_int64, types.float64: ctypes.c_double}[item]

    def array_at(handle: Any, place: int) -> Any:
        address, *shape = (int(word) for word in handle[place : place + 1 + dimensions])
        if 0 in shape:
            return np.empty(shape, np.dtype(kind))
        memory = (kind * math.prod(shape)).from_address(address)
        return np.frombuffer(memory, np.dtype(kind)).reshape(shape)

    return array_at


_make = _plain_array_maker if nb.config.DISABLE_JIT else _array_maker
_line_at = _make(1, types.int64)
_table_at = _make(2, types.int64)
_block_at = _make(3, types.int64)
_scales_at = _make(1, types.float64)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def plan_at(h):
    """The plan behind a handle, field by field in the order of `Plan`."""
    sizes = Sizes(
        h[0], h[1], h[2], h[3], h[4] != 0, h[5], h[6], h[7], h[8], h[9], h[10], h[11], h[12] != 0, h[13] != 0, h[14], h[15],
        h[16], h[17] != 0,
    )  # fmt: skip
    a = _SIZES
    return Plan(
        sizes,
        _table_at(h, a),
        _line_at(h, a + 4),
        _table_at(h, a + 8),
        _table_at(h, a + 12),
        _table_at(h, a + 16),
        _scales_at(h, a + 20),
        _table_at(h, a + 24),
        _table_at(h, a + 28),
        _table_at(h, a + 32),
        _table_at(h, a + 36),
        _table_at(h, a + 40),
        _table_at(h, a + 44),
    )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def state_at(h):
    """The state behind a handle, field by field in the order of `State`."""
    a = _FIRST_STATE
    return State(
        _line_at(h, a),
        _line_at(h, a + 4),
        _table_at(h, a + 8),
        _table_at(h, a + 12),
        _table_at(h, a + 16),
        _table_at(h, a + 20),
        _line_at(h, a + 24),
        _table_at(h, a + 28),
        _table_at(h, a + 32),
        _line_at(h, a + 36),
        _block_at(h, a + 40),
        _line_at(h, a + 44),
        _line_at(h, a + 48),
        _table_at(h, a + 52),
    )


# ---------------------------------------------------------------- what all entities share


@njit(_nrt=False, error_model="numpy")
def pace(times, arrived, max_ahead, stride, clocks, keep, out, moves):
    """Which events may enter state, and the pace clock at each; clocks stand still unless they are to move.

    clocks: [stream clock, pace clock]. The stream clock is the newest event time, where an event stamped ahead of its
    arrival counts at its arrival. The pace follows the newest event time let in by no more than `stride` at each event,
    so that a lone event far ahead of the others does not make the stream forget everybody. An event stamped further
    ahead of its arrival than `max_ahead` stays out.
    """
    for i in range(times.shape[0]):
        keep[i] = times[i] - arrived[i] <= max_ahead
        if moves:
            clocks[0] = max(clocks[0], min(times[i], arrived[i]))
        if keep[i] and moves:
            clocks[1] = times[i] if clocks[1] == 0 else max(clocks[1], min(times[i], clocks[1] + stride))
        out[i] = clocks[1]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def mixed(left, right):
    """One code for two: both are keyed hashes already, so mixing them keeps them spread; 0 where one is 0."""
    if left == 0 or right == 0:
        return np.int64(0)
    code = (left * _GOLDEN) ^ (right + (left >> np.int64(7)))
    code ^= code >> np.int64(29)
    code *= _GOLDEN
    return code if code != 0 else np.int64(1)


@njit(_nrt=False, error_model="numpy")
def read_keys(fields, x, codes, keys):
    """The key of every event in every role, int64 (n, roles); 0 where a field of it is null.

    fields: (role, text?, column) of each field, the fields of a role one after another.
    """
    bits = x.view(np.int64)
    for i in range(keys.shape[0]):
        last = np.int64(-1)
        for f in range(fields.shape[0]):
            role, column = fields[f, 0], fields[f, 2]
            if fields[f, 1]:
                code = codes[i, column]
            elif np.isnan(x[i, column]):
                code = np.int64(0)
            else:
                code = word_code(bits[i, column] if x[i, column] != 0.0 else np.int64(0))  # -0.0 and 0.0 are one key
            keys[i, role] = code if role != last else mixed(keys[i, role], code)
            last = role


def progress(entity: int = -1) -> np.ndarray[Any, Any]:
    """The place at which `advance` begins, with room for what it tells a plan's own function."""
    found = np.zeros(2 + CALL_WORDS, np.int64)
    found[0] = entity
    return found


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _describe(call, handle, keys, kinds, times, clocks, keep, admission, sequence, x, codes, read, write):
    """Lay down the arguments of a plan's own function."""
    call[CALL_HANDLE] = address_of(handle)
    call[CALL_N] = keys.shape[0]
    call[CALL_KEYS] = address_of(keys)
    call[CALL_KINDS] = address_of(kinds)
    call[CALL_TIMES] = address_of(times)
    call[CALL_CLOCKS] = address_of(clocks)
    call[CALL_KEEP] = address_of(keep)
    call[CALL_ADMISSION] = address_of(admission)
    call[CALL_SEQUENCE] = sequence
    call[CALL_X] = address_of(x)
    call[CALL_WIDTH] = x.shape[1]
    call[CALL_CODES] = address_of(codes)
    call[CALL_TEXTS] = codes.shape[1]
    call[CALL_READ] = read
    call[CALL_WRITE] = write


@njit(_nrt=False, error_model="numpy")
def advance(
    handles,
    progress,
    keyed,
    keys,
    kinds,
    times,
    arrived,
    max_ahead,
    stride,
    clocks,
    keep,
    paces,
    admission,
    x,
    codes,
    sequence,
    read,
    write,
):
    """Run events through every entity, in arrival order.

    progress: `progress()`: entity and row to go on from; both are moved, and the call returns False where the arrays of
    an entity must be enlarged first. keys: room for the keys of one entity after another, int64 (n, most roles); with
    `keyed`, those of the only entity, and keep and paces are given too.
    """
    n = kinds.shape[0]
    if progress[0] < 0:
        progress[0] = 0
        if not keyed:
            pace(times, arrived, max_ahead, stride, clocks, keep, paces, write)
    while progress[0] < handles.shape[0]:
        handle = handles[progress[0]]
        P, S = plan_at(handle), state_at(handle)
        roles = P.keys[P.keys.shape[0] - 1, 0] + 1
        of_entity = keys.reshape(-1)[: n * roles].reshape(n, roles)
        if not keyed and progress[1] == 0:
            read_keys(P.keys, x, codes, of_entity)
        if handle[RUN] == 0:
            row = apply(P, S, progress[1], of_entity, kinds, times, paces, keep, admission, sequence, x, codes, read, write)
        else:
            call = progress[2:]
            _describe(call, handle, of_entity, kinds, times, paces, keep, admission, sequence, x, codes, read, write)
            row = call_run(handle[RUN], address_of(call), progress[1]) - 1
            if row < 0:
                raise RuntimeError("a function that was compiled from a plan failed")
            if row == n and write and n > 0 and kinds[n - 1] != P.sizes.labels_kind:
                sweep(P, S, paces[n - 1], n // SWEEP + 1)
        if row < n:
            progress[1] = row
            return False
        progress[0] += 1
        progress[1] = 0
    return True


@njit(_nrt=False, error_model="numpy")
def label(handle, key, role, nth, time, sequence, kind, x, i, change):
    """A label of an event of one entity became known, or was taken back: see `labels.apply_label`."""
    apply_label(plan_at(handle), state_at(handle), key, role, nth, time, sequence, kind, x, i, change)
