"""A cache of Spark's state in a worker process, so that the next micro-batch need not read it again."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
_MOST = 1024


class StateCache(Generic[T]):
    """The latest state of a process, by key; callers compare its version with Spark's state."""

    def __init__(self, most: int = _MOST) -> None:
        self._held: OrderedDict[Hashable, T] = OrderedDict()
        self._most = most

    def take(self, key: Hashable) -> T | None:
        """Remove and return the last value of this key, so that a failure leaves no half-changed value."""
        return self._held.pop(key, None)

    def put(self, key: Hashable, value: T) -> None:
        """Store a value, and drop the oldest ones beyond the limit."""
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
