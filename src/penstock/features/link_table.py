"""The links of one entity in memory: the kernel's arrays, enlarged before they are full, saved, loaded and compared.

The state is a graph of two sides: keys, and the values that they were seen with. It offers what `Table` offers to the feature
state.
"""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel import link_words as k
from penstock.features.kernel.hash_tables import STRIDE, can_split
from penstock.features.kernel.link_copying import (
    HEAD,
    bring_nodes,
    codes_touched,
    copy_nodes,
    most_words,
    room_for,
    slots_of_nodes,
    tie_nodes,
)
from penstock.features.kernel.link_writing import sweep_links
from penstock.features.kernel.links import apply_links, tell_links
from penstock.features.kernel.words import (
    FORGOTTEN,
    FREE_SLOT,
    KEY_SHIFT,
    KEY_TOP,
    LARGEST,
    LATE,
    OVERFLOWED,
    PAUSED,
    RING_TOP,
    SALT,
    SLOTS,
    TABLE_USED,
    TOO_LATE,
)
from penstock.features.link_plan import EntityLinks
from penstock.features.linked_keys import LinkedKeys
from penstock.features.memory import enlarged, roomy
from penstock.messages import Batch

_LOG2S = 64
_COPIED_NODES = 512
"""Nodes of a step of a copy: a fraction of a millisecond."""
_RECORD_WORDS = 1 << 16
_NEW_NODE_WORDS = 2 * k.NODE + 3 * (1 << k.SMALLEST_LOG2)
"""What a new node takes at most with its hash place, its first entries and a ring."""


