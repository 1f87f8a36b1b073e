"""Conversion of frames of recorded events to columns of a batch, without a detour through rows.

A column is converted where its meaning is unambiguous: whole numbers as text keys, texts as numbers and times, 0 and 1 as
booleans. If no value of a column can be read, an error names the column; if some cannot, those rows are refused as the same
events would be live.
"""

from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.codes import buffer_codes
from penstock.errors import DataError, did_you_mean
from penstock.ingest.field import Field
from penstock.ingest.form import Form
from penstock.ingest.identity import LONGEST_ID, id_problem
from penstock.ingest.labels import UNKNOWN_TIME, Labels
from penstock.ingest.part import TypedBatch
from penstock.ingest.refusals import refused, shown, time_fault, value_fault
from penstock.ingest.schema import TYPE, Schema
from penstock.ingest.series import (
    Instants,
    Mask,
    Numbers,
    Words,
    buffers,
    read_booleans,
    read_numbers,
    read_texts,
    read_times,
    spelled,
)
from penstock.ingest.texts import SeriesTexts
from penstock.ingest.times import FIRST_US, OLDEST_US
from penstock.messages import Batch, Refusal, Type

_SPACE, _TILDE = 32, 126
"""The first and the last printable character of ASCII, in which nearly all ids are written."""

LABEL_KNOWN_AT = "label_known_at"
"""The column that says when a label became known, where the detector names no other."""


@dataclass(slots=True)
class Faults:
    """Invalid rows, by fault."""

    rows: Mask
    found: list[tuple[Field, pl.Series | None, Mask]] = made(default_factory=list)

    def add(self, field: Field, column: pl.Series | None, where: Mask) -> None:
        """Note rows in which this field is at fault."""
        if where.any():
            self.rows |= where
            self.found.append((field, column, where))


@dataclass(slots=True)
class FieldColumns:
    """The values of a form's fields, in its order.

    untimed: the rows without a time of their own, where steps stand in. arrived_us: None where each arrived when it
    happened. ids: texts, null where one is to be made.
    """

    numbers: list[NDArray[np.float64]]
    words: list[Words]
    times: list[NDArray[np.float64]]
    time_us: NDArray[np.int64]
    untimed: Mask | None
    arrived_us: NDArray[np.int64] | None
    ids: pl.Series


