"""Memory and functions by their addresses: how the table-driven kernel and a plan's own function call each other.

A compiled function of the plan is loaded from an object file, so the kernel knows nothing of it but where it lies. Both sides
pass whole numbers only, and make arrays from addresses again. As plain Python (NUMBA_DISABLE_JIT=1) an address is a number that
`address_of_function` has given out.
"""

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

_PLAIN: list[Callable[..., int]] = []
"""The functions that have an address as plain Python: the first is 1."""


def _line_maker(item: Any, item_bytes: int) -> Any:
    """An intrinsic (address, length) -> the one-dimensional array at that address; the caller keeps it alive."""

    @intrinsic
    def line(_context: Any, _address: Any, _length: Any) -> Any:
        array_type = types.Array(item, 1, "C")

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            array = make_array(array_type)(context, builder)
            size = ir.Constant(ir.IntType(64), item_bytes)
            pointer = builder.inttoptr(arguments[0], array.data.type)
            populate_array(array, pointer, [arguments[1]], [size], size, meminfo=None)
            return array._getvalue()

        return array_type(types.int64, types.int64), generate

    return line


def _plain_line_maker(kind: Any) -> Any:
    def line(address: int, length: int) -> np.ndarray[Any, Any]:
        if length == 0:
            return np.empty(0, np.dtype(kind))
        return np.frombuffer((kind * int(length)).from_address(int(address)), np.dtype(kind))

    return line


@intrinsic
def _array_at(_context: Any, handle: Any, place: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        first = builder.gep(data, [arguments[1]])
        address, *lengths = (builder.load(builder.gep(first, [ir.Constant(ir.IntType(64), word)])) for word in range(4))
        array = make_array(signature.return_type)(context, builder)
        length = builder.mul(builder.mul(lengths[0], lengths[1]), lengths[2])
        size = ir.Constant(ir.IntType(64), 8)
        pointer = builder.inttoptr(address, array.data.type)
        populate_array(array, pointer, [length], [size], size, meminfo=None)
        return array._getvalue()

    return types.Array(types.int64, 1, "C")(handle, place), generate


@intrinsic
def _address_of(_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), generate


def _caller(count: int) -> Any:
    """An intrinsic (address, numbers...) -> what the C function there answers; all are whole numbers of 64 bits."""
    number = ir.IntType(64)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(number, [number] * count)
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    @intrinsic
    def call_two(_context: Any, _address: Any, _a: Any, _b: Any) -> Any:
        return types.int64(*[types.int64] * 3), generate

    @intrinsic
    def call_five(_context: Any, _address: Any, _a: Any, _b: Any, _c: Any, _d: Any, _e: Any) -> Any:
        return types.int64(*[types.int64] * 6), generate

    return {2: call_two, 5: call_five}[count]


def _plain_call(address: int, *numbers: int) -> int:
    return int(_PLAIN[int(address) - 1](*numbers))


if nb.config.DISABLE_JIT:
    words, numbers, flags = (_plain_line_maker(kind) for kind in (ctypes.c_int64, ctypes.c_double, ctypes.c_uint8))
    call_run = call_rare = _plain_call

    def array_at(handle: Any, place: int) -> Any:
        """The array of whole numbers that four words of a handle describe, flat; see `handles`."""
        return words(handle[place], math.prod(int(length) for length in handle[place + 1 : place + 4]))

    def address_of(array: np.ndarray[Any, Any]) -> int:
        """Where a contiguous array lies."""
        return int(array.ctypes.data)

else:
    words, numbers, flags = _line_maker(types.int64, 8), _line_maker(types.float64, 8), _line_maker(types.uint8, 1)
    array_at, address_of = _array_at, _address_of
    call_run, call_rare = _caller(2), _caller(5)


def address_of_function(function: Callable[..., int]) -> int:
    """The address of a function as plain Python; it is never released."""
    _PLAIN.append(function)
    return len(_PLAIN)
