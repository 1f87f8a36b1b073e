"""`njit` as every kernel uses it: numba is imported, and a kernel loaded or compiled, when a kernel first runs.

A command that only reads a detector runs none, and starts without numba.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["njit"]


class Kernel:
    """A function that numba gets when it is first called, by Python or by another kernel; numba's own then takes its place."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._function = function
        self._options = options

    def __call__(self, *args: Any) -> Any:
        return self._dispatcher(*args)

    def __getattr__(self, name: str) -> Any:
        if name == "_dispatcher":  # of two threads that make one, both get the first
            numba = import_module("penstock.kept_code").numba  # what it compiles is kept
            made = numba.njit(**self._options)(self._function)
            names, its = self._function.__globals__, self._function.__name__
            found = self.__dict__.setdefault(name, made)
            if names.get(its) is self:
                names[its] = found
            return found
        return getattr(self._dispatcher, name)  # numba asks for `_numba_type_` where a kernel calls this one


def _njit(function: Callable[..., Any] | None = None, *, cache: bool = True, **options: Any) -> Any:
    if function is None:
        return lambda function: Kernel(function, {"cache": cache, **options})
    return Kernel(function, {"cache": cache, **options})


if TYPE_CHECKING:
    from numba import njit
else:
    njit = _njit
