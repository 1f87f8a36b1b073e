"""The rings of one entity in memory: two epochs, of which the older answers, saved, loaded and compared.

It offers what `LinkTable` offers to the feature state.
"""

import hashlib
import os
from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel.components import words as k
from penstock.features.kernel.components.epochs import apply_rings, nodes_touched, place_nodes, tell_ring
from penstock.features.kernel.hash_tables import STRIDE, can_split
from penstock.features.kernel.words import KEY_SHIFT, KEY_TOP, SALT, SLOTS, TABLE_USED, TOO_LATE
from penstock.features.link_plan import EntityRingPlan
from penstock.features.linked_keys import LinkedKeys
from penstock.features.memory import enlarged, roomy
from penstock.messages import Batch

_NOT_BEGUN = -(1 << 62)
_COPIED_NODES = 4096
"""Nodes of a step of a copy: a fraction of a millisecond."""


class Epoch:
    """The components over what counts from an instant on."""

    def __init__(self, plan: EntityRingPlan, start_us: int = _NOT_BEGUN) -> None:
        self._plan = plan.plan
        links = len(self._plan.values)
        meta = np.zeros(k.RING_META, np.int64)
        meta[KEY_SHIFT], meta[KEY_TOP], meta[k.START] = 63, STRIDE, start_us
        meta[SALT] = int.from_bytes(os.urandom(7), "little")  # keys chosen by an attacker must not collide
        self.state = k.RingState(
            meta=meta,
            table=np.zeros((STRIDE, 2), np.int64),
            key_directory=np.zeros(8, np.int64),
            nodes=roomy(1 << 10, k.VALUES + links),
            gathered=np.zeros(k.G_VALUES + 2 * links + 1, np.int64),
        )

    @property
    def start_us(self) -> int:
        """When it begins."""
        return int(self.state.meta[k.START])

    @property
    def nodes(self) -> NDArray[np.int64]:
        """All nodes."""
        held: NDArray[np.int64] = self.state.nodes[: self.state.meta[SLOTS]]
        return held

    @property
    def used_bytes(self) -> int:
        """Bytes of nodes and hash places in use."""
        return int(self.nodes.nbytes + 16 * self.state.meta[KEY_TOP])

    def enlarge(self) -> None:
        """Make room for one more event, unless there is."""
        state, meta, more = self.state, self.state.meta, len(self._plan.values) + 2
        if meta[SLOTS] + more > len(state.nodes):
            self.state = state = state._replace(nodes=enlarged(state.nodes, len(state.nodes) + more, int(meta[SLOTS])))
        wanted = max(4 << (63 - int(meta[KEY_SHIFT])), 8 * (int(meta[KEY_TOP]) // STRIDE + more))
        if len(state.key_directory) < wanted:
            self.state = state = state._replace(key_directory=np.resize(state.key_directory, wanted))
        if not can_split(len(state.table), wanted, meta, TABLE_USED, KEY_SHIFT, KEY_TOP, more, more):
            length = int(meta[KEY_TOP]) + (more + 2) * STRIDE
            self.state = state._replace(table=enlarged(state.table, length, int(meta[KEY_TOP])))

    def load(self, count: int, records: NDArray[np.int64]) -> None:
        """Take in nodes, each after its slot, in any order."""
        width = self.state.nodes.shape[1]
        nodes, rows = roomy(count + (1 << 10), width), records.reshape(-1, 1 + width)
        nodes[rows[:, 0]] = rows[:, 1:]
        self.state.meta[SLOTS], self.state = count, self.state._replace(nodes=nodes)
        slot = 0
        while (slot := place_nodes(self.state, slot)) < count:
            self.enlarge()


class RingTable(LinkedKeys[EntityRingPlan]):
    """The rings of one entity's keys."""

    def __init__(self, plan: EntityRingPlan) -> None:
        super().__init__(plan)
        self.older, self.newer = Epoch(plan), Epoch(plan)

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
            row = apply_rings(
                self.plan.plan,
                self.older.state,
                self.newer.state,
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
                read,
                write,
            )
            if row == len(batch):
                return
            self._go_on(int(self.newer.state.meta[k.NOW]))

    def label(self, batch: Batch, row: int, change: int) -> None:
        """An event is known to be fraud (+1), or is no longer (-1)."""
        code = self.codes_of(batch, slice(row, row + 1))[0, 0]
        if self.plan.labelled and code:
            for epoch in (self.older, self.newer):
                while not tell_ring(self.plan.plan, epoch.state, code, batch.time_us[row], change):
                    epoch.enlarge()

    # ---- room

    def _go_on(self, now_us: int) -> None:
        """Begin the epoch of an instant unless it has, and make room for one more event in both."""
        window = self.plan.plan.window
        start, before = now_us // window * window, self.newer
        if before.start_us != start:
            self.older = before if before.start_us == start - window else Epoch(self.plan, start - window)
            self.newer = Epoch(self.plan, start)
            self.newer.state.meta[TOO_LATE] = before.state.meta[TOO_LATE]
        self.older.enlarge()
        self.newer.enlarge()

    def growth(self, events: int) -> int:
        """The maximum number of bytes that this many events of new keys and values add."""
        links = len(self.plan.plan.values)
        return 8 * events * 2 * (links + 1) * (k.VALUES + links + 4)

    def reclaim(self, _clock_us: int) -> None:
        """Nothing is forgotten but a whole epoch, when the next one begins."""

    @property
    def idle_us(self) -> int:
        """The time after which what is not seen again is forgotten, at the earliest."""
        return int(self.plan.plan.window)

    # ---- figures

    @property
    def used_bytes(self) -> int:
        """Bytes of nodes and hash places in use."""
        return self.older.used_bytes + self.newer.used_bytes

    def counts(self) -> dict[str, int]:
        """Figures: nodes held, and links that came too late since the state was made."""
        return {"nodes": len(self.older.nodes) + len(self.newer.nodes), "too_late": int(self.newer.state.meta[TOO_LATE])}

    # ---- snapshots

    def load(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Become the rings that the arrays of a `RingCopy` were taken from."""
        meta = arrays["meta"].tolist()
        self.older, self.newer = Epoch(self.plan, meta[0]), Epoch(self.plan, meta[1])
        self.newer.state.meta[TOO_LATE] = meta[4]
        for number, epoch in enumerate((self.older, self.newer)):
            parts = [array for name, array in arrays.items() if name.startswith(f"nodes.{number}.")]
            epoch.load(meta[2 + number], np.concatenate(parts) if parts else np.empty(0, np.int64))

    def digest(self, _clock_us: int) -> str:
        """A hash of what is held: equal states have equal digests."""
        digest = hashlib.sha256()
        for epoch in (self.older, self.newer):
            digest.update(f"{epoch.start_us}".encode())
            digest.update(epoch.nodes.tobytes())
        return digest.hexdigest()


class RingCopy:
    """The arrays that `RingTable.load` takes, one after another in `taken`, as of one moment: see `table_copy.TableCopy`.

    An epoch that ends meanwhile is not changed any more, so the copy goes on with it.
    """

    def __init__(self, table: RingTable) -> None:
        self._table, self.before_seq = table, 1 << 62
        self._epochs = (table.older, table.newer)
        self._copied = [np.zeros(len(epoch.nodes), np.bool_) for epoch in self._epochs]
        self._at, self._chunks = [0, 0], 0
        counts, late = [len(epoch.nodes) for epoch in self._epochs], int(table.newer.state.meta[TOO_LATE])
        meta = [*(epoch.start_us for epoch in self._epochs), *counts, late]
        self.taken: deque[tuple[str, NDArray[np.int64]]] = deque([("meta", np.array(meta, np.int64))])

    def before(self, codes: NDArray[np.int64], _batch: Batch | None = None) -> None:
        """Copy the nodes that events with these codes, or labels of theirs, may change, unless they are."""
        plan = self._table.plan.plan
        for number, epoch in enumerate(self._epochs):
            touched = np.empty(3 * len(codes) * (1 + len(plan.values)), np.int64)
            nodes_touched(plan, epoch.state, codes, touched)
            frauds = self._frauds(epoch, touched[:1]) if _batch is None and len(codes) == 1 else []
            self._copy(number, np.unique(np.concatenate((touched, np.array(frauds, np.int64)))))

    def _frauds(self, epoch: Epoch, slots: NDArray[np.int64]) -> list[int]:
        """The known frauds of a key."""
        found, slot = [], int(slots[0])
        fraud = int(epoch.nodes[slot, k.FRAUDS]) if slot >= 0 else -1
        while fraud >= 0:
            found.append(fraud)
            fraud = int(epoch.nodes[fraud, k.NEXT])
        return found

    def step(self) -> bool:
        """Copy some more; False where that was all."""
        for number, copied in enumerate(self._copied):
            at = self._at[number]
            if at < len(copied):
                self._at[number] = min(at + _COPIED_NODES, len(copied))
                self._copy(number, np.arange(at, self._at[number]))
                return True
        return False

    def end(self) -> None:
        """Nothing was held up."""

    def _copy(self, number: int, slots: NDArray[np.int64]) -> None:
        """Copy the nodes of some slots of an epoch that are not copied."""
        copied = self._copied[number]
        slots = slots[(slots >= 0) & (slots < len(copied))]
        slots = slots[~copied[slots]]
        if len(slots):
            copied[slots] = True
            records = np.column_stack((slots, self._epochs[number].nodes[slots]))
            self.taken.append((f"nodes.{number}.{self._chunks}", records.reshape(-1)))
            self._chunks += 1
