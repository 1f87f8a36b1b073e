"""A copy of feature state as of one moment, taken by another thread while the state goes on changing."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from penstock.features.link_table import LinkCopy
    from penstock.features.ring_table import RingCopy
    from penstock.features.table_copy import TableCopy
    from penstock.messages import Batch

_WORDS = 8192
"""Texts that are encoded together."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, str]]).decode


class StateCopy:
    """Gives the arrays that `FeatureState.load` takes; iterate over it in one thread, whichever it is.

    tables: the copies of everything that holds keys. words: the texts that are remembered, by their codes; codes: in the order
    in which they came. lock: held by all that reads or changes the state while this lasts; each step of the copy takes it for
    less than a millisecond. ended: called with the lock held when all is copied, or given up.
    """

    def __init__(
        self,
        tables: "Sequence[TableCopy | LinkCopy | RingCopy]",
        words: Mapping[int, str],
        codes: Sequence[int],
        ended: Callable[[], None],
    ) -> None:
        self.lock = threading.Lock()
        self._tables = tables
        self._words, self._codes, self._known = words, codes, len(codes)
        self._ended, self._running = ended, set(range(len(self._tables)))

    def goes_on_at(self, sequence: int) -> None:
        """Events from this sequence number on come after the moment; the lock is held."""
        for table in self._tables:
            table.before_seq = min(table.before_seq, sequence)

    def before(self, keys_of: "Callable[[int], NDArray[np.int64]]", batch: "Batch | None" = None) -> None:
        """The keys of every table, by its number, are about to change; the lock is held."""
        for number in self._running:
            self._tables[number].before(keys_of(number), batch)

    def __iter__(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for number, table in enumerate(self._tables):
            while number in self._running or table.taken:
                self._step(number)
                while table.taken:
                    name, array = table.taken.popleft()
                    yield f"{number}.{name}", array
        for n, at in enumerate(range(0, self._known, _WORDS)):
            codes = self._codes[at : min(at + _WORDS, self._known)]
            yield f"words.{n}", np.frombuffer(_encode([(code, self._words[code]) for code in codes]), np.uint8)

    def _step(self, number: int) -> None:
        with self.lock:
            if number in self._running and not self._tables[number].step():
                self._end(number)

    def _end(self, number: int) -> None:
        self._running.discard(number)
        if not self._running:
            self._ended()

    def finish(self) -> None:
        """Copy all the rest at once; the lock is held."""
        for number in sorted(self._running):
            while self._tables[number].step():
                pass
            self._end(number)

    def give_up(self) -> None:
        """Let the state go on as before, whatever is missing."""
        with self.lock:
            for number in sorted(self._running):
                self._tables[number].end()
                self._end(number)


def words_of(arrays: "dict[str, NDArray[Any]]") -> dict[int, str]:
    """The texts behind remembered codes, taken out of the arrays of a copy."""
    names = [name for name in arrays if name.startswith("words.")]
    return {code: text for name in names for code, text in _decode(arrays.pop(name).tobytes())}