class FrameForm:
    """One event type's way from the columns of a frame to transposed columns."""

    def __init__(self, form: Form, schema: Schema, frame: pl.DataFrame) -> None:
        self.form, self.schema, self.frame, self.event = form, schema, frame, form.event
        self.rows = np.arange(1, len(frame) + 1)
        """The number of each row, for messages and ids."""
        self.faults = Faults(np.zeros(len(frame), np.bool_))

    def part(self, arrived_us: NDArray[np.int64] | None) -> TypedBatch:
        """All rows as a batch; where no arrival is given, each arrived when it happened."""
        columns = self.columns(arrived_us)
        batch = self.batch(columns, slice(0, len(self.frame)))
        batch.ids, id_codes = columns.ids.fill_null("").to_list(), buffer_codes(*buffers(columns.ids))
        batch.texts = {name: list(texts) for name, texts in batch.texts.items()}
        return TypedBatch(batch, id_codes, self.faults.rows if self.faults.rows.any() else None)

    def columns(self, arrived_us: NDArray[np.int64] | None) -> "FieldColumns":
        """Read every column, and note the faults."""
        self._check_columns()
        numbers = [self._numbers(item).values for item in self.form.numbers]
        words = [self._texts(item) for item in self.form.texts]
        times: list[NDArray[np.float64]] = []
        time_us, untimed = np.empty(0, np.int64), None
        for item in self.form.times:
            found = self._times(item, timed=arrived_us is not None)
            if item is self.event.time:
                stand_in = found.values if arrived_us is None else arrived_us
                time_us = found.values if found.present.all() else np.where(found.present, found.values, stand_in)
                times.append(time_us.astype(np.float64))
                untimed = ~found.present if self.form.steps is not None else None
            else:
                times.append(np.where(found.present, found.values, np.nan))
        return FieldColumns(numbers, words, times, time_us, untimed, arrived_us, self._ids())

    def batch(self, columns: "FieldColumns", rows: slice) -> Batch:
        """Some of the rows as a separate batch, whose texts are read lazily."""
        form = self.form
        batch = form.blank(rows.stop - rows.start, 0 if columns.arrived_us is None else columns.arrived_us[rows])
        batch.x[:] = np.nan
        batch.codes[:] = 0
        for at, values in zip(form.number_at, columns.numbers, strict=True):
            batch.x[:, at] = values[rows]
        for at, values in zip(form.time_at, columns.times, strict=True):
            batch.x[:, at] = values[rows]
        for at, words in zip(form.text_at, columns.words, strict=True):
            batch.codes[:, at] = words.codes[rows]
        batch.time_us[:] = columns.time_us[rows]
        if columns.untimed is not None:
            form.stamp(batch, columns.untimed[rows])
        if columns.arrived_us is None:
            batch.arrived_us = batch.time_us.copy()
        batch.texts = {
            item.name: SeriesTexts[str | None](words.values[rows])
            for item, words in zip(form.texts, columns.words, strict=True)
        }
        batch.ids = SeriesTexts[str](columns.ids[rows])
        return batch

    def refusals(self) -> list[tuple[int, Refusal]]:
        """The numbers of the rows that are refused, and why."""
        return [(int(self.rows[at]), self._refusal(at)) for at in np.flatnonzero(self.faults.rows).tolist()]

    def _refusal(self, at: int) -> Refusal:
        found = [(item, column) for item, column, where in self.faults.found if where[at]]
        return refused([(item.name, f"row {self.rows[at]}: {self._message(item, column, at)}") for item, column in found])

    def _message(self, field: Field, column: pl.Series | None, row: int) -> str:
        value = None if column is None else column[row]
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return f"{field.name} is missing; expected {field.expected}"
        if field is self.event.id:
            return f"{field.name} {id_problem(str(value))}"
        if field.type is Type.TIME:
            message = time_fault(field, value, self.schema.naive_times, self._first_us(field))
        else:
            message = value_fault(field, _number(value) if field.type is Type.NUMBER else value)
        return message or f"{field.name} is {shown(value)}; expected {field.expected}"

    def _first_us(self, field: Field) -> int:
        return FIRST_US if field is self.event.time else OLDEST_US

    # ---- columns

    def _check_columns(self) -> None:
        for field in self.event.fields:
            if field.needed and field.name not in self.frame.columns:
                raise DataError(
                    f"column {field.name!r} is missing; {self.event.name} needs it, as {field.expected}."
                    + did_you_mean(field.name, self.frame.columns)
                )

    def _column(self, field: Field) -> pl.Series:
        """The field's column, its gaps filled where the declaration has a default."""
        default = None if field.default is msgspec.NODEFAULT else field.default
        if field.name not in self.frame.columns:
            return pl.Series(field.name, [default] * len(self.frame), pl.Null if default is None else None)
        column = self.frame.get_column(field.name)
        return column if default is None else column.fill_null(default)

    def _checked(self, field: Field, column: pl.Series, found: Any, null: Mask) -> None:
        """Faults common to all types; a column of which nothing can be read is an error."""
        if found is not None and not found.unread.any() and not found.bad.any() and not null.any():
            return
        given = column.is_not_null().to_numpy() & ~null | (found.unread if found is not None else False)
        if found is None or (given.any() and found.unread[given].all()):
            raise self._wrong(field, column, found)
        self.faults.add(field, column, found.unread | found.bad)
        if not field.nullable:
            self.faults.add(field, column, null & ~found.unread)

    def _wrong(self, field: Field, column: pl.Series, found: Any) -> DataError:
        row = int(np.flatnonzero(column.is_not_null().to_numpy())[0]) if column.null_count() < len(column) else 0
        if isinstance(found, Instants) and found.naive.any():
            return DataError(
                f"column {field.name!r} holds times without a zone, as {column[row]} in row {self.rows[row]}; "
                "say what they mean: Detector(naive_times='UTC')"
            )
        value = "a value that is not shown" if field.personal else shown(column[row])
        return DataError(
            f"column {field.name!r} holds {column.dtype}: row {self.rows[row]} is {value}; expected {field.expected}"
        )

    def _numbers(self, field: Field) -> Numbers:
        column = self._column(field)
        found = read_booleans(column) if field.type is Type.BOOLEAN else read_numbers(field, column)
        self._checked(field, column, found, np.isnan(found.values) if found else np.zeros(len(column), np.bool_))
        assert found is not None
        return found

    def _times(self, field: Field, *, timed: bool) -> Instants:
        column = self._column(field)
        found = read_times(column, self.schema.naive_times, self._first_us(field))
        null = column.is_null().to_numpy()
        self._checked(field, column, found, null)
        assert found is not None
        if field is self.event.time and not timed:
            self.faults.add(field, column, null & ~self._stepped())
        return found

    def _stepped(self) -> Mask:
        """The rows whose time comes from a step."""
        steps = self.form.steps
        if steps is None or steps.field not in self.frame.columns:
            return np.zeros(len(self.frame), np.bool_)
        return self.frame.get_column(steps.field).is_not_null().to_numpy()

    def _texts(self, field: Field) -> Words:
        column = self._column(field)
        found = read_texts(field, column)
        null = np.array(found.codes == 0) if found else np.zeros(len(column), np.bool_)
        self._checked(field, column, found, null)
        assert found is not None
        return self._hidden(found) if field.personal else found

    def _hidden(self, words: Words) -> Words:
        """Tokens in the place of personal texts."""
        token = self.form.token
        assert token is not None
        known = words.values.unique().drop_nulls()
        tokens = pl.Series([token(text) for text in known.to_list()], dtype=pl.String)
        column = words.values.replace_strict(known, tokens, default=None, return_dtype=pl.String)
        return Words(column, buffer_codes(*buffers(column)), words.unread, words.bad)

    def _ids(self) -> pl.Series:
        column = self._column(self.event.id)
        found = spelled(column)
        if found is None:
            raise self._wrong(self.event.id, column, None)
        self.faults.add(self.event.id, column, ~_usable(found))
        if not self.event.id.nullable:
            self.faults.add(self.event.id, column, found.is_null().to_numpy())
        return found


