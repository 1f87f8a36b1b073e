"""The reader: bytes, objects or frames become a micro-batch. All events enter through it.

Invalid events are refused with their cause, and the rest of the batch continues. `Reader.read` decodes and validates with
msgspec at once; only an invalid event is checked field by field, to find the cause.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.decoding import prepared
from penstock.ingest.form import Form
from penstock.ingest.frames import FrameForm, arrivals, frame_kinds, frame_labels
from penstock.ingest.identity import NewIds
from penstock.ingest.labels import Labels, labels_of
from penstock.ingest.part import TypedBatch, fill, joined, kept
from penstock.ingest.personal import remembering, tokeniser
from penstock.ingest.refusals import kind_of, refused_body, refused_object
from penstock.ingest.schema import TYPE, Schema
from penstock.messages import Batch, Layout, Refusal

_AT_ONCE = 1 << 18
"""Recorded rows whose columns are read together: many enough for the price of a call, few enough for memory."""

Arrived = int | NDArray[np.int64]
"""When events arrived, microseconds: all of them at once, or each at its own time."""

_REFUSING = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)


@dataclass(slots=True)
class ReadEvents:
    """The result of reading events.

    batch: the accepted ones, in order. id_codes: `penstock.codes` of their ids. rows: the position of each in the input.
    refused: position and cause of the others, in order. labels: of recorded data, 1.0 for fraud, 0.0 for good, NaN where
    unknown, and since when it was known (microseconds, -1 if unknown); each None where the data has none. extras: the
    fields that no type declares, as a JSON object, where the schema keeps them.
    """

    batch: Batch
    refused: list[tuple[int, Refusal]]
    rows: NDArray[np.int64]
    id_codes: NDArray[np.int64]
    labels: Labels = (None, None)
    extras: list[bytes | None] = field(default_factory=list)


class _Marked(msgspec.Struct, gc=False):
    """The type of an event, and no other field."""

    type: Any = None


@dataclass(slots=True)
class _Decoded:
    """Events that msgspec accepted, by type: the objects, and their positions among the n that were handed in."""

    n: int
    forms: dict[int, tuple[Sequence[int], list[Any]]] = field(default_factory=dict)
    refused: list[tuple[int, Refusal]] = field(default_factory=list)

    def accept(self, i: int, kind: int, event: Any) -> None:
        """Note event i, of this type."""
        positions, events = self.forms.setdefault(kind, ([], []))
        cast("list[int]", positions).append(i)
        events.append(event)


class Reader:
    """Reads events of one detector into batches of its layout.

    Args:
        schema: the event types. layout: has every column of the schema; further columns are left null.
        personal_key: the secret under which personal fields become tokens; needed where there are any.
        remember: store in `said` the values of the tokens in the last events.
    """

    def __init__(self, schema: Schema, layout: Layout, *, personal_key: bytes | None = None, remember: bool = False) -> None:
        self.schema, self.layout = schema, layout
        self.said: dict[str, str] = {}
        self.token = tokeniser(personal_key) if schema.personal else None
        token = remembering(self.token, self.said) if remember and self.token is not None else self.token
        self._several = len(schema.events) > 1
        self.forms = [
            Form(event, layout, schema.naive_times, token, several=self._several, steps=schema.steps) for event in schema.events
        ]
        self._marked = msgspec.json.Decoder(prepared(_Marked)).decode
        self._new_ids = NewIds()
        self._known = frozenset(
            name for event in schema.events for name in (*(f.name for f in event.fields), *event.ignored, TYPE)
        )

    def use(self, layout: Layout) -> None:
        """Read into batches of another layout, in which the columns of the schema stand where they did."""
        self.layout = layout
        for form in self.forms:
            form.layout = layout

    # ---- JSON

    def read(self, bodies: Sequence[bytes], arrived_us: Arrived) -> ReadEvents:
        """Read JSON objects that arrived at this time, or each at its own.

        >>> from datetime import datetime
        >>> class Payment(msgspec.Struct):
        ...     tx: str
        ...     at: datetime
        ...     amount: float
        >>> schema, layout = Schema(Payment, id="tx", time="at"), Layout()
        >>> for name, type in schema.columns.items():
        ...     _ = layout.add(name, type)
        >>> read = Reader(schema, layout).read([b'{"tx": "1", "at": 5, "amount": 2.5}', b'{"tx": "2", "at": 5}'], 0)
        >>> read.batch.ids, read.batch.x.tolist(), read.refused[0][1].detail
        (['1'], [[5000000.0, 2.5]], 'amount is missing; expected a number')
        """
        self.said.clear()
        read = self._at_once(bodies, arrived_us)
        if read is None:
            decoded = self._one_by_one(bodies, self._decode, self._refused_body)
            read = self._batch(decoded, arrived_us, lambda i: self._refused_body(bodies[i], None))
        if self.schema.keep_unknown:
            read.extras = [self._unknown(msgspec.json.decode(bodies[i], type=dict[str, msgspec.Raw])) for i in read.rows]
        return read

    def _decode(self, body: bytes) -> tuple[int, Any]:
        if not self._several:
            return 0, self.forms[0].decode(body)
        kind, fault = kind_of(self.schema, {TYPE: self._marked(body).type})
        if fault is not None:
            raise ValueError(fault)
        return kind, self.forms[kind].decode(body)

    def _refused_body(self, body: bytes, cause: BaseException | None) -> Refusal:
        return refused_body(self.schema, body, cause)

    def _at_once(self, bodies: Sequence[bytes], arrived_us: Arrived) -> ReadEvents | None:
        """Transactions that are all valid, as nearly always; None where one is not, or is of another type."""
        form = self.forms[0]
        try:
            events = list(map(form.decode, bodies))
        except _REFUSING:
            return None
        if not events or (self._several and any(getattr(event, form.mark) is not None for event in events)):
            return None
        part = form.part(events, arrived_us)
        if part.bad is not None:
            return None
        self._name(part)
        if self._several:
            self._complete(part.batch)
        return ReadEvents(part.batch, [], np.arange(len(events)), part.id_codes)

    # ---- Python objects

    def read_objects(self, events: Sequence[Any], arrived_us: int) -> ReadEvents:
        """Read dicts, or Structs of the declared types, that arrived now.

        Labels are taken from those that carry them; the caller decides whether they count.
        """
        self.said.clear()
        found = [event if type(event) is dict else self._as_dict(event) for event in events]
        decoded = self._one_by_one(found, self._convert, self._refused_object)
        read = self._batch(decoded, arrived_us, lambda i: self._refused_object(found[i], None))
        read.labels = labels_of(self.schema, [found[i] for i in read.rows])
        if self.schema.keep_unknown:
            read.extras = [self._unknown(found[i]) for i in read.rows]
        return read

    def _as_dict(self, event: Any) -> Any:
        """The event as a dict by the names of JSON; other types unchanged."""
        if isinstance(event, msgspec.Struct):
            kind = self.schema.kinds.get(type(event))
            if kind is None:
                return event
            names = zip(event.__struct_fields__, event.__struct_encode_fields__, strict=True)
            values = {name: getattr(event, attribute) for attribute, name in names}
            mark = {} if kind == 0 else {TYPE: type(event).__name__}
            return {name: _plain(value) for name, value in values.items() if value is not msgspec.UNSET} | mark
        return dict(event) if isinstance(event, Mapping) else event

    def _convert(self, event: Any) -> tuple[int, Any]:
        if not isinstance(event, dict):
            raise TypeError
        kind, fault = kind_of(self.schema, event) if self._several else (0, None)
        if fault is not None:
            raise ValueError(fault)
        try:
            return kind, self.forms[kind].convert(event)
        except msgspec.ValidationError:
            return kind, self.forms[kind].convert({name: _plain(value) for name, value in event.items()})

    def _refused_object(self, event: Any, cause: BaseException | None) -> Refusal:
        plain = {name: _plain(value) for name, value in event.items()} if isinstance(event, dict) else event
        return refused_object(self.schema, plain, cause)

    # ---- frames

    def read_frame(self, frame: pl.DataFrame, *, arrived: str | None = None, name: str = "row", first: int = 1) -> ReadEvents:
        """Read recorded events, in arrival order, column by column.

        Args:
            frame: has the columns of the schema under their names in JSON; others are ignored.
            arrived: the column of arrival times; by default the event times.
            name: events without an id are called by this and their row: row-000001.
            first: the number of the frame's first row, where it is a piece of a longer one.

        Raises:
            DataError: naming the column that is missing or holds something else, and what was expected.
        """
        self.said.clear()
        kinds, refused = frame_kinds(self.schema, frame, first)
        arrived_us = None if arrived is None else arrivals(self.schema, frame, arrived, first)
        parts: list[tuple[NDArray[np.int64] | None, TypedBatch]] = []
        for kind in np.unique(kinds[kinds >= 0]).tolist():
            positions = np.flatnonzero(kinds == kind)
            source = FrameForm(self.forms[kind], self.schema, frame if len(positions) == len(frame) else frame[positions])
            source.rows = positions + first
            part = source.part(None if arrived_us is None else arrived_us[positions])
            refused += [(row - first, refusal) for row, refusal in source.refusals()]
            if "" in part.batch.ids:
                numbered = zip(part.batch.ids, source.rows.tolist(), strict=True)
                fill(part, [f"{name}-{row:06d}" for text, row in numbered if not text])
            parts.append((positions, part))
        read = self._merged(parts, refused, len(frame))
        read.labels = frame_labels(self.schema, frame, read.rows, first)
        if self.schema.keep_unknown:
            unknown = frame.select(column for column in frame.columns if column not in self._known)[read.rows]
            read.extras = [self._unknown(row) for row in unknown.iter_rows(named=True)]
        return read

    def refusals(self, frame: pl.DataFrame, arrived_us: NDArray[np.int64] | None = None) -> list[tuple[int, Refusal]]:
        """The rows, from 0, that `read_frame` refuses, and why."""
        kinds, refused = frame_kinds(self.schema, frame, 0)
        for kind in np.unique(kinds[kinds >= 0]).tolist():
            positions = np.flatnonzero(kinds == kind)
            source = FrameForm(self.forms[kind], self.schema, frame if len(positions) == len(frame) else frame[positions])
            source.rows = positions
            source.columns(None if arrived_us is None else arrived_us[positions])
            refused += source.refusals()
        return sorted(refused, key=lambda entry: entry[0])

    def read_frames(self, frame: pl.DataFrame, size: int, *, arrived: str | None = None) -> Iterator[ReadEvents]:
        """`read_frame` in batches of up to `size` events, at a fraction of its cost.

        Texts become Python strings only when read; codes of ids and unknown fields are left out.
        """
        first = 1
        for large in frame.iter_slices(_AT_ONCE):
            yield from self._read_slices(large, size, arrived, first)
            first += len(large)

    def _read_slices(self, frame: pl.DataFrame, size: int, arrived: str | None, first: int) -> Iterator[ReadEvents]:
        source = FrameForm(self.forms[0], self.schema, frame)
        source.rows = np.arange(first, first + len(frame))
        if self._several or not len(frame):
            plain = False
        else:
            columns = source.columns(None if arrived is None else arrivals(self.schema, frame, arrived, first))
            plain = not source.faults.rows.any() and not columns.ids.null_count()
        if not plain:
            for start in range(0, len(frame), size):
                yield self.read_frame(frame.slice(start, size), arrived=arrived, first=first + start)
            return
        fraud, known_us = frame_labels(self.schema, frame, slice(None), first)
        for start in range(0, len(frame), size):
            rows = slice(start, min(start + size, len(frame)))
            labels = None if fraud is None else fraud[rows], None if known_us is None else known_us[rows]
            batch = source.batch(columns, rows)
            yield ReadEvents(batch, [], np.arange(len(batch)), np.empty(0, np.int64), labels)

    # ---- what is common

    def _one_by_one(
        self, found: Sequence[Any], accept: Callable[[Any], tuple[int, Any]], refuse: Callable[[Any, BaseException], Refusal]
    ) -> _Decoded:
        decoded = _Decoded(len(found))
        for i, item in enumerate(found):
            try:
                kind, event = accept(item)
            except _REFUSING as error:
                decoded.refused.append((i, refuse(item, error)))
            else:
                decoded.accept(i, kind, event)
        return decoded

    def _batch(self, decoded: _Decoded, arrived_us: Arrived, refuse: Callable[[int], Refusal]) -> ReadEvents:
        parts: list[tuple[NDArray[np.int64] | None, TypedBatch]] = []
        refused = decoded.refused
        for kind, (positions, events) in decoded.forms.items():
            part = self.forms[kind].part(events, arrived_us if isinstance(arrived_us, int) else arrived_us[positions])
            if part.bad is not None:
                refused += [(positions[i], refuse(positions[i])) for i in np.flatnonzero(part.bad).tolist()]
            self._name(part)
            parts.append((np.array(positions, np.int64) if len(decoded.forms) > 1 or refused else None, part))
        return self._merged(parts, refused, decoded.n)

    def _name(self, part: TypedBatch) -> None:
        """Make ids for the events without one."""
        if missing := part.batch.ids.count(""):
            fill(part, self._new_ids.make(missing, int(part.batch.arrived_us[0])))

    def _merged(
        self, parts: list[tuple[NDArray[np.int64] | None, TypedBatch]], refused: list[tuple[int, Refusal]], n: int
    ) -> ReadEvents:
        """One batch of all types in order, without the events that do not fit; positions None: the part is all there is."""
        if len(parts) == 1 and not refused:
            part = parts[0][1]
            if self._several:
                self._complete(part.batch)
            return ReadEvents(part.batch, refused, np.arange(n), part.id_codes)
        refused.sort(key=lambda entry: entry[0])
        rows = np.delete(np.arange(n), [position for position, _ in refused])
        good = [kept(np.arange(n) if positions is None else positions, part) for positions, part in parts]
        for _, part in good:
            self._complete(part.batch)
        whole = joined(good) if good else self._nothing()
        return ReadEvents(whole.batch, refused, rows, whole.id_codes)

    def _nothing(self) -> TypedBatch:
        batch = self.forms[0].blank(0, 0)
        self._complete(batch)
        return TypedBatch(batch, np.empty(0, np.int64))

    def _complete(self, batch: Batch) -> None:
        """Texts of other types are null."""
        for form in self.forms:
            for text in form.texts:
                batch.texts.setdefault(text.name, [None] * len(batch))

    def _unknown(self, event: Mapping[str, Any]) -> bytes | None:
        unknown = {name: value for name, value in event.items() if name not in self._known}
        return msgspec.json.encode(unknown) if unknown else None


def _plain(value: Any) -> Any:
    """Scalars of numpy and members of an Enum as Python's values, NaN as None."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
