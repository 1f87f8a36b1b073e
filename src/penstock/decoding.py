"""Types that several threads decode into.

msgspec prepares a Struct when it is first decoded into, and shows it to other threads before the Structs within it are ready:
two threads that are the first at the same time end the process with a segmentation fault (seen with 0.22, in a worker with two
shards). A type is therefore prepared here, by one thread at a time, before it is used.
"""

import threading
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_MOST_TYPES = 4_096

_lock = threading.RLock()  # preparing a type may import a module, which prepares others


def prepared(kind: T) -> T:
    """The same type, ready for any thread: `msgspec.json.decode(body, type=prepared(Order))`.

    >>> msgspec.convert([1, 2], prepared(list[int]))
    [1, 2]
    """
    _prepare(kind)
    return kind


@lru_cache(_MOST_TYPES)
def _prepare(kind: Any) -> None:
    with _lock:
        msgspec.json.Decoder(kind)