def _usable(ids: pl.Series) -> Mask:
    """Which texts can be ids; null can, as one is made."""
    data, offsets, valid = buffers(ids)
    lengths = np.diff(offsets)[valid]
    printable = not len(data) or (data.min() >= _SPACE and data.max() <= _TILDE)
    if printable and (not len(lengths) or (lengths.min() >= 1 and lengths.max() <= LONGEST_ID)):
        return np.ones(len(ids), np.bool_)
    return np.array([text is None or id_problem(text) is None for text in ids.to_list()], np.bool_)


def _number(value: Any) -> Any:
    """The number that a text stands for, else the value itself."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


# ---------------------------------------------------------------- the whole frame


def frame_kinds(schema: Schema, frame: pl.DataFrame, first: int) -> tuple[NDArray[np.int64], list[tuple[int, Refusal]]]:
    """The event type of every row, -1 where its mark is unknown, and the refusals of those."""
    kinds = np.zeros(len(frame), np.int64)
    if len(schema.events) == 1 or TYPE not in frame.columns:
        return kinds, []
    column = frame.get_column(TYPE).cast(pl.String)
    refusals: list[tuple[int, Refusal]] = []
    for mark in column.unique().drop_nulls().to_list():
        kind = schema.marks.get(mark.lower(), 0 if schema.marked_by_field else -1)
        where = (column == mark).fill_null(value=False).to_numpy()
        kinds[where] = kind
        if kind < 0:
            hint = did_you_mean(mark, sorted(schema.marks))
            message = f"type is {shown(mark)}, which is no event type of this detector.{hint}"
            refusals += [(row, refused([(TYPE, f"row {row + first}: {message}")])) for row in np.flatnonzero(where).tolist()]
    return kinds, refusals


def frame_labels(schema: Schema, frame: pl.DataFrame, rows: NDArray[np.int64] | slice, first: int) -> Labels:
    """The labels of the rows, where the frame has them."""
    if schema.label_field is None or schema.label not in frame.columns:
        return None, None
    column = frame.get_column(schema.label)
    found = read_booleans(column)
    if found is None or found.unread.any():
        row = int(np.flatnonzero(found.unread)[0]) if found is not None else 0
        value = f"row {row + first} is {shown(column[row])}"
        raise DataError(f"column {schema.label!r} is the label: {value}; expected true, false, 1, 0 or null")
    known = schema.label_time or LABEL_KNOWN_AT
    if known not in frame.columns:
        return found.values[rows], None
    times = read_times(frame.get_column(known), schema.naive_times, FIRST_US)
    return found.values[rows], _all_read(frame, known, times, first)[rows]


def arrivals(schema: Schema, frame: pl.DataFrame, arrived: str, first: int) -> NDArray[np.int64]:
    """The arrival of every row.

    Raises:
        DataError: where the column is missing, or a row has no arrival.
    """
    if arrived not in frame.columns:
        raise DataError(
            f"column {arrived!r}, which says when each row arrived, is missing.{did_you_mean(arrived, frame.columns)}"
        )
    arrived_us = _all_read(frame, arrived, read_times(frame.get_column(arrived), schema.naive_times, FIRST_US), first)
    missing = np.flatnonzero(arrived_us == UNKNOWN_TIME)
    if len(missing):
        raise DataError(f"column {arrived!r} says when each row arrived; row {missing[0] + first} has none")
    return arrived_us


def _all_read(frame: pl.DataFrame, name: str, found: Instants | None, first: int) -> NDArray[np.int64]:
    """The times of a column in which nothing may be wrong, UNKNOWN_TIME where null."""
    column = frame.get_column(name)
    wrong = np.flatnonzero(found.unread | found.bad) if found is not None else np.zeros(min(1, len(column)), np.int64)
    if found is not None and not len(wrong):
        return np.where(found.present, found.values, UNKNOWN_TIME)
    value = f", and row {wrong[0] + first} is {shown(column[int(wrong[0])])}" if len(wrong) else ""
    naive = found is not None and found.naive.any()
    remedy = " without a zone; say what such times mean: Detector(naive_times='UTC')" if naive else "; expected times"
    raise DataError(f"column {name!r} holds {column.dtype}{value}{remedy}")
