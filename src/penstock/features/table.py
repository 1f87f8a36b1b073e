"""The feature state of one entity: the kernel's arrays, enlarged before they are full, saved, loaded and compared."""

import hashlib
import os
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.features.kernel import words as k
from penstock.features.kernel.aggregates.frequencies import empty_tally
from penstock.features.kernel.copying import VALUE_WIDTH, bring_keys, bring_values, copy_values, room_for_ring, settle_values
from penstock.features.kernel.events import settle, sweep
from penstock.features.kernel.handles import RARE, RUN, advance, handle_of, label, progress
from penstock.features.kernel.hash_tables import FULL, PLACES, STRIDE, can_split, values_at_once
from penstock.features.kernel.rare import address_of_rare
from penstock.features.kernel.writing import clear_row
from penstock.features.memory import roomy, zeros
from penstock.features.plan import EntityPlan
from penstock.features.table_copy import TableCopy

_SIZE_CLASSES = 48
_WORTH_COMPACTING = 0.875
"""A table is compacted if its keys need at most this share of its memory."""
_NO_SLOT = 1 << 31
"""The slot of the row that stands for unknown keys: it owns no distinct value."""


class Table:
    """One entity's keys, rows and rings.

    handle: the addresses of the arrays, for `kernel.handles.advance`.
    """

    def __init__(self, plan: EntityPlan) -> None:
        self.plan = plan
        self.state = _empty(plan.plan, len(plan.keys), slots=1 << 10, entries=1 << 13)
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
        """Evaluate a key's features at a time without an event; changes nothing."""
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
        """Use the compiled function of the plan at this address, or the table-driven kernel (0); see `features.compiled`.

        Call it between two batches, from any thread: both leave the same state.
        """
        if run:
            self.handle[RARE] = address_of_rare()
        self.handle[RUN] = run

    @property
    def is_compiled(self) -> bool:
        """Whether the compiled function of the plan is in use."""
        return bool(self.handle[RUN])

    def _lay_handle(self) -> None:
        self.handle[:RUN] = handle_of(self.plan.plan, self.state)[:RUN]  # the rest may change at this moment: see `use`

    # ---- room

    def growth(self, events: int) -> int:
        """The maximum number of bytes that this many events of new keys add."""
        state, meta, keys = self.state, self.state.meta, events * len(self.plan.keys)
        entry = (state.ring.shape[1] + state.blocks.shape[0] / 15) * 8
        bytes_ = keys * (state.rows.shape[1] * 8 + entry * (1 << k.SMALLEST_RING_LOG2))
        bytes_ += _added(meta, k.KEY_SHIFT, k.KEY_TOP, int(meta[k.TABLE_USED]) + keys) * state.table.shape[1] * 8
        fields = len(self.plan.plan.distincts)
        distincts = int(meta[k.DISTINCT_USED]) + keys * fields + values_at_once(len(self.plan.keys), fields)
        return int(bytes_ + _added(meta, k.VALUE_SHIFT, k.VALUE_TOP, distincts) * state.distinct.shape[1] * 8)

    def reclaim(self, clock_us: int) -> None:
        """Remove the keys that are idle at this pace clock, and release their memory if it is much."""
        sweep(self.plan.plan, self.state, np.int64(clock_us), int(self.state.meta[k.SLOTS]))
        rows = self.state.rows[: self.state.meta[k.SLOTS]]
        held = np.flatnonzero(rows[:, k.KEY] != 0)
        rings = np.where(rows[held, k.RING] != k.NO_RING, np.int64(1) << rows[held, k.LOG2], 0)
        hashed = 16 * _lines_for(len(held)) + 24 * _lines_for(int(self.state.meta[k.DISTINCT_USED]))
        if self._bytes(len(held), int(rings.sum()), hashed) < _WORTH_COMPACTING * self.used_bytes:
            self._compact(held[np.argsort(-rings, kind="stable")], rings)

    def _compact(self, order: NDArray[np.int64], rings: NDArray[np.int64]) -> None:
        """Compact the table to the keys in these slots. rings: the lengths of their rings."""
        old, values = self.state, [np.empty((0, VALUE_WIDTH), np.int64)]
        code, block = 0, np.empty((PLACES, VALUE_WIDTH), np.int64)
        while code >= 0:
            code, used = copy_values(self.handle, code, 1, 1 << 62, block)
            values.append(block[:used].copy())
        self._begin(len(order), int(rings.sum()) + 8 * int(max(rings.max(initial=0), 16)), old.meta)
        self._bring(order, old.rows, old.ring, packed=False)
        self._bring_values(np.concatenate(values))

    def enlarge(self) -> None:
        """Enlarge every array without room for one more event. Large arrays reserve address space for their maximum size."""
        state, meta, roles = self.state, self.state.meta, len(self.plan.keys)
        values = values_at_once(roles, len(self.plan.plan.distincts))
        self._enlarge_tables(roles, values, min(values, int(meta[k.VALUE_TOP]) // STRIDE))
        if meta[k.SLOTS] + roles > state.rows.shape[0]:
            self.state = self.state._replace(rows=_enlarged(state.rows, 2 * state.rows.shape[0], int(meta[k.SLOTS])))
        if meta[k.RING_TOP] + roles * 4 * meta[k.LARGEST] > state.ring.shape[0]:
            self._grow_rings(2 * state.ring.shape[0])
        self._lay_handle()

    def _enlarge_tables(self, keys: int, values: int, blocks: int) -> None:
        """Make room in the hash tables for so many keys, and values that split so many blocks; directories are copied."""
        state, meta = self.state, self.state.meta
        for table, directory, used, shift, top, entries, more in (
            ("table", "key_directory", k.TABLE_USED, k.KEY_SHIFT, k.KEY_TOP, keys, keys),
            ("distinct", "value_directory", k.DISTINCT_USED, k.VALUE_SHIFT, k.VALUE_TOP, values, blocks),
        ):
            lines, places = getattr(state, table), getattr(state, directory)
            wanted = max(4 << (63 - int(meta[shift])), 8 * (int(meta[top]) // STRIDE + more))
            if len(places) < wanted:
                self.state = self.state._replace(**{directory: np.resize(places, wanted)})
            if not can_split(len(lines), wanted, meta, used, shift, top, entries, more):
                length = int(meta[top]) + (more + 2) * STRIDE
                self.state = self.state._replace(**{table: _enlarged(lines, 2 * length, int(meta[top]))})

    def _grow_rings(self, entries: int) -> None:
        old = self.state
        top = int(old.meta[k.RING_TOP])
        ring = _enlarged(old.ring, entries, top)
        levels = _levels(len(ring))
        blocks = zeros(len(old.blocks), int(levels[-1]) if len(old.blocks) else 0)
        for level in range(1, len(old.levels) - 1):
            size = -(-top >> (k.FANOUT_LOG2 * level))  # rounded up
            if len(old.blocks):
                blocks[:, levels[level] : levels[level] + size] = old.blocks[:, old.levels[level] : old.levels[level] + size]
        self.state = old._replace(ring=ring, blocks=blocks, levels=levels)

    # ---- figures

    @property
    def keys(self) -> int:
        """How many keys are held."""
        return int(self.state.meta[k.TABLE_USED])

    @property
    def used_bytes(self) -> int:
        """Bytes of rows, rings, block summaries and hash places in use."""
        meta = self.state.meta
        return self._bytes(int(meta[k.SLOTS]), int(meta[k.RING_TOP]), 16 * int(meta[k.KEY_TOP]) + 24 * int(meta[k.VALUE_TOP]))

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
        copy = TableCopy(self)
        while copy.step():
            pass
        return dict(copy.taken)

    def load(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Restore the table that `arrays` copied; also reads the kernel's arrays that versions before 0.2 saved."""
        if "rows" in arrays:
            self._load_own(arrays)
            return
        chunks = list(zip(_numbered(arrays, "rows"), _numbered(arrays, "entries"), strict=True))
        entries = sum(int(np.sum(_ring_lengths(rows))) for rows, _ in chunks)
        largest = max((int(_ring_lengths(rows).max(initial=0)) for rows, _ in chunks), default=0)
        self._begin(sum(len(rows) for rows, _ in chunks), 2 * entries + 8 * max(largest, 16), arrays["meta"])
        for rows, ring in chunks:
            self._bring(np.arange(len(rows)), rows, ring, packed=True)
        none, before = np.empty((0, VALUE_WIDTH), np.int64), reversed(_numbered(arrays, "before"))
        self._bring_values(np.concatenate([none, *_numbered(arrays, "values"), *(each[::-1] for each in before)]))

    def _load_own(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Load the kernel arrays of a version before 0.2."""
        rows, distinct, fields = arrays["rows"], arrays["distinct"], len(self.plan.plan.distincts)
        held = np.flatnonzero(rows[:, k.KEY] != 0)
        largest = int(_ring_lengths(rows[held]).max(initial=0))
        self._begin(len(held), int(arrays["meta"][k.RING_TOP]) + 8 * max(largest, 16), arrays["meta"])
        self._bring(held, rows, arrays["ring"], packed=False)
        owner = np.maximum(distinct[:, 0] - 1, 0)
        kept_out, field = distinct[:, 0] < 0, owner % max(fields, 1)
        values = np.column_stack((rows[owner // max(fields, 1), k.KEY], field, distinct[:, 1:]))
        values[kept_out, 0], values[kept_out, 1] = distinct[kept_out, 0], -1
        ever = self.plan.plan.distincts[field, k.D_EVER] != 0 if fields else np.zeros(len(field), np.bool_)
        self._bring_values(np.ascontiguousarray(values[kept_out | ever]))

    def _begin(self, slots: int, entries: int, meta: NDArray[np.int64]) -> None:
        """Reset to an empty table with room for so many rows and ring entries. meta: counts to continue from."""
        salt = self.state.meta[k.SALT]
        self.state = _empty(self.plan.plan, len(self.plan.keys), slots=slots + 8, entries=entries)
        self.state.meta[k.SALT] = salt
        self.state.meta[k.LATE : k.FORGOTTEN + 1] = meta[k.LATE : k.FORGOTTEN + 1]
        self._lay_handle()

    def _bring(self, order: NDArray[np.int64], rows: NDArray[np.int64], ring: NDArray[np.int64], *, packed: bool) -> None:
        """Add rows of another table: see `kernel.copying.bring_keys`."""
        at = 0
        while (at := bring_keys(self.plan.plan, self.state, order, at, rows, ring, packed)) < len(order):
            row = rows[order[at]]
            size = int(row[k.END] - row[k.FIRST]) if row[k.RING] != k.NO_RING else 0
            self._enlarge_tables(1, *room_for_ring(len(self.plan.plan.distincts), size))
        self._lay_handle()

    def _bring_values(self, values: NDArray[np.int64]) -> None:
        at = 0
        while (at := bring_values(self.plan.plan, self.state, values, at)) < len(values):
            self._enlarge_tables(1, *room_for_ring(len(self.plan.plan.distincts), 0))
        settle_values(self.plan.plan, self.state)
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
        distinct = state.distinct[: state.meta[k.VALUE_TOP]]
        kept_out = distinct[distinct[:, 0] < 0, :2]
        digest.update(kept_out[np.lexsort(kept_out.T)].tobytes())
        return digest.hexdigest()


def _power_of_two(n: int) -> int:
    return 1 << max(n - 1, 1).bit_length()


def _added(meta: NDArray[np.int64], shift: int, top: int, used: int) -> int:
    """Lines by which a hash table grows until it holds this many entries: its blocks are split at about the same time."""
    blocks, split = int(meta[top]) // STRIDE, 1 << (63 - int(meta[shift]))
    while used > 0.9 * FULL * split:
        split *= 2
    return max(split - blocks, 0) * STRIDE


def _numbered(arrays: Mapping[str, NDArray[np.int64]], name: str) -> list[NDArray[np.int64]]:
    """The arrays of one kind in the order in which they were taken."""
    return [arrays[f"{name}.{n}"] for n in range(sum(each.startswith(f"{name}.") for each in arrays))]


def _lines_for(entries: int) -> int:
    """Lines of a hash table that holds so many entries."""
    return STRIDE if entries < FULL else _power_of_two(-(-entries // int(0.9 * FULL))) * STRIDE


def _ring_lengths(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many entries the ring of each row has room for."""
    return np.where(rows[:, k.RING] != k.NO_RING, np.int64(1) << rows[:, k.LOG2], 0)


def _levels(entries: int) -> NDArray[np.int64]:
    """The start of each level of block summaries in a flat array; the last number is its length."""
    starts, at, level = [0, 0], 0, 1
    while entries >> (k.FANOUT_LOG2 * level):
        at += entries >> (k.FANOUT_LOG2 * level)
        starts.append(at)
        level += 1
    return np.array(starts, np.int64)


def _enlarged(array: NDArray[np.int64], length: int, used: int) -> NDArray[np.int64]:
    larger = roomy(length, array.shape[1])
    larger[:used] = array[:used]
    return larger


def _empty(plan: k.Plan, roles: int, *, slots: int, entries: int) -> k.State:
    meta = np.zeros(k.META, np.int64)
    meta[k.FREE_SLOT] = -1
    meta[k.RING_TOP] = k.ARENA_START
    meta[k.LARGEST] = 16
    meta[k.AT_HAND] = 1 << 16  # half a megabyte
    meta[[k.KEY_SHIFT, k.VALUE_SHIFT]] = 63
    meta[[k.KEY_TOP, k.VALUE_TOP]] = STRIDE
    ring = roomy(_power_of_two(max(entries, 1 << 13)), plan.sizes.ring_width)
    levels = _levels(len(ring))
    extremes = plan.extremes.shape[0]
    blank = np.zeros(plan.sizes.row_width, np.int64)
    clear_row(plan, blank, np.int64(0), np.int64(_NO_SLOT))
    return k.State(
        meta=meta,
        free=np.full(_SIZE_CLASSES, -1, np.int64),
        table=zeros(STRIDE, 2),
        rows=roomy(_power_of_two(slots), plan.sizes.row_width),
        ring=ring,
        blocks=zeros(extremes, int(levels[-1]) if extremes else 0),
        levels=levels,
        distinct=zeros(STRIDE, 3),
        scratch=np.zeros((k.SCRATCH, _longest(plan, roles)), np.int64),
        blank=blank,
        spans=np.zeros((len(plan.spans), k.SPAN_WORDS, k.BLOCK), np.int64),
        key_directory=np.zeros(8, np.int64),
        value_directory=np.zeros(8, np.int64),
        tally=empty_tally(int(plan.features[plan.features[:, k.F_OP] >= k.MODE, k.F_MOST].max(initial=0))),
    )


def _longest(plan: k.Plan, roles: int) -> int:
    """The width of a line of scratch memory."""
    tables = (plan.channels, plan.items, plan.distincts, plan.labels)
    return max(k.AHEAD_SLOTS * roles, 2 * k.BLOCK * roles, *(len(table) for table in tables))
