"""How events of one type become columns: decoded by msgspec into a Struct made for it, transposed, and laid down."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, cast

import msgspec
import numpy as np
from msgspec import NODEFAULT, Meta
from numpy.typing import NDArray

from penstock.codes import buffer_codes
from penstock.ingest.field import Field
from penstock.ingest.identity import LONGEST_ID, id_problem
from penstock.ingest.kernel import READ
from penstock.ingest.schema import TYPE, EventType
from penstock.ingest.times import FIRST_US, NULL, OLDEST_US, instants, outside
from penstock.messages import Batch, Layout, Type

Texts = Sequence[str | None]
Rows = NDArray[np.int64] | slice


@dataclass(slots=True)
class Taken:
    """Events of one type, transposed: one row per field in texts, codes, times and numbers, one column per event.

    ids: None where one is to be made. times: microseconds, valid where present. bad: events that do not fit after all.
    """

    ids: Sequence[str | None]
    texts: list[Texts]
    codes: NDArray[np.int64]
    times: NDArray[np.int64]
    present: NDArray[np.bool_]
    numbers: NDArray[np.float64]
    bad: NDArray[np.bool_] | None = None

    def spoil(self, where: NDArray[np.bool_]) -> None:
        """Mark events that do not fit."""
        if where.any():
            self.bad = where if self.bad is None else self.bad | where

    def only(self, kept: NDArray[np.int64]) -> "Taken":
        """The same for some of the events."""
        positions = kept.tolist()
        ids = [self.ids[i] for i in positions]
        texts: list[Texts] = [[column[i] for i in positions] for column in self.texts]
        return Taken(ids, texts, self.codes[:, kept], self.times[:, kept], self.present[:, kept], self.numbers[:, kept])


class Form:
    """One event type's way from decoded objects to columns.

    `decode` reads one JSON object and `convert` one Python dict; both raise what msgspec raises where it does not fit.
    `take` transposes events and marks those that msgspec could not judge; `lay` writes them into a batch.
    mark: the attribute that holds what `type` said, where there are several types.
    """

    def __init__(
        self, event: EventType, layout: Layout, zone: str | None, token: Callable[[str], str] | None, *, several: bool
    ) -> None:
        self.event, self.zone, self.token, self.several = event, zone, token, several
        columns = [field for field in event.fields if field is not event.id]
        self.texts = [field for field in columns if field.type is Type.TEXT]
        self.times = [event.time, *(field for field in columns if field.type is Type.TIME and field is not event.time)]
        self.numbers = [field for field in columns if field.type in (Type.NUMBER, Type.BOOLEAN)]
        self.text_at = places(layout, self.texts)
        self.time_at = places(layout, self.times)
        self.number_at = places(layout, self.numbers)
        self._whole = [k for k, field in enumerate(self.numbers) if field.whole]
        self._never_null = [k for k, field in enumerate(self.numbers) if not field.nullable]
        self._nullable_times = np.array([[field.nullable] for field in self.times])
        self._first_us = np.array([[FIRST_US], *([[OLDEST_US]] * (len(self.times) - 1))])
        self._texts_from, self._times_from = 1, 1 + len(self.texts)
        self._numbers_from = self._times_from + len(self.times)
        self._numbers_to = self._numbers_from + len(self.numbers)
        self.mark = ""
        self.decode = msgspec.json.Decoder(self._struct(str | int | float)).decode
        self._python = self._struct(Any)

    def convert(self, event: dict[str, Any]) -> Any:
        """One event from Python."""
        return msgspec.convert(event, self._python)

    def _struct(self, times: Any) -> type[msgspec.Struct]:
        """A Struct with the id first, then texts, times and numbers in the order of the lists above."""
        id_type = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)] | int
        fields = [(self.event.id, id_type | None if self.event.id.nullable else id_type)]
        fields += [(field, field.decoded(times=times)) for field in (*self.texts, *self.times, *self.numbers)]
        names = {f"f{k}": field.name for k, (field, _) in enumerate(fields)}
        specs = [_spec(f"f{k}", field, kind) for k, (field, kind) in enumerate(fields)]
        for name in (*sorted(self.event.ignored if self.event.strict else ()), *([TYPE] if self.several else [])):
            if name not in names.values():
                names[f"f{len(specs)}"] = name
                specs.append((f"f{len(specs)}", Any, None))
        self.mark = next((attribute for attribute, name in names.items() if name == TYPE), "")
        strict = self.event.strict
        return msgspec.defstruct(self.event.name, specs, kw_only=True, gc=False, rename=names, forbid_unknown_fields=strict)

    # ---- transposing

    def take(self, events: Sequence[Any]) -> Taken:
        """Transpose decoded events."""
        columns = list(zip(*map(msgspec.structs.astuple, events), strict=True))
        times, state = self._read_times(columns)
        numbers = np.array(columns[self._numbers_from : self._numbers_to], np.float64)
        texts = [spelled(column) for column in columns[self._texts_from : self._times_from]]
        if self.token is not None:
            texts = [self._hidden(field, column) for field, column in zip(self.texts, texts, strict=True)]
        codes, unwritable = code_texts(texts, len(events))
        ids = spelled(columns[0])
        taken = Taken(ids, texts, codes, times, state == READ, numbers.reshape(len(self.numbers), len(events)))
        self._judge(taken, state)
        if unwritable is not None:
            taken.spoil(unwritable)
        return taken

    def judge_nulls(self, taken: Taken) -> None:
        """Mark events whose required numbers are NaN, which JSON cannot say and Python can."""
        if self._never_null:
            taken.spoil(np.isnan(taken.numbers[self._never_null]).any(axis=0))

    def _read_times(self, columns: list[tuple[Any, ...]]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        given = columns[self._times_from : self._numbers_from]
        instant_us, state = instants(given[0] if len(given) == 1 else tuple(chain.from_iterable(given)), self.zone)
        return instant_us.reshape(len(given), -1), state.reshape(len(given), -1)

    def _judge(self, taken: Taken, state: NDArray[np.uint8]) -> None:
        unread = ~taken.present
        if unread.any():
            taken.spoil((unread & ~((state == NULL) & self._nullable_times)).any(axis=0))
        far = outside(taken.times, self._first_us)
        if far.any():
            taken.spoil((far & taken.present).any(axis=0))
        for k in self._whole:
            taken.spoil(fractional(taken.numbers[k]))
        if not "".join(name for name in taken.ids if name is not None).isprintable():
            taken.spoil(np.array([name is not None and id_problem(name) is not None for name in taken.ids]))

    def _hidden(self, field: Field, column: Texts) -> Texts:
        token = self.token
        if not field.personal or token is None:
            return column
        return [text if text is None else token(text) for text in column]

    # ---- laying down

    def lay(self, taken: Taken, batch: Batch, rows: NDArray[np.int64] | None) -> None:
        """Write the events into the batch, at `rows` or as all of it; those without a time happened when they arrived."""
        at: Rows = slice(None) if rows is None else rows
        times = taken.times.astype(np.float64)
        if taken.present.all():
            batch.time_us[at] = taken.times[0]
        else:
            times[~taken.present] = np.nan
            batch.time_us[at] = np.where(taken.present[0], taken.times[0], batch.arrived_us[at])
            times[0] = batch.time_us[at]
        _write(batch.x, at, self.time_at, times)
        _write(batch.x, at, self.number_at, taken.numbers)
        _write(batch.codes, at, self.text_at, taken.codes)
        if rows is None:
            batch.ids = _named(taken.ids)
            batch.texts.update((field.name, _listed(column)) for field, column in zip(self.texts, taken.texts, strict=True))
            return
        for row, name in zip(rows.tolist(), _named(taken.ids), strict=True):
            batch.ids[row] = name
        for field, column in zip(self.texts, taken.texts, strict=True):
            _scatter(batch.texts, field.name, rows, column, len(batch))

    def complete(self, batch: Batch) -> None:
        """Texts of this type are null in events of other types."""
        for field in self.texts:
            batch.texts.setdefault(field.name, [None] * len(batch))


def _named(ids: Texts) -> list[str]:
    """The ids, by now of all events."""
    return cast("list[str]", ids if isinstance(ids, list) else list(ids))


def _listed(column: Texts) -> list[str | None]:
    return column if isinstance(column, list) else list(column)


def _spec(attribute: str, field: Field, kind: Any) -> Any:
    return (attribute, kind) if field.default is NODEFAULT else (attribute, kind, field.default)


def places(layout: Layout, fields: Iterable[Field]) -> slice | NDArray[np.int64]:
    """Where the fields' columns stand: a slice where they stand side by side."""
    at = [layout[field.name].index for field in fields]
    if at and at == list(range(at[0], at[0] + len(at))):
        return slice(at[0], at[0] + len(at))
    return np.array(at, np.int64)


