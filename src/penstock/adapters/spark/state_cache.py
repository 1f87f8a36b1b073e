"""A cache of Spark's state in a worker process, so that the next micro-batch need not read it again."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
_MOST = 1024


class StateCache(Generic[T]):
    """The latest of what a process held, by key; whoever asks compares versions with Spark's state."""

    def __init__(self, most: int = _MOST) -> None:
        self._held: OrderedDict[Hashable, T] = OrderedDict()
        self._most = most

    def take(self, key: Hashable) -> T | None:
        """What was put last under this key; it is no longer kept, so that nobody finds it half changed after a failure."""
        return self._held.pop(key, None)

    def put(self, key: Hashable, value: T) -> None:
        """Keep this, and forget what was put longest ago where there is too much."""
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