class LinkTable(LinkedKeys[EntityLinks]):
    """The links of one entity's keys."""

    def __init__(self, plan: EntityLinks) -> None:
        super().__init__(plan)
        self.state = self._empty()
        self._linked = np.zeros(len(plan.plan.links), np.bool_)

    def _empty(self) -> k.LinkState:
        meta = np.zeros(k.LINK_META, np.int64)
        meta[FREE_SLOT], meta[RING_TOP], meta[LARGEST] = -1, k.POOL_START, k.SMALLEST_LOG2
        meta[KEY_SHIFT], meta[KEY_TOP] = 63, STRIDE
        meta[SALT] = int.from_bytes(os.urandom(7), "little")  # keys chosen by an attacker must not collide
        return k.LinkState(
            meta=meta,
            free=np.zeros(_LOG2S, np.int64),
            table=np.zeros((STRIDE, 2), np.int64),
            key_directory=np.zeros(8, np.int64),
            nodes=roomy(1 << 10, k.NODE),
            pool=roomy(1 << 10, k.NODE).reshape(-1),
            found=np.zeros(1 + len(self.plan.plan.answers), np.int64),
        )

    # ---- events and labels

    def _apply(
        self,
        batch: Batch,
        codes: NDArray[np.int64],
        clock_us: int,
        keep: NDArray[np.bool_],
        admission: NDArray[np.uint8],
        moves: bool,
        read: bool,
        write: bool,
    ) -> None:
        row, clock = 0, np.int64(clock_us)
        while True:
            row = apply_links(
                self.plan.plan,
                self.state,
                row,
                codes,
                batch.kinds,
                batch.time_us,
                batch.arrived_us,
                clock,
                moves,
                keep,
                admission,
                batch.x,
                self._linked,
                read,
                write,
            )
            if row == len(batch):
                return
            self._enlarge()

    def label(self, batch: Batch, row: int, change: int) -> None:
        """An event is known to be fraud (+1), or is no longer (-1)."""
        code = self.codes_of(batch, slice(row, row + 1))[0, 0]
        if self.plan.labelled and code:
            while not tell_links(self.plan.plan, self.state, code, batch.time_us[row], change):
                self._enlarge()

    # ---- room

    def growth(self, events: int) -> int:
        """The maximum number of bytes that this many events of new keys and values add."""
        return 8 * events * (1 + 2 * len(self.plan.plan.links)) * _NEW_NODE_WORDS

    def reclaim(self, clock_us: int) -> None:
        """Forget what no question reaches at this clock."""
        sweep_links(self.plan.plan, self.state, np.int64(clock_us), int(self.state.meta[SLOTS]))

    @property
    def idle_us(self) -> int:
        """The time after which what is not seen again is forgotten, at the earliest."""
        return int(self.plan.plan.lateness + self.plan.plan.links[:, k.K_WINDOW].min())

    def _enlarge(self, words: int = 0) -> None:
        """Make room for one more event, or for a record of so many words."""
        state, meta, plan = self.state, self.state.meta, self.plan.plan
        nodes = 2 * len(plan.links) + 1
        if meta[SLOTS] + nodes > len(state.nodes):
            self.state = self.state._replace(nodes=enlarged(state.nodes, len(state.nodes) + nodes, int(meta[SLOTS])))
        need = max(4 * len(plan.links) << int(max(meta[LARGEST] + 1, k.SMALLEST_LOG2)), room_for(words))
        if meta[RING_TOP] + need > len(state.pool):
            pool = enlarged(state.pool.reshape(-1, k.NODE), (len(state.pool) + need) // k.NODE, int(meta[RING_TOP]) // k.NODE)
            self.state = self.state._replace(pool=pool.reshape(-1))
        wanted = max(4 << (63 - int(meta[KEY_SHIFT])), 8 * (int(meta[KEY_TOP]) // STRIDE + nodes))
        if len(state.key_directory) < wanted:
            self.state = self.state._replace(key_directory=np.resize(state.key_directory, wanted))
        if not can_split(len(state.table), wanted, meta, TABLE_USED, KEY_SHIFT, KEY_TOP, nodes, nodes):
            length = int(meta[KEY_TOP]) + (nodes + 2) * STRIDE
            self.state = self.state._replace(table=enlarged(state.table, length, int(meta[KEY_TOP])))

    # ---- figures

    @property
    def used_bytes(self) -> int:
        """Bytes of nodes, entries, rings and hash places in use."""
        meta = self.state.meta
        nodes, words = meta[SLOTS] - meta[k.FREE_SLOTS], meta[RING_TOP] - meta[k.FREE_WORDS]
        return int(8 * (nodes * k.NODE + words) + 16 * meta[KEY_TOP])

    def counts(self) -> dict[str, int]:
        """Figures since the state was made: nodes held, late and too late links, overflowed sums, nodes forgotten."""
        meta = self.state.meta
        names = {"late": LATE, "too_late": TOO_LATE, "overflowed": OVERFLOWED, "forgotten": FORGOTTEN}
        return {"nodes": int(meta[TABLE_USED]), **{name: int(meta[word]) for name, word in names.items()}}

    # ---- snapshots

    def load(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Become the links that the arrays of a `LinkCopy` were taken from."""
        old = self.state.meta
        self.state = self._empty()
        self.state.meta[SALT] = old[SALT]
        self.state.meta[[LATE, TOO_LATE, OVERFLOWED, FORGOTTEN]] = arrays["meta"][[LATE, TOO_LATE, OVERFLOWED, FORGOTTEN]]
        for n in range(sum(name.startswith("nodes.") for name in arrays)):
            records, at = arrays[f"nodes.{n}"], 0
            while (at := bring_nodes(self.plan.plan, self.state, records, at)) < len(records):
                self._enlarge(len(records) - at)
        tie_nodes(self.state)

    def digest(self, clock_us: int) -> str:
        """A hash of what is held at this clock, independent of its arrangement in memory: equal states have equal digests."""
        copy, digest = LinkCopy(self, clock_us), hashlib.sha256()
        while copy.step():
            pass
        for record in sorted(_records(self.plan.plan, copy)):
            digest.update(record)
        return digest.hexdigest()


class LinkCopy:
    """The arrays that `LinkTable.load` takes, one after another in `taken`, as of one moment: see `table_copy.TableCopy`."""

    def __init__(self, table: LinkTable, clock_us: int) -> None:
        self._table, self._clock, self.before_seq = table, np.int64(clock_us), 1 << 62
        self.taken: deque[tuple[str, NDArray[np.int64]]] = deque()
        meta = table.state.meta
        self._slot, self._stop, self._chunks = 0, int(meta[SLOTS]), 0
        self._copied = np.zeros(self._stop, np.bool_)
        self.taken.append(("meta", meta.copy()))
        self._free_slot, meta[FREE_SLOT], meta[PAUSED] = int(meta[FREE_SLOT]), -1, 1
        self._begin()

    def before(self, codes: NDArray[np.int64], _batch: Batch | None = None) -> None:
        """Copy the nodes that events with these codes may change, unless they are."""
        plan = self._table.plan.plan
        touched = np.empty((len(codes), 1 + 2 * len(plan.links)), np.int64)
        codes_touched(plan.links, codes, touched)
        slots = np.empty(touched.size, np.int64)
        slots_of_nodes(self._table.state, touched.reshape(-1), slots)
        self._copy(slots, 0, len(slots))

    def step(self) -> bool:
        """Copy some more; False where that was all."""
        if self._slot < self._stop:
            stop = min(self._slot + _COPIED_NODES, self._stop)
            self._copy(np.empty(0, np.int64), self._slot, stop)
            self._slot = stop
            return True
        self._end_chunk()
        self.end()
        return False

    def end(self) -> None:
        """Let the links go on as before, whether the copy is complete or not."""
        meta, nodes = self._table.state.meta, self._table.state.nodes
        meta[PAUSED] = 0
        last = int(meta[FREE_SLOT])
        while last >= 0 and nodes[last, k.BLOCK] >= 0:
            last = int(nodes[last, k.BLOCK])
        if last >= 0:
            nodes[last, k.BLOCK] = self._free_slot
        else:
            meta[FREE_SLOT] = self._free_slot
        self._free_slot = -1

    def _copy(self, slots: NDArray[np.int64], at: int, stop: int) -> None:
        plan, state = self._table.plan.plan, self._table.state
        while (at := copy_nodes(plan, state, slots, at, stop, self._copied, self._clock, self._records, self._used)) < stop:
            self._end_chunk()
            self._begin(int(most_words(plan, state, slots[at] if len(slots) else at)))

    def _begin(self, words: int = 0) -> None:
        self._records, self._used = np.empty(max(words, _RECORD_WORDS), np.int64), np.zeros(1, np.int64)

    def _end_chunk(self) -> None:
        if self._used[0]:
            self.taken.append((f"nodes.{self._chunks}", self._records[: self._used[0]]))
            self._chunks += 1


def _records(plan: k.LinkPlan, copy: LinkCopy) -> Iterator[bytes]:
    """The records of a copy with their entries in order."""
    for name, flat in copy.taken:
        at = 0
        while name != "meta" and at < len(flat):
            head, at, entries = flat[at : at + HEAD], at + HEAD, []
            for _ in range(int(head[4])):
                size = 1 if head[1] == k.PERSON else 2
                if head[1] != k.PERSON and head[1] & 1 != k.KEY_SIDE:
                    size = 4 + int(flat[at + 3] * plan.links[(head[1] - 1) >> 1, k.K_WIDTH])
                entries.append(flat[at : at + size].tobytes())
                at += size
            yield head.tobytes() + b"".join(sorted(entries))