def spelled(column: Sequence[Any]) -> Texts:
    """The texts of a column in which keys may stand as whole numbers."""
    try:
        "".join(column)
    except TypeError:
        return [text if text is None or isinstance(text, str) else str(text) for text in column]
    return column


def code_texts(columns: Sequence[Texts], n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
    """The codes of several columns of texts, in one go, and the events with a text that is not Unicode, if any."""
    if not columns:
        return np.empty((0, n), np.int64), None
    flat: Texts = columns[0] if len(columns) == 1 else tuple(chain.from_iterable(columns))
    valid = np.ones(len(flat), np.bool_)
    if None in flat:
        valid = np.array([text is not None for text in flat])
        flat = [text or "" for text in flat]
    joined = "".join(flat)  # type: ignore[arg-type]  # no None is left
    try:
        data = joined.encode()
    except UnicodeEncodeError:
        return _unwritable(columns, n)
    lengths = map(len, flat) if len(data) == len(joined) else map(len, map(str.encode, flat))  # type: ignore[arg-type]  # as above
    offsets = np.zeros(len(flat) + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, len(flat)), out=offsets[1:])
    return buffer_codes(np.frombuffer(data, np.uint8), offsets, valid).reshape(len(columns), n), None


def _unwritable(columns: Sequence[Texts], n: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    def bad(text: str | None) -> bool:
        return text is not None and any("\ud800" <= character <= "\udfff" for character in text)

    return np.zeros((len(columns), n), np.int64), np.array([[bad(text) for text in column] for column in columns]).any(axis=0)


def fractional(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which numbers are neither whole nor null."""
    return (np.rint(numbers) != numbers) & ~np.isnan(numbers)


def _write(target: NDArray[Any], rows: Rows, at: slice | NDArray[np.int64], values: NDArray[Any]) -> None:
    if isinstance(rows, slice) or isinstance(at, slice):
        target[rows, at] = values.T
    else:
        target[rows[:, None], at] = values.T


def _scatter(texts: dict[str, list[str | None]], name: str, rows: NDArray[np.int64], column: Texts, n: int) -> None:
    whole = texts.setdefault(name, [None] * n)
    for row, text in zip(rows.tolist(), column, strict=True):
        whole[row] = text
