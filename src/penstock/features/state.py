"""The state of all entities of a detector, moved forward by batches and labels in one order."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US
from penstock.codes import number_codes, text_code
from penstock.errors import MalformedEvent
from penstock.features.kernels import pace
from penstock.features.plan import EntityPlan
from penstock.features.table import Table
from penstock.messages import Batch, Column, Layout, Type

STRIDE_US = 86_400 * SECOND_US
_GOLDEN = np.int64(0x1E3779B97F4A7C15)


class FeatureState:
    """Every entity's table, and two clocks.

    clock_us: the newest event time let in so far. pace_us: the same, but moving no more than a day at each event: keys
    are forgotten by it, so that a lone event far ahead of the others does not make the stream forget everybody.
    plans: one per entity. remembered: text columns whose values come back as features, with those features' columns.
    """

    def __init__(
        self,
        plans: Sequence[EntityPlan],
        layout: Layout,
        *,
        remembered: Mapping[str, Sequence[Column]],
        max_ahead_us: int,
        memory_limit: int | None = None,
    ) -> None:
        self.tables = [Table(plan, memory_limit=memory_limit) for plan in plans]
        self.layout = layout
        self.remembered = remembered
        self.max_ahead_us = max_ahead_us
        self.clock_us = 0
        self.pace_us = 0
        self.outputs: list[Column] = [column for columns in remembered.values() for column in columns]
        self._words: dict[int, str] = {}

    def apply(self, batch: Batch, first_sequence: int, *, read: bool = True, write: bool = True) -> NDArray[np.bool_]:
        """Fill the batch's aggregate columns, and let its events into state unless `write` is off.

        Returns which events may enter state: those not stamped further ahead of their arrival than `max_ahead`.
        """
        keep = batch.time_us - batch.arrived_us <= self.max_ahead_us
        paces = np.full(len(batch), self.pace_us)
        if write and len(batch):
            pace(batch.time_us, keep, self.pace_us, STRIDE_US, paces)
            self.pace_us = int(paces[-1])
            self.clock_us = max(self.clock_us, int(batch.time_us.max(where=keep, initial=0)))
        self._learn_words(batch)
        for table in self.tables:
            keys = key_codes(table.plan.keys, batch)
            args = (keys, batch.kinds, batch.time_us, paces, keep, first_sequence, batch.x, batch.codes)
            table.apply(*args, read=read, write=write)
        for column in self.outputs:
            batch.texts[column.name] = [self._words.get(code) for code in batch.codes[:, column.index].tolist()]
        return keep

    def label(self, batch: Batch, row: int, sequence: int, change: int) -> None:
        """A fraud label of one event became known (+1) or was taken back (-1)."""
        for table in self.tables:
            if not table.plan.labelled:
                continue
            keys = key_codes(table.plan.keys, batch)[row].tolist()
            table.label(keys, int(batch.time_us[row]), sequence, int(batch.kinds[row]), batch.x, row, change)

    def _learn_words(self, batch: Batch) -> None:
        """Remember the texts behind the codes that features give back."""
        for name in self.remembered:
            self._words.update(zip(batch.codes[:, self.layout[name].index].tolist(), batch.texts[name], strict=True))  # type: ignore[arg-type]  # null has code 0
        self._words.pop(0, None)

    # ---- looking at one key

    def key_of(self, table: Table, values: Sequence[str | float]) -> int:
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
        return int(key_codes([columns], batch)[0, 0])

    def look(self, table: Table, key: int) -> Batch:
        """The features of a key as of the stream's clock, without an event: a batch of one row."""
        batch = one_row(self.layout)
        batch.time_us = batch.arrived_us = np.array([self.clock_us], np.int64)
        keys = np.full((1, len(table.plan.keys)), key, np.int64)
        table.look(keys, batch.time_us, batch.x, batch.codes)
        for column in self.outputs:
            batch.texts[column.name] = [self._words.get(int(batch.codes[0, column.index]))]
        return batch

    # ---- snapshots

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Copies of everything, by name: see `load`."""
        return {f"{i}.{name}": array for i, table in enumerate(self.tables) for name, array in table.arrays().items()}

    def words(self) -> dict[int, str]:
        """The texts behind remembered codes."""
        return dict(self._words)

    def load(self, arrays: Mapping[str, NDArray[np.int64]], words: Mapping[int, str], clock_us: int, pace_us: int) -> None:
        """Become the state that all this was taken from."""
        for i, table in enumerate(self.tables):
            prefix = f"{i}."
            table.load({name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)})
        for table in self.tables:
            table.clock_us = pace_us
        self._words = dict(words)
        self.clock_us = clock_us
        self.pace_us = pace_us

    def digest(self) -> str:
        """A hash of what the state means: equal states, equal digests."""
        return "-".join(table.digest()[:16] for table in self.tables)

    @property
    def used_bytes(self) -> int:
        """Bytes in use over all entities."""
        return sum(table.used_bytes for table in self.tables)


def key_codes(roles: Sequence[Sequence[Column]], batch: Batch) -> NDArray[np.int64]:
    """The key of every event in every role, int64 (n, roles); 0 where any field of it is null."""
    keys = np.empty((len(batch), len(roles)), np.int64)
    for role, columns in enumerate(roles):
        keys[:, role] = _field_codes(columns[0], batch)
        for column in columns[1:]:
            more = _field_codes(column, batch)
            null = (keys[:, role] == 0) | (more == 0)
            keys[:, role] = number_codes_of_pairs(keys[:, role], more)
            keys[null, role] = 0
    return keys


def _field_codes(column: Column, batch: Batch) -> NDArray[np.int64]:
    if column.type is Type.TEXT:
        return batch.codes[:, column.index]
    return number_codes(batch.x[:, column.index])


def number_codes_of_pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """One code for two: both codes are keyed hashes already, so mixing them keeps them spread."""
    with np.errstate(over="ignore"):
        mixed = (left * _GOLDEN) ^ (right + (left >> np.int64(7)))
        mixed ^= mixed >> np.int64(29)
        mixed *= _GOLDEN
    mixed[mixed == 0] = 1
    return mixed


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
