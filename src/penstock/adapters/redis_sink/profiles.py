"""Published profiles: the features of an entity's key after its latest event, from the ledger's records."""

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.adapters.redis_sink import kernel
from penstock.decision import TEXT
from penstock.decision.digits import SLACK
from penstock.detector import Detector
from penstock.engine.record_reader import RecordReader
from penstock.errors import ConfigurationError, did_you_mean
from penstock.features import Aggregate, Entity
from penstock.messages import Record, Type

_KINDS = {Type.NUMBER: kernel.NUMBER, Type.BOOLEAN: kernel.BOOLEAN, Type.TIME: kernel.TIME, Type.TEXT: kernel.TEXT}
_SLACK = bytes(SLACK)

Rows = tuple[Record, int, int]
"""A record, and from which of its rows to which."""

Newest = dict[str, tuple[int, int, int]]
"""The newest event of each key: its time, which record of a portion, and which row."""


class EntityProfile(msgspec.Struct, frozen=True):
    """What the profile of an entity (in one of its roles) shows.

    prefix: of the names of its keys in Redis. as_of: the field that holds the latest event's time. keys: the fields that make
    a key; several are joined with |. features: their names and types.
    """

    prefix: str
    as_of: str
    keys: Sequence[tuple[str, Type]]
    features: Sequence[tuple[str, Type]]


def profiles_of(detector: Detector, prefix: str, entities: Collection[str] | None = None) -> list[EntityProfile]:
    """The profiles of these entities of a detector, in each of their roles; of those with keys of one field unless given.

    Raises:
        ConfigurationError: the detector has no such entity.
    """
    known = {plan.entity.name: plan for plan in detector.plan.entities}
    if entities is None:
        entities = [name for name, plan in known.items() if len(plan.keys[0]) == 1]
    found = []
    for name in entities:
        if name not in known:
            raise ConfigurationError(f"detector {detector.name!r} has no entity {name!r}.{did_you_mean(name, known)}")
        entity = known[name].entity
        for role, columns in enumerate(known[name].keys):
            features = _features_of(detector, entity, role)
            if features:
                layout = detector.plan.layout
                as_of = f"as_of_{entity.roles[role]}" if entity.roles else "as_of"
                keys, shown = ([(each, layout[each].type) for each in some] for some in ([c.name for c in columns], features))
                found.append(EntityProfile(f"{prefix}{name}:", as_of, keys, shown))
    return found


def _features_of(detector: Detector, entity: Entity, role: int) -> list[str]:
    """The aggregates of an entity in a role, and the features derived from them, directly or not."""
    found = {each.name for each in detector.features if isinstance(each, Aggregate) and _is_of(each, entity, role)}
    derived = [each for each in detector.features if not isinstance(each, Aggregate)]
    for _ in derived:  # a derived feature may be declared before those that it reads
        found |= {each.name for each in derived if detector.reads_of(each) & found}
    return [each.name for each in detector.features if each.name in found]


def _is_of(feature: Aggregate, entity: Entity, role: int) -> bool:
    if (feature.entity.fields, feature.entity.roles) != (entity.fields, entity.roles):
        return False
    return (entity.roles.index(feature.at) if feature.at else 0) == role


