"""Conversion of events of one type to columns: msgspec decodes them into a generated Struct, then they are transposed."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, cast

import msgspec
import numpy as np
from msgspec import NODEFAULT, Meta
from msgspec.structs import astuple
from numpy.typing import NDArray

from penstock.ingest import kernel
from penstock.ingest.field import Field
from penstock.ingest.identity import LONGEST_ID, id_problem
from penstock.ingest.part import TypedBatch
from penstock.ingest.schema import TYPE, EventType
from penstock.ingest.steps import Steps
from penstock.ingest.times import FIRST_US, OLDEST_US, instants, zone_switches
from penstock.messages import Batch, Layout, Type

Mask = NDArray[np.bool_]
Texts = Sequence[str | None]
_ANY = np.iinfo(np.int64).max
_UNREAD = np.empty((0, 0), np.int64), np.empty((0, 0), np.uint8)
Token = Callable[[str], str]


class Form:
    """The conversion of one event type from decoded objects to columns.

    `decode` reads one JSON object and `convert` one Python dict; both raise msgspec's errors. `part` makes columns of what
    they returned, and marks events that msgspec could not judge. mark: the attribute with the value of `type`, where there
    are several types.
    """

    def __init__(
        self,
        event: EventType,
        layout: Layout,
        zone: str | None,
        token: Token | None,
        *,
        several: bool,
        steps: Steps | None = None,
    ) -> None:
        self.event, self.layout, self.zone, self.token, self.several = event, layout, zone, token, several
        self.steps = None if event.kind else steps
        columns = [field for field in event.fields if field is not event.id]
        self.texts = [field for field in columns if field.type is Type.TEXT]
        self.times = [event.time, *(field for field in columns if field.type is Type.TIME and field is not event.time)]
        self.numbers = [field for field in columns if field.type in (Type.NUMBER, Type.BOOLEAN)]
        self.text_at, self.time_at, self.number_at = (self._at(fields) for fields in (self.texts, self.times, self.numbers))
        self.places = self._places()
        self.personal = [k for k, field in enumerate(self.texts) if field.personal]
        self._times_from = 1 + len(self.texts)
        self._numbers_from = self._times_from + len(self.times)
        self._numbers_to = self._numbers_from + len(self.numbers)
        self.mark = ""
        self.decode = msgspec.json.Decoder(self._struct(str | int | float)).decode
        self._python = self._struct(Any)

    def convert(self, event: dict[str, Any]) -> Any:
        """One event from Python."""
        return msgspec.convert(event, self._python)

    # ---- what a form is made of

    def _at(self, fields: Iterable[Field]) -> NDArray[np.int64]:
        return np.array([self.layout[field.name].index for field in fields], np.int64)

    def _places(self) -> kernel.Places:
        whole = np.array([field.whole for field in self.numbers], np.bool_)
        nullable = np.array([field.nullable for field in self.times], np.bool_)
        first_us = np.array([FIRST_US] + [OLDEST_US] * (len(self.times) - 1), np.int64)
        switches, offsets = zone_switches(self.zone or "UTC")
        zoned = self.zone is not None
        max_bytes = np.array([_ANY if field.max_bytes is None else field.max_bytes for field in self.texts], np.int64)
        return kernel.Places(
            self.text_at, max_bytes, self.time_at, self.number_at, whole, first_us, nullable, zoned, switches, offsets
        )

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

    # ---- from objects to columns

    def part(self, events: Sequence[Any], arrived_us: int | NDArray[np.int64]) -> TypedBatch:
        """The columns of decoded events that arrived at this time, or each at its own."""
        n = len(events)
        columns: list[Sequence[Any]] = list(zip(*map(astuple, events), strict=True))
        batch = self.blank(n, arrived_us)
        bad = np.zeros(n, np.bool_)
        part = TypedBatch(batch, np.empty(n, np.int64))
        for k in self.personal:
            part.spoil(self._too_long(self.texts[k], columns[1 + k]))
            columns[1 + k] = self._hidden(columns[1 + k])
        columns[0] = batch.ids = self._ids(columns[0], part)
        if self._lay(columns, part, bad):
            part.spoil(bad)
        if self.steps is not None:
            self.stamp(batch, np.array([value is None for value in columns[self._times_from]], np.bool_))
        for k, field in enumerate(self.texts, 1):
            batch.texts[field.name] = list(columns[k])
        return part

    def stamp(self, batch: Batch, untimed: Mask) -> None:
        """Give the events without a time that of their step."""
        assert self.steps is not None
        steps = np.where(untimed, batch.x[:, self.layout[self.steps.field].index], np.nan)
        batch.time_us[:] = self.steps.times_us(steps, batch.time_us)
        batch.x[:, self.time_at[0]] = batch.time_us

    def blank(self, n: int, arrived_us: int | NDArray[np.int64]) -> Batch:
        """A batch of n events of this type, its columns not yet written except for their arrival."""
        x, codes = np.empty((n, self.layout.width)), np.empty((n, self.layout.text_width), np.int64)
        kinds, arrived = np.zeros(n, np.uint8), np.empty(n, np.int64)
        if self.event.kind:
            kinds.fill(self.event.kind)
        arrived[:] = arrived_us
        return Batch([], kinds, np.empty(n, np.int64), arrived, x, codes, {})

    def _lay(self, columns: list[Sequence[Any]], part: TypedBatch, bad: Mask) -> bool:
        """Write the columns; returns whether an event is invalid."""
        flat = tuple(chain.from_iterable(columns[: self._numbers_from]))
        try:
            data, lengths = _bytes(flat) if None not in flat else _nullable_bytes(flat)
        except (TypeError, UnicodeEncodeError):
            return self._lay_mixed(columns, part, bad)
        if not self._write(data, lengths, columns, part, bad, _UNREAD, parse=True):
            return False
        bad[:] = False  # a time may be a number as text, which only `instants` reads
        return self._lay_mixed(columns, part, bad)

    def _lay_mixed(self, columns: list[Sequence[Any]], part: TypedBatch, bad: Mask) -> bool:
        """The same where a text stands as a whole number or is not Unicode, or where a time is not a text."""
        for k in range(1, self._times_from):
            columns[k] = [text if text is None or isinstance(text, str) else str(text) for text in columns[k]]
        texts = tuple(chain.from_iterable(columns[: self._times_from]))
        times = tuple(chain.from_iterable(columns[self._times_from : self._numbers_from]))
        try:
            data, lengths = _nullable_bytes(texts)
        except UnicodeEncodeError:
            bad |= _unwritable(columns[: self._times_from], len(part.batch))
            data, lengths = _nullable_bytes([_mended(text) if text else text for text in texts])
        found, states = instants(times, self.zone)
        shape = len(self.times), len(part.batch)
        return self._write(data, lengths, columns, part, bad, (found.reshape(shape), states.reshape(shape)), parse=False)

    def _write(
        self,
        data: NDArray[np.uint8],
        lengths: NDArray[np.int64],
        columns: list[Sequence[Any]],
        part: TypedBatch,
        bad: Mask,
        times: tuple[NDArray[np.int64], NDArray[np.uint8]],
        *,
        parse: bool,
    ) -> bool:
        batch = part.batch
        numbers = np.array(columns[self._numbers_from : self._numbers_to], np.float64).reshape(len(self.numbers), len(batch))
        stamps = batch.time_us, batch.arrived_us
        filled = (batch.x, batch.codes, part.id_codes)
        return bool(kernel.lay(*self.places, data, lengths, numbers, *times, parse, *filled, *stamps, bad))

    def _ids(self, column: Sequence[Any], part: TypedBatch) -> list[str]:
        """The ids as texts, empty where one is to be made."""
        try:
            plain = "".join(column).isprintable()
        except TypeError:
            column = ["" if name is None else str(name) for name in column]
            plain = "".join(column).isprintable()
        if not plain or len(max(column, key=len)) > LONGEST_ID:
            part.spoil(np.array([name != "" and id_problem(name) is not None for name in column]))
        return list(column)

    def _too_long(self, field: Field, column: Sequence[Any]) -> Mask:
        """The events whose text is too long, before a token takes its place."""
        most = _ANY if field.max_bytes is None else field.max_bytes
        return np.array([isinstance(text, str) and len(text.encode("utf-8", "replace")) > most for text in column], np.bool_)

    def _hidden(self, column: Sequence[Any]) -> Texts:
        token = cast("Token", self.token)
        return [text if text is None else token(str(text)) for text in column]


def _spec(attribute: str, field: Field, kind: Any) -> Any:
    return (attribute, kind) if field.default is NODEFAULT else (attribute, kind, field.default)


def _bytes(texts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Texts end to end as UTF-8, and the length of each in bytes."""
    joined = "".join(texts)
    data = joined.encode()
    lengths = map(len, texts) if len(data) == len(joined) else map(len, map(str.encode, texts))
    return np.frombuffer(data, np.uint8), np.fromiter(lengths, np.int64, len(texts))


def _nullable_bytes(texts: Texts) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The same, with length -1 where there is no text."""
    data, lengths = _bytes(["" if text is None else text for text in texts])
    lengths[[k for k, text in enumerate(texts) if text is None]] = -1
    return data, lengths


def _unwritable(columns: Sequence[Texts], n: int) -> Mask:
    """The events with a text that holds half of a surrogate pair, which Python can and UTF-8 cannot."""
    bad = np.zeros(n, np.bool_)
    for column in columns:
        bad |= np.array([text is not None and text != _mended(text) for text in column], np.bool_)
    return bad


def _mended(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
