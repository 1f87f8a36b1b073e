"""A copy of a table as of one moment, taken in short steps while the table goes on changing.

The keys that are about to change are copied first (`before`), the others step by step; so the copy holds every key as it was at
the moment, and nobody waits for more than one step. Rows that are made meanwhile take new slots, and no key is swept.
"""

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel import words as k
from penstock.features.kernel.copying import VALUE_WIDTH, copy_keys, copy_values, copy_values_of, slots_of
from penstock.features.kernel.hash_tables import PLACES

if TYPE_CHECKING:
    from penstock.features.table import Table
    from penstock.messages import Batch

_KEYS = 1024
"""Keys of a step: a fraction of a millisecond."""
_ENTRIES = 1 << 15
"""Ring entries that are copied into one array; a key with more has a separate one."""
_BLOCKS = 2
"""Blocks of distinct values of a step."""
_ALL_SLOTS = np.empty(0, np.int64)


class TableCopy:
    """The arrays that `Table.load` takes, one after another in `taken`; complete when `step` returns False.

    before_seq: events from this sequence number on come after the moment; none yet.
    """

    def __init__(self, table: "Table") -> None:
        self._table, self.before_seq = table, 1 << 62
        self.taken: deque[tuple[str, NDArray[np.int64]]] = deque()
        plan, meta = table.plan.plan, table.state.meta
        self._slot, self._stop = 0, int(meta[k.SLOTS])
        self._copied = np.zeros(self._stop, np.bool_)
        self._ever = bool(len(plan.distincts) and plan.distincts[:, k.D_EVER].any())
        self._code = 0 if self._ever or plan.sizes.recalls else -1
        self._chunks, self._values, self._earlier = 0, 0, 0
        self.taken.append(("meta", meta.copy()))
        self._free_slot, meta[k.FREE_SLOT], meta[k.PAUSED] = int(meta[k.FREE_SLOT]), -1, 1
        self._begin_chunk()

    def before(self, keys: NDArray[np.int64], batch: "Batch | None" = None) -> None:
        """Copy these keys, (n, roles), unless they are; batch: the events that change them."""
        slots = np.empty(keys.size, np.int64)
        slots_of(self._table.handle, keys.reshape(-1), slots)
        self._copy_keys(slots, 0, len(slots))
        if batch is None or not self._ever:
            return
        roles, row = keys.shape[1], 0
        while row < len(keys):
            values = np.empty((max(PLACES, roles * len(self._table.plan.plan.distincts)), VALUE_WIDTH), np.int64)
            row, used = copy_values_of(self._table.handle, slots, roles, batch.x, batch.codes, row, values)
            if used:
                self.taken.append((f"before.{self._earlier}", values[:used]))
                self._earlier += 1

    def step(self) -> bool:
        """Copy some more; False where that was all."""
        if self._slot < self._stop:
            stop = min(self._slot + _KEYS, self._stop)
            self._copy_keys(_ALL_SLOTS, self._slot, stop)
            self._slot = stop
            return True
        if self._code >= 0:
            values = np.empty((_BLOCKS * PLACES, VALUE_WIDTH), np.int64)
            self._code, used = copy_values(self._table.handle, self._code, _BLOCKS, self.before_seq, values)
            if used:
                self.taken.append((f"values.{self._values}", values[:used]))
                self._values += 1
            return True
        self._end_chunk()
        self.end()
        return False

    def end(self) -> None:
        """Let the table go on as before, whether the copy is complete or not."""
        state = self._table.state
        state.meta[k.PAUSED] = 0
        if state.meta[k.FREE_SLOT] < 0:
            state.meta[k.FREE_SLOT] = self._free_slot
        elif self._free_slot >= 0:  # the slots that came free meanwhile go before those that were free then
            last = int(state.meta[k.FREE_SLOT])
            while state.rows[last, k.NEWEST] >= 0:
                last = int(state.rows[last, k.NEWEST])
            state.rows[last, k.NEWEST] = self._free_slot
        self._free_slot = -1

    def _copy_keys(self, slots: NDArray[np.int64], at: int, stop: int) -> None:
        handle, copied = self._table.handle, self._copied
        while (at := copy_keys(handle, slots, at, stop, copied, self._rows, self._entries, self._used)) < stop:
            if self._used[0]:
                self._end_chunk()
                self._begin_chunk()
            else:  # one key with a ring larger than all room
                row = self._table.state.rows[slots[at] if len(slots) else at]
                self._begin_chunk(int(row[k.END] - row[k.FIRST]) + 1)

    def _begin_chunk(self, entries: int = 0) -> None:
        state = self._table.state
        entries = entries or min(_ENTRIES, int(state.meta[k.RING_TOP]))
        self._rows = np.empty((min(_KEYS, max(self._stop, 1)), state.rows.shape[1]), np.int64)
        self._entries = np.empty((entries + 1, state.ring.shape[1]), np.int64)
        self._entries[0] = 0  # a ring that begins at 0 is none
        self._used = np.array([0, 1])

    def _end_chunk(self) -> None:
        keys, entries = self._used.tolist()
        if keys:
            self.taken.append((f"rows.{self._chunks}", self._rows[:keys]))
            self.taken.append((f"entries.{self._chunks}", self._entries[:entries]))
            self._chunks += 1