class ProfileWriter:
    """Packs the profiles of one entity (in one of its roles), as `sink.lua` reads them.

    The features recorded with an event see the event itself, so the last event of a key has its profile.
    """

    def __init__(self, profile: EntityProfile) -> None:
        self._prefix, self._keys = profile.prefix, profile.keys
        self._numbers = [name for name, type_ in profile.features if type_ is not Type.TEXT]
        self._texts = [name for name, type_ in profile.features if type_ is Type.TEXT]
        kinds = {name: _KINDS[type_] for name, type_ in profile.features}
        ordered = [*self._numbers, *self._texts]
        self._kinds = np.array([kinds[name] for name in ordered], np.int64)
        names = [profile.as_of, *ordered]
        self._names, self._name_ends = _end_to_end([name.encode() for name in names])
        self._row_bytes = kernel.HEAD_BYTES + sum(kernel.FIELD_BYTES + 2 * (len(name.encode()) + 3) for name in names)
        self._places: dict[Any, NDArray[np.int64]] = {}

    def newest(self, portions: Sequence[Sequence[Rows]], look: RecordReader) -> list[Newest]:
        """The newest event of every key, in the portion that it stands in.

        A key has one profile among all portions: what is replaced at once by a later portion is not written.
        """
        found: dict[str, tuple[int, int, int, int]] = {}  # by key: event time, which portion, which record in it, which row
        for portion, rows in enumerate(portions):
            for which, (record, start, stop) in enumerate(rows):
                times = record.time_us[start:stop].tolist()
                for key, time_us, row in zip(self._keys_of(record, start, stop, look), times, range(start, stop), strict=True):
                    if key is not None and (key not in found or found[key][0] <= time_us):
                        found[key] = time_us, portion, which, row
        split: list[Newest] = [{} for _ in portions]
        for key, (time_us, portion, which, row) in found.items():
            split[portion][key] = time_us, which, row
        return split

    def pack(self, newest: Newest, rows: Sequence[Rows], look: RecordReader) -> bytes:
        """The profiles of a portion's keys."""
        return self._packed(newest, [record for record, _, _ in rows], look) if newest else b""

    def _packed(self, newest: Newest, records: Sequence[Record], look: RecordReader) -> bytes:
        chosen = np.array(list(newest.values()), np.int64)
        values = np.full((len(chosen), len(self._kinds)), np.nan)
        for which in np.unique(chosen[:, 1]).tolist():
            mine = chosen[:, 1] == which
            values[mine, : len(self._numbers)] = self._values(records[which], chosen[mine, 2], look)
        keys, key_ends = _end_to_end([f"{self._prefix}{key}".encode() for key in newest])
        texts, text_ends = self._texts_of(chosen, records)
        out = np.empty(len(chosen) * self._row_bytes + len(keys) + len(texts) + text_ends.size * 5 + SLACK, np.uint8)
        times = np.ascontiguousarray(chosen[:, 0])
        end = kernel.write_profiles(
            self._kinds, self._names, self._name_ends, keys, key_ends, times, values, texts, text_ends, out
        )
        return out[:end].tobytes()

    def _values(self, record: Record, rows: NDArray[np.int64], look: RecordReader) -> NDArray[np.float64]:
        """The numeric features of these rows; NaN where the record's layout has no such column."""
        layout = record.meta.get("layout")
        if layout not in self._places:
            names = look.names_in(record)
            place = {name: index for index, name in enumerate(names)}
            self._places[layout] = np.array([place.get(name, -1) for name in self._numbers], np.int64)
        places, x = self._places[layout], record.columns["x"]
        found: NDArray[np.float64] = x[np.ix_(rows, places)]  # type: ignore[call-overload]  # a matrix
        if (places < 0).any():
            found[:, places < 0] = np.nan
        return found

    def _texts_of(self, chosen: NDArray[np.int64], records: Sequence[Record]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        ends = np.full((len(chosen), len(self._texts)), -1, np.int64)
        parts: list[bytes] = []
        size = 0
        for i, (_, which, row) in enumerate(chosen.tolist() if self._texts else ()):
            for column, name in enumerate(self._texts):
                held = records[which].columns.get(TEXT + name)
                text = held[row] if isinstance(held, list) else None
                if text is not None:
                    parts.append(text.encode())
                    size += len(parts[-1])
                    ends[i, column] = size
        return np.frombuffer(b"".join(parts) + _SLACK, np.uint8), ends

    def _keys_of(self, record: Record, start: int, stop: int, look: RecordReader) -> Sequence[str | None]:
        columns = [_key_texts(record, name, type_, start, stop, look) for name, type_ in self._keys]
        if len(columns) == 1:
            return columns[0]
        return [None if None in parts else "|".join(map(str, parts)) for parts in zip(*columns, strict=True)]


def _key_texts(record: Record, name: str, type_: Type, start: int, stop: int, look: RecordReader) -> Sequence[str | None]:
    """One field of the keys of these rows, as text; None where it is null."""
    if type_ is Type.TEXT:
        held = record.columns.get(TEXT + name)
        return held[start:stop] if isinstance(held, list) else [None] * (stop - start)
    numbers = look.numbers(record, name)
    if numbers is None:
        return [None] * (stop - start)
    return list(_number_texts(numbers[start:stop].tolist()))


def _number_texts(values: Sequence[float]) -> Iterator[str | None]:
    for value in values:
        if value != value:  # noqa: PLR0124 - NaN, which is null
            yield None
        else:
            yield str(int(value)) if value.is_integer() else repr(value)


def _end_to_end(texts: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    ends = np.fromiter(accumulate(map(len, texts)), np.int64, len(texts))
    return np.frombuffer(b"".join(texts) + _SLACK, np.uint8), ends


def compile_profiles() -> None:
    """Compile the writing of profiles, by writing none."""
    names, name_ends = _end_to_end([b"name"])
    keys, key_ends = _end_to_end([])
    kinds, times, values, ends = np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 0)), np.empty((0, 0), np.int64)
    out = np.empty(SLACK, np.uint8)
    kernel.write_profiles(kinds, names, name_ends, keys, key_ends, times, values, np.frombuffer(_SLACK, np.uint8), ends, out)
