"""The feature state of one entity: the kernel's arrays, enlarged before they are full, saved, loaded and compared."""

import hashlib
import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel import words as k
from penstock.features.kernel.compaction import compact
from penstock.features.kernel.events import settle, sweep
from penstock.features.kernel.handles import RARE, RUN, advance, handle_of, label, progress
from penstock.features.kernel.hash_tables import place_distinct, place_distincts, place_keys
from penstock.features.kernel.rare import address_of_rare
from penstock.features.kernel.writing import clear_row
from penstock.features.plan import EntityPlan

_SIZE_CLASSES = 48
_WORTH_COMPACTING = 0.875
"""A table is moved together where its keys need no more than this share of its memory."""
_NO_SLOT = 1 << 31
"""The slot of the row that stands for unknown keys: it owns no distinct value."""


class Table:
    """One entity's keys, rows and rings.

    handle: where everything lies, for `kernel.handles.advance`.
    """

    def __init__(self, plan: EntityPlan) -> None:
        self.plan = plan
        self.state = _empty(plan.plan, len(plan.keys), slots=1 << 10, entries=1 << 13, distincts=1 << 10)
        self.state.meta[k.SALT] = int.from_bytes(os.urandom(7), "little")  # keys chosen by an attacker must not collide
        self.handle = handle_of(plan.plan, self.state)

    def apply(
        self,
        keys: NDArray[np.int64],
        kinds: NDArray[np.uint8],
        times: NDArray[np.int64],
        clocks: NDArray[np.int64],
        keep: NDArray[np.bool_],
        first_sequence: int,
        x: NDArray[np.float64],
        codes: NDArray[np.int64],
        *,
        read: bool = True,
        write: bool = True,
    ) -> None:
        """Run events with given keys, int64 (n, roles), through this entity alone; see `kernel.events.apply`."""
        stands, place = np.zeros(2, np.int64), progress(0)
        while not advance(
            self.handle[None, :],
            place,
            True,
            keys,
            kinds,
            times,
            times,
            0,
            0,
            stands,
            keep,
            clocks,
            np.zeros(len(times), np.uint8),
            x,
            codes,
            first_sequence,
            read,
            write,
        ):
            self.enlarge()

    def look(self, keys: NDArray[np.int64], times: NDArray[np.int64], x: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
        """Evaluate a key's features as of a time at which no event happens; nothing is changed."""
        nothing = np.full(1, k.NO_EVENT, np.uint8)
        self.apply(keys, nothing, times, times, np.zeros(1, np.bool_), 0, x, codes, write=False)

    def label(
        self, keys: Sequence[int], time_us: int, sequence: int, kind: int, x: NDArray[np.float64], row: int, change: int
    ) -> None:
        """A label of an event became known (+1) or was taken back (-1); keys by role: see `kernel.labels.apply_label`."""
        for role, key in enumerate(keys):
            if key:
                nth = keys[:role].count(key)
                time, seq = np.int64(time_us), np.int64(sequence)
                label(self.handle, np.int64(key), role, nth, time, seq, kind, x, row, change)

    def use(self, run: int) -> None:
        """Go on with the plan's own function at this address, or with the table-driven kernel (0); see `features.compiled`.

        Between two batches, from any thread: both leave the same state.
        """
        if run:
            self.handle[RARE] = address_of_rare()
        self.handle[RUN] = run

    @property
    def is_compiled(self) -> bool:
        """Whether the plan's own function is in use."""
        return bool(self.handle[RUN])

    def _lay_handle(self) -> None:
        self.handle[:RUN] = handle_of(self.plan.plan, self.state)[:RUN]  # the rest may change at this moment: see `use`

    # ---- room

    def growth(self, events: int) -> int:
        """The maximum number of bytes that this many events of new keys add."""
        state, meta, keys = self.state, self.state.meta, events * len(self.plan.keys)
        entry = (state.ring.shape[1] + state.blocks.shape[0] / 15) * 8
        grown = keys * (state.rows.shape[1] * 8 + entry * (1 << k.SMALLEST_RING_LOG2))
        grown += _added(state.table, int(meta[k.TABLE_USED]) + keys)
        distincts = int(meta[k.DISTINCT_USED]) + keys * len(self.plan.plan.distincts) + self._values_at_once
        return int(grown + _added(state.distinct, distincts))

    @property
    def _values_at_once(self) -> int:
        """For how many distinct values an event asks for room; see `kernel.events`."""
        return len(self.plan.keys) * (k.VALUES_AT_ONCE * len(self.plan.plan.distincts) + 1)

    def reclaim(self, clock_us: int) -> None:
        """Forget the keys that are idle at this pace clock, and release their memory if it is much."""
        sweep(self.plan.plan, self.state, np.int64(clock_us), int(self.state.meta[k.SLOTS]))
        rows = self.state.rows[: self.state.meta[k.SLOTS]]
        held = np.flatnonzero(rows[:, k.KEY] != 0)
        rings = np.where(rows[held, k.RING] != k.NO_RING, np.int64(1) << rows[held, k.LOG2], 0)
        slots, distincts = _power_of_two(len(held) + 8), _power_of_two(2 * int(self.state.meta[k.DISTINCT_USED]) + 64)
        hashed = 2 * slots * 2 * 8 + distincts * 3 * 8
        if self._bytes(len(held), int(rings.sum()), hashed) < _WORTH_COMPACTING * self.used_bytes:
            entries = _power_of_two(int(rings.sum()) + 8 * int(max(rings.max(initial=0), 16)))
            state = _empty(self.plan.plan, len(self.plan.keys), slots=slots, entries=entries, distincts=distincts)
            order = held[np.argsort(-rings, kind="stable")]
            compact(self.plan.plan, self.state, state, order, np.empty(max(len(rows), 1), np.int64))
            self.state = state
            self._lay_handle()

    def enlarge(self) -> None:
        """Double whichever array lacks room for one more event."""
        state, meta, roles = self.state, self.state.meta, len(self.plan.keys)
        if (meta[k.TABLE_USED] + roles) * 2 > state.table.shape[0]:
            self.state = self.state._replace(table=self._rehash_keys(2 * state.table.shape[0]))
        if (meta[k.DISTINCT_USED] + self._values_at_once) * 2 > state.distinct.shape[0]:
            self.state = self.state._replace(distinct=self._rehash_distinct(2 * state.distinct.shape[0]))
        if meta[k.SLOTS] + roles > state.rows.shape[0]:
            self.state = self.state._replace(rows=_grown(state.rows, 2 * state.rows.shape[0], int(meta[k.SLOTS])))
        if meta[k.RING_TOP] + roles * 4 * meta[k.LARGEST] > state.ring.shape[0]:
            self._grow_rings(2 * state.ring.shape[0])
        self._lay_handle()

    def _rehash_keys(self, capacity: int) -> NDArray[np.int64]:
        table = np.zeros((capacity, 2), np.int64)
        place_keys(self.state, table)
        return table

    def _rehash_distinct(self, capacity: int) -> NDArray[np.int64]:
        table = np.zeros((capacity, 3), np.int64)
        place_distincts(self.state, table)
        return table

    def _grow_rings(self, entries: int) -> None:
        old = self.state
        top = int(old.meta[k.RING_TOP])
        levels = _levels(entries)
        blocks = np.zeros((old.blocks.shape[0], int(levels[-1]) if len(old.blocks) else 0), np.int64)
        for level in range(1, len(old.levels) - 1):
            size = -(-top >> (k.FANOUT_LOG2 * level))
            if len(old.blocks):
                blocks[:, levels[level] : levels[level] + size] = old.blocks[:, old.levels[level] : old.levels[level] + size]
        self.state = old._replace(ring=_grown(old.ring, entries, top), blocks=blocks, levels=levels)

    # ---- figures

    @property
    def keys(self) -> int:
        """How many keys are held."""
        return int(self.state.meta[k.TABLE_USED])

    @property
    def allocated_bytes(self) -> int:
        """Address space of the arrays; pages are committed as they are first used."""
        return sum(int(array.nbytes) for array in self.state)

    @property
    def used_bytes(self) -> int:
        """Bytes of rows, rings, block summaries and hash places in use."""
        state, meta = self.state, self.state.meta
        return self._bytes(int(meta[k.SLOTS]), int(meta[k.RING_TOP]), state.table.nbytes + state.distinct.nbytes)

    def _bytes(self, slots: int, entries: int, hashed: int) -> int:
        state = self.state
        return int(entries * (state.ring.shape[1] + state.blocks.shape[0] / 15) * 8 + slots * state.rows.shape[1] * 8 + hashed)

    def counts(self) -> dict[str, int]:
        """Figures since the state was made: keys held, late and too late events, overflowed sums, keys forgotten."""
        names = {"late": k.LATE, "too_late": k.TOO_LATE, "overflowed": k.OVERFLOWED, "forgotten": k.FORGOTTEN}
        return {"keys": self.keys, **{name: int(self.state.meta[word]) for name, word in names.items()}}

    # ---- snapshots

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Copies of everything that is in use; `load` makes an equal table of them."""
        state, meta = self.state, self.state.meta
        top = int(meta[k.RING_TOP])
        used = {"meta": meta, "free": state.free, "rows": state.rows[: meta[k.SLOTS]], "ring": state.ring[:top]}
        used["distinct"] = state.distinct[state.distinct[:, 0] != 0]
        for level in range(1, len(state.levels) - 1):
            size = -(-top >> (k.FANOUT_LOG2 * level))  # rounded up
            used[f"blocks_{level}"] = state.blocks[:, state.levels[level] : state.levels[level] + size]
        return {name: array.copy() for name, array in used.items()}

    def load(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Become the table that `arrays` was taken from."""
        meta = arrays["meta"]
        entries = _power_of_two(max(int(meta[k.RING_TOP]) + 8 * int(meta[k.LARGEST]), 1 << 13))
        slots = _power_of_two(int(meta[k.SLOTS]) + 8)
        state = _empty(
            self.plan.plan,
            len(self.plan.keys),
            slots=slots,
            entries=entries,
            distincts=_power_of_two(4 * len(arrays["distinct"]) + 64),
        )
        state.meta[:] = meta
        state.free[:] = arrays["free"]
        state.rows[: meta[k.SLOTS]] = arrays["rows"]
        state.ring[: meta[k.RING_TOP]] = arrays["ring"]
        for level in range(1, len(state.levels) - 1):
            saved = arrays.get(f"blocks_{level}")
            if saved is not None:
                state.blocks[:, state.levels[level] : state.levels[level] + saved.shape[1]] = saved
        place_keys(state, state.table)
        for owner, code, position in arrays["distinct"]:
            place_distinct(state.distinct, meta[k.SALT], owner, code, position)
        self.state = state
        self._lay_handle()

    def digest(self, clock_us: int) -> str:
        """A hash of the state's meaning, independent of its arrangement in memory: equal states have equal digests.

        clock_us: the pace clock, by which idle keys are forgotten.
        """
        state, digest = self.state, hashlib.sha256()
        sweep(self.plan.plan, state, np.int64(clock_us), int(state.meta[k.SLOTS]))  # idle keys: forgotten or about to be
        settle(self.plan.plan, state)
        sizes = self.plan.plan.sizes
        rows = state.rows[: state.meta[k.SLOTS]]
        for slot in np.argsort(rows[:, k.KEY], kind="stable"):
            row = rows[slot]
            if row[k.KEY] == 0:
                continue
            digest.update(row[[k.KEY, k.FIRST, k.END, k.NEWEST, k.TOUCHED, k.BASE]].tobytes())
            digest.update(row[sizes.totals :].tobytes())
            positions = np.arange(row[k.FIRST], row[k.END])
            if len(positions):
                digest.update(state.ring[row[k.RING] + (positions & ((1 << int(row[k.LOG2])) - 1))].tobytes())
        kept_out = state.distinct[state.distinct[:, 0] < 0, :2]
        digest.update(kept_out[np.lexsort(kept_out.T)].tobytes())
        return digest.hexdigest()


def _power_of_two(n: int) -> int:
    return 1 << max(n - 1, 1).bit_length()


def _added(table: NDArray[np.int64], used: int) -> int:
    """Bytes by which a hash table grows until this many entries are half of it."""
    grown = table.nbytes
    while used * 2 * table.itemsize * table.shape[1] > grown:
        grown *= 2
    return grown - table.nbytes


def _levels(entries: int) -> NDArray[np.int64]:
    """The start of each level of block summaries in a flat array; the last number is its length."""
    starts, at, level = [0, 0], 0, 1
    while entries >> (k.FANOUT_LOG2 * level):
        at += entries >> (k.FANOUT_LOG2 * level)
        starts.append(at)
        level += 1
    return np.array(starts, np.int64)


def _grown(array: NDArray[np.int64], length: int, used: int) -> NDArray[np.int64]:
    larger = np.zeros((length, array.shape[1]), np.int64)
    larger[:used] = array[:used]
    return larger


def _empty(plan: k.Plan, roles: int, *, slots: int, entries: int, distincts: int) -> k.State:
    meta = np.zeros(k.META, np.int64)
    meta[k.FREE_SLOT] = -1
    meta[k.RING_TOP] = k.ARENA_START
    meta[k.LARGEST] = 16
    meta[k.AT_HAND] = 1 << 16  # half a megabyte
    levels = _levels(entries)
    extremes = plan.extremes.shape[0]
    blank = np.zeros(plan.sizes.row_width, np.int64)
    clear_row(plan, blank, np.int64(0), np.int64(_NO_SLOT))
    return k.State(
        meta=meta,
        free=np.full(_SIZE_CLASSES, -1, np.int64),
        table=np.zeros((2 * _power_of_two(slots), 2), np.int64),
        rows=np.zeros((slots, plan.sizes.row_width), np.int64),
        ring=np.zeros((entries, plan.sizes.ring_width), np.int64),
        blocks=np.zeros((extremes, int(levels[-1]) if extremes else 0), np.int64),
        levels=levels,
        distinct=np.zeros((_power_of_two(distincts), 3), np.int64),
        scratch=np.zeros((k.SCRATCH, _longest(plan, roles)), np.int64),
        blank=blank,
        spans=np.zeros((len(plan.spans), k.SPAN_WORDS, k.BLOCK), np.int64),
    )


def _longest(plan: k.Plan, roles: int) -> int:
    """How wide a line of scratch must be."""
    tables = (plan.channels, plan.items, plan.distincts, plan.labels)
    return max(k.AHEAD_SLOTS * roles, 2 * k.BLOCK * roles, *(len(table) for table in tables))
