"""Waiting for a condition: it ends as soon as the condition holds, and goes on for as long as a busy machine may need."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

WITHIN_S = 240.0  # a process that starts where nothing is compiled yet takes minutes

T = TypeVar("T")


def wait_until(condition: Callable[[], T], within_s: float = WITHIN_S, every_s: float = 0.02) -> T:
    """Wait until a condition holds, and return its value."""
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, _failure(condition, found, within_s)
        time.sleep(every_s)
    return found


async def wait_until_async(condition: Callable[[], T | Awaitable[T]], within_s: float = WITHIN_S, every_s: float = 0.02) -> T:
    """The same inside an event loop; the condition may be a coroutine function."""
    end = time.monotonic() + within_s
    while not (found := await _value(condition)):
        assert time.monotonic() < end, _failure(condition, found, within_s)
        await asyncio.sleep(every_s)
    return found


async def _value(condition: Callable[[], Any]) -> Any:
    found = condition()
    return await found if inspect.isawaitable(found) else found


def _failure(condition: Callable[[], Any], found: object, within_s: float) -> str:
    """What was waited for: the source of the condition and its last value."""
    try:
        source = inspect.getsource(condition).strip()  # type: ignore[arg-type]
    except (OSError, TypeError):
        source = repr(condition)
    return f"not within {within_s:g} s, the last value was {found!r}: {source}"
