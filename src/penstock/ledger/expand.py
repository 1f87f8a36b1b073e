"""Conversion of records to frames: one column per field, feature, score and fact, for the archive and SQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.ledger.tables import ArchiveField
from penstock.messages import Record

Layouts = Mapping[str, Mapping[str, Sequence[ArchiveField]]]

BASE = {
    "seq": pl.Int64(),
    "detector": pl.String(),
    "transaction_id": pl.String(),
    "event_time": pl.Datetime("us", "UTC"),
    "arrived_at": pl.Datetime("us", "UTC"),
}
"""The columns that every row has."""


def frame_of(records: Iterable[Record], layouts: Layouts) -> pl.DataFrame:
    """All rows of some records, in order; columns that only some of them have are null elsewhere."""
    frames = [_expanded(alike, layouts) for alike in _alike(records)]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame(schema=BASE)


def _alike(records: Iterable[Record]) -> list[list[Record]]:
    """Neighbouring records with the same layout, columns and facts, which are expanded in one go."""
    groups: list[list[Record]] = []
    last = None
    for record in records:
        if len(record):
            shapes = [(name, _width(column)) for name, column in record.columns.items()]
            signature = (record.detector, record.meta.get("layout"), shapes, sorted(_facts(record.meta)))
            if signature != last:
                groups.append([])
            groups[-1].append(record)
            last = signature
    return groups


def _width(column: Any) -> tuple[int, ...]:
    return column.shape[1:] if isinstance(column, np.ndarray) else ()


def _expanded(records: Sequence[Record], layouts: Layouts) -> pl.DataFrame:
    layout = layouts.get(str(records[0].meta.get("layout")), {})
    series = [
        pl.Series("seq", np.concatenate([np.arange(r.first_seq, r.first_seq + len(r)) for r in records])),
        _per_record("detector", records, [r.detector for r in records]),
        pl.Series("transaction_id", [text for r in records for text in r.ids], pl.String()),
        _times("event_time", np.concatenate([r.time_us for r in records])),
        _times("arrived_at", np.concatenate([r.arrived_us for r in records])),
    ]
    for name in records[0].columns:
        series += _columns(name, [r.columns[name] for r in records], layout.get(name, ()))
    for name in _facts(records[0].meta):
        series.append(_per_record(name, records, [_facts(r.meta)[name] for r in records]))
    return pl.DataFrame(list({s.name: s for s in reversed(series)}.values())[::-1])


def _facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a record's meta, those one level down named `outer_inner`."""
    flat = {name: value for name, value in meta.items() if name != "layout" and _plain(value)}
    for outer, inner in meta.items():
        if isinstance(inner, dict):
            flat.update({f"{outer}_{name}": value for name, value in inner.items() if _plain(value)})
    return flat


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _per_record(name: str, records: Sequence[Record], values: Sequence[Any]) -> pl.Series:
    rows = np.repeat(np.arange(len(records)), [len(record) for record in records])
    return pl.Series(name, values, strict=False).gather(rows)


def _columns(name: str, parts: Sequence[Any], fields: Sequence[ArchiveField]) -> list[pl.Series]:
    if isinstance(parts[0], list):
        field = fields[0] if fields else ArchiveField(name, "text")
        return [pl.Series(field.name, [text for part in parts for text in part], pl.String())] if field.name else []
    whole = np.concatenate(parts)
    if whole.ndim == 1:
        return _typed([whole], fields or [ArchiveField(name, _type_of(whole))])
    matrix = whole.reshape(len(whole), -1)
    fields = [*fields, *(ArchiveField(f"{name}_{k}", _type_of(whole)) for k in range(len(fields), matrix.shape[1]))]
    return _typed([matrix[:, k] for k in range(matrix.shape[1])], fields)


def _type_of(array: NDArray[Any]) -> Any:
    return {"b": "boolean", "i": "integer", "u": "integer"}.get(array.dtype.kind, "number")


def _typed(columns: Sequence[NDArray[Any]], fields: Sequence[ArchiveField]) -> list[pl.Series]:
    return [_series(field, column) for column, field in zip(columns, fields, strict=False) if field.name]


def _series(field: ArchiveField, values: NDArray[Any]) -> pl.Series:
    series = pl.Series(field.name, np.ascontiguousarray(values), nan_to_null=values.dtype.kind == "f")
    if field.values or field.type == "text":
        known = pl.Series(field.name, list(field.values), pl.String())
        places = series.cast(pl.Int64)
        inside = (places >= 0) & (places < len(known))
        return known.gather(places.zip_with(inside, pl.Series([None], dtype=pl.Int64)))
    casts: dict[str, pl.DataType] = {"integer": pl.Int64(), "boolean": pl.Boolean(), "number": pl.Float64()}
    return _times(field.name, values) if field.type == "time" else series.cast(casts[field.type])


def _times(name: str, values: NDArray[Any]) -> pl.Series:
    series = pl.Series(name, np.ascontiguousarray(values), nan_to_null=values.dtype.kind == "f")
    return series.cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
