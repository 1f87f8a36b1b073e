"""Asking the processor for memory before it is needed.

State is read at random places, one key after another: without asking ahead, every event would wait for its key's
place, then for its row, then for its ring. A request is only a hint; no answer depends on it.
"""

from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def _prefetch(_context: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte_pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte_pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        address = builder.bitcast(builder.gep(view.data, [arguments[1]]), byte_pointer)
        builder.call(function, [address, number(0), number(3), number(1)])  # for reading, near, data
        return context.get_dummy_value()

    return types.void(array, index), generate


if nb.config.DISABLE_JIT:

    def ask_for(_array: Any, _index: Any) -> None:
        """Request the cache line that holds array[index] of a contiguous one-dimensional array: a hint, no access."""

else:
    ask_for = _prefetch
