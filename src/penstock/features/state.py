"""The feature state of all entities of a detector, updated by batches and labels in one order."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US
from penstock.codes import text_code
from penstock.compilation import say_mismatch
from penstock.errors import MalformedEvent
from penstock.features.kernel.words import ALL_KEYS, KNOWN_KEYS, NO_KEYS, REFUSED
from penstock.features.link_plan import EntityLinks, EntityRingPlan
from penstock.features.plan import EntityPlan
from penstock.messages import Batch, Column, Layout, Type

if TYPE_CHECKING:
    from penstock.features.state_copy import StateCopy
    from penstock.features.table import Table

STRIDE_US = 86_400 * SECOND_US

NEW_KEYS_SHARE = 0.8
"""The share of the memory budget that new keys may fill; the rest is reserved for known keys."""
_FEWEST = 32
"""Minimum number of events admitted together, so that a nearly full state is not checked at every event."""
_LOOKS = 64
"""Maximum number of searches for idle keys while the memory budget is used up, per time after which a key is idle."""


class Closed(NamedTuple):
    """Which events of a batch had to stay out of state because the memory budget was used up.

    row: the first of them; `NO_ROW` if absent. level: `KNOWN_KEYS`, only known keys stored them, or `NO_KEYS`, no key did.
    """

    row: int
    level: int


NO_ROW = 1 << 62
OPEN = Closed(NO_ROW, ALL_KEYS)
"""All events entered state."""


class FeatureState:
    """Every entity's table, and two clocks.

    clock_us: the newest event time so far; an event stamped ahead of its arrival counts at its arrival. pace_us: the newest
    admitted event time, which advances at most a day per event. It determines which keys are idle, so that one event far ahead
    of the others does not remove all keys.
    memory_limit: bytes that all entities together may use; None for no limit. refused: per entity, the events that it kept out
    since the start. plans: one per entity; links: of entities with linked keys. remembered: text columns that features return,
    with the columns of these features.
    """

    def __init__(
        self,
        plans: Sequence[EntityPlan],
        layout: Layout,
        *,
        links: Sequence[EntityLinks | EntityRingPlan] = (),
        remembered: Mapping[str, Sequence[Column]],
        max_ahead_us: int,
        memory_limit: int | None = None,
    ) -> None:
        from penstock.features.compiled import background
        from penstock.features.kernel import handles
        from penstock.features.link_table import LinkTable
        from penstock.features.ring_table import RingTable
        from penstock.features.table import Table

        say_mismatch()
        self._kernel = handles
        self.tables = [Table(plan) for plan in plans]
        self.links = [LinkTable(plan) if isinstance(plan, EntityLinks) else RingTable(plan) for plan in links]
        self._stores: list[Table | LinkTable | RingTable] = [*self.tables, *self.links]
        self.memory_limit = memory_limit
        self.refused = 0
        self._reclaimed_us: int | None = None
        self.layout = layout
        self.remembered = remembered
        self.max_ahead_us = max_ahead_us
        self.outputs: list[Column] = [column for columns in remembered.values() for column in columns]
        self._clocks = np.zeros(2, np.int64)
        self._roles = max((len(plan.keys) for plan in plans), default=1)
        self._words: dict[int, str] = {}
        self._word_codes: list[int] = []
        self._copy: StateCopy | None = None
        self._handles = np.empty((len(plans), handles.HANDLE), np.int64)
        for table, handle in zip(self.tables, self._handles, strict=True):
            handle[:] = table.handle
            table.handle = handle  # one array, shared with the tables, which change it
        background.offer(self)

    @property
    def clock_us(self) -> int:
        """The newest event time so far; an event stamped ahead of its arrival counts at its arrival."""
        return int(self._clocks[0])

    @property
    def pace_us(self) -> int:
        """The clock by which idle keys are forgotten."""
        return int(self._clocks[1])

    # ---- the memory budget

    def room(self, events: int, batch: Batch, row: int) -> tuple[int, int]:
        """How many of the next `events`, from this row of a batch on, can be stored before the next call, and to what level:
        `ALL_KEYS`, `KNOWN_KEYS` or `NO_KEYS`. If room runs out, idle keys are forgotten first.
        """
        if self.memory_limit is None:
            return events, ALL_KEYS
        fits = self._fits(events)
        if not fits and self._reclaim(self._pace_at(int(batch.time_us[row]), int(batch.arrived_us[row]))):
            fits = self._fits(events)
        if fits:
            return fits, ALL_KEYS
        return events, KNOWN_KEYS if self.used_bytes < self.memory_limit else NO_KEYS

    @property
    def full(self) -> str | None:
        """Why new keys are refused now; None if they are accepted."""
        limit, used = self.memory_limit, self.used_bytes
        if limit is None or self._fits(1):
            return None
        whom = "events of new keys are not" if used < limit else "no event is"
        return (
            f"the features of all keys use {used / 2**20:,.1f} MiB of memory_limit_gb, {limit / 2**20:,.1f} MiB, so {whom} let "
            "into state and the policy's on_failure decides them; it ends by itself as windows pass, or raise memory_limit_gb"
        )

    def _fits(self, events: int) -> int:
        """How many of these events can be stored if all have new keys; 0 if hardly any."""
        assert self.memory_limit is not None
        free = NEW_KEYS_SHARE * self.memory_limit - self.used_bytes
        least, fits = min(events, _FEWEST), events
        while fits >= least and sum(each.growth(fits) for each in self._stores) > free:
            fits //= 2
        return fits if fits >= least else 0

    def _pace_at(self, time_us: int, arrived_us: int) -> int:
        """The pace clock at an event that comes next."""
        pace_us = self.pace_us
        if time_us - arrived_us > self.max_ahead_us:
            return pace_us
        return max(pace_us, min(time_us, pace_us + STRIDE_US)) if pace_us else time_us

    def _reclaim(self, pace_us: int) -> bool:
        """Remove idle keys and release their memory; not again before other keys can have become idle, nor during a copy."""
        if self._copy is not None:
            return False
        idle = [*(table.plan.plan.sizes.horizon for table in self.tables), *(links.idle_us for links in self.links)]
        idle_us = min(idle, default=0)
        if self._reclaimed_us is not None and pace_us < self._reclaimed_us + idle_us // _LOOKS:
            return False
        self._reclaimed_us = pace_us
        for table in self.tables:
            table.reclaim(pace_us)
        for links in self.links:
            links.reclaim(self.clock_us)
        return True

    # ---- events and labels

    def apply(
        self,
        batch: Batch,
        first_sequence: int,
        *,
        read: bool = True,
        write: bool = True,
        moves: bool = True,
        closed: Closed = OPEN,
    ) -> NDArray[np.bool_]:
        """Fill the batch's aggregate columns, and add its events to the state unless `write` is off.

        Returns which events were kept out because the memory budget is used up: those from `closed.row` on whose keys may not
        enter. Events stamped further ahead of their arrival than `max_ahead` are kept out, too.
        moves: whether they move the stream's clocks.
        """
        copy = self._copy
        if copy is None:
            return self._apply(batch, first_sequence, read=read, write=write, moves=moves, closed=closed)
        with copy.lock:
            if write and moves:
                copy.goes_on_at(first_sequence)
            copy.before(lambda number: self._codes(number, batch), batch)
            return self._apply(batch, first_sequence, read=read, write=write, moves=moves, closed=closed)

    def _apply(
        self, batch: Batch, first_sequence: int, *, read: bool, write: bool, moves: bool, closed: Closed
    ) -> NDArray[np.bool_]:
        n, clocks, clock_us = len(batch), self._clocks if moves else self._clocks.copy(), self.clock_us
        keep, paces, admission = np.empty(n, np.bool_), np.empty(n, np.int64), np.zeros(n, np.uint8)
        if closed.level:
            admission[closed.row :] = closed.level
        keys, progress = np.empty((n, self._roles), np.int64), self._kernel.progress()
        while not self._kernel.advance(
            self._handles,
            progress,
            False,
            keys,
            _writable(batch.kinds),
            _writable(batch.time_us),
            _writable(batch.arrived_us),
            self.max_ahead_us,
            STRIDE_US,
            clocks,
            keep,
            paces,
            admission,
            batch.x,
            batch.codes,
            first_sequence,
            read,
            write,
        ):
            self.tables[progress[0]].enlarge()
        for links in self.links:
            links.apply(batch, clock_us, keep, admission, moves=moves and write, read=read, write=write)
        self.learn_words(batch)
        self.fill_words(batch)
        if not closed.level:
            return np.zeros(n, np.bool_)
        refused: NDArray[np.bool_] = admission & REFUSED != 0
        self.refused += int(np.count_nonzero(refused))
        return refused

    def label(self, batch: Batch, row: int, sequence: int, change: int) -> None:
        """A fraud label of one event became known (+1) or was taken back (-1)."""
        copy = self._copy
        if copy is None:
            self._label(batch, row, sequence, change)
            return
        with copy.lock:
            copy.before(lambda number: self._codes(number, batch, slice(row, row + 1)))
            self._label(batch, row, sequence, change)

    def _label(self, batch: Batch, row: int, sequence: int, change: int) -> None:
        for table in self.tables:
            if not table.plan.labelled:
                continue
            keys = key_codes(table.plan, batch, slice(row, row + 1))[0].tolist()
            table.label(keys, int(batch.time_us[row]), sequence, int(batch.kinds[row]), batch.x, row, change)
        for links in self.links:
            links.label(batch, row, change)

    def _codes(self, number: int, batch: Batch, rows: slice = slice(None)) -> NDArray[np.int64]:
        """The codes of the state that these events may change, for the store of a copy: of the tables, then of the links."""
        if number < len(self.tables):
            return key_codes(self.tables[number].plan, batch, rows)
        return self.links[number - len(self.tables)].codes_of(batch, rows)

    def fill_words(self, batch: Batch) -> None:
        """Fill the values of features that return texts, from their codes."""
        for column in self.outputs:
            batch.texts[column.name] = [self._words.get(code) for code in batch.codes[:, column.index].tolist()]

    def learn_words(self, batch: Batch) -> None:
        """Store the texts of the codes that features return."""
        if not self.remembered:
            return
        known = len(self._words)
        for name in self.remembered:
            self._words.update(zip(batch.codes[:, self.layout[name].index].tolist(), batch.texts[name], strict=True))  # type: ignore[arg-type]  # null has code 0
        self._words.pop(0, None)
        self._word_codes += [*islice(reversed(self._words), len(self._words) - known)][::-1]

    # ---- looking at one key

    def key_of(self, table: "Table", values: Sequence[str | float]) -> int:
        """The code under which a table holds the key made of these values, one per key field.

        Raises:
            MalformedEvent: a value cannot be a key of this entity.
        """
        columns = table.plan.keys[0]
        if len(values) != len(columns):
            names = ", ".join(column.name for column in columns)
            raise MalformedEvent(f"a key of {table.plan.entity.name} is made of {names}; got {len(values)} values")
        batch = one_row(self.layout)
        for column, value in zip(columns, values, strict=True):
            if column.type is Type.TEXT:
                batch.codes[0, column.index] = text_code(str(value))
            else:
                batch.x[0, column.index] = _number(value, column.name)
        return int(key_codes(table.plan, batch)[0, 0])

    def look(self, table: "Table", key: int) -> Batch:
        """The features of a key as of the stream's clock, without an event: a batch of one row."""
        batch = one_row(self.layout)
        batch.time_us = batch.arrived_us = np.array([self.clock_us], np.int64)
        keys = np.full((1, len(table.plan.keys)), key, np.int64)
        copy = self._copy
        if copy is None:
            table.look(keys, batch.time_us, batch.x, batch.codes)
        else:
            with copy.lock:
                looked_at = self.tables.index(table)
                copy.before(lambda number: keys if number == looked_at else self._codes(number, batch, slice(0)))
                table.look(keys, batch.time_us, batch.x, batch.codes)
        for links in self.links:
            if links.is_of(table.plan.entity):
                links.look(key, batch)
        for column in self.outputs:
            batch.texts[column.name] = [self._words.get(int(batch.codes[0, column.index]))]
        return batch

    # ---- snapshots

    def copy(self) -> "StateCopy":
        """Start a copy of the present state, for `load`. Only one runs at a time: an unfinished one is completed first.

        Iterate over it to make the copy; see `StateCopy`.
        """
        from penstock.features.link_table import LinkCopy, LinkTable
        from penstock.features.ring_table import RingCopy
        from penstock.features.state_copy import StateCopy
        from penstock.features.table_copy import TableCopy

        self._complete_copy()
        copies: list[TableCopy | LinkCopy | RingCopy] = [*map(TableCopy, self.tables)]
        copies += [LinkCopy(links, self.clock_us) if isinstance(links, LinkTable) else RingCopy(links) for links in self.links]
        self._copy = StateCopy(copies, self._words, self._word_codes, self._copied)
        return self._copy

    def _copied(self) -> None:
        self._copy = None

    def _complete_copy(self) -> None:
        """Complete an unfinished copy at once."""
        copy = self._copy
        if copy is not None:
            with copy.lock:
                copy.finish()

    def load(self, arrays: Mapping[str, NDArray[Any]], words: Mapping[int, str], clock_us: int, pace_us: int) -> None:
        """Restore the state that was copied. words: texts of the codes that features return, which the arrays do not hold."""
        from penstock.features.state_copy import words_of

        self._complete_copy()
        arrays = dict(arrays)
        words = {**words, **words_of(arrays)}
        for i, table in enumerate(self._stores):
            prefix = f"{i}."
            table.load({name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)})
        self._words, self._word_codes = words, list(words)
        self._clocks[:] = clock_us, pace_us

    def digest(self) -> str:
        """A hash of the state's meaning: equal states have equal digests."""
        self._complete_copy()
        digests = [*(table.digest(self.pace_us) for table in self.tables), *(each.digest(self.clock_us) for each in self.links)]
        return "-".join(digest[:16] for digest in digests)

    @property
    def used_bytes(self) -> int:
        """Bytes in use over all entities."""
        return sum(each.used_bytes for each in self._stores)


def key_codes(plan: EntityPlan, batch: Batch, rows: slice = slice(None)) -> NDArray[np.int64]:
    """The key of every event, or of some rows, in every role, int64 (n, roles); 0 where any field of it is null."""
    from penstock.features.kernel.handles import read_keys

    x, codes = batch.x[rows], batch.codes[rows]
    keys = np.empty((len(x), len(plan.keys)), np.int64)
    read_keys(plan.plan.keys, x, codes, keys)
    return keys


def one_row(layout: Layout) -> Batch:
    """A batch of one event in which every column is null."""
    one = np.zeros(1, np.int64)
    x = np.full((1, layout.width), np.nan)
    return Batch([""], np.zeros(1, np.uint8), one, one, x, np.zeros((1, layout.text_width), np.int64), {})


def _number(value: str | float, name: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise MalformedEvent(f"{value!r} is not a number, but {name} holds numbers", name) from None


def _writable(column: NDArray[Any]) -> NDArray[Any]:
    """The column; a copy if it is read-only, which numba would treat as another type and compile all kernels again."""
    return column if column.flags.writeable else column.copy()
