"""Conversion of one column of recorded data to a field's type: numbers, booleans, times or texts.

Each function returns the values and two masks: `unread` for present values that cannot be read, `bad` for values that the
declaration does not allow.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.codes import buffer_codes
from penstock.ingest.field import Field
from penstock.ingest.kernel import NAIVE, NULL, READ
from penstock.ingest.refusals import value_fault
from penstock.ingest.times import number_instants, outside, text_instants, to_utc

Mask = NDArray[np.bool_]

TRUE, FALSE = ("true", "t", "yes", "1", "1.0"), ("false", "f", "no", "0", "0.0")
"""What texts stand for in boolean columns, in any case."""


@dataclass(slots=True)
class Numbers:
    """Numbers or booleans; NaN where null."""

    values: NDArray[np.float64]
    unread: Mask
    bad: Mask


@dataclass(slots=True)
class Instants:
    """Times in microseconds, valid where present; naive where they had no zone and none is declared."""

    values: NDArray[np.int64]
    present: Mask
    unread: Mask
    bad: Mask
    naive: Mask


@dataclass(slots=True)
class Words:
    """Texts with their codes."""

    values: pl.Series
    codes: NDArray[np.int64]
    unread: Mask
    bad: Mask


def read_numbers(field: Field, column: pl.Series) -> Numbers | None:
    """Numbers from numbers or texts; None where the column holds neither."""
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)):
        return None
    values = column.cast(pl.Float64, strict=False)
    lost = values.null_count() > column.null_count()
    unread = (column.is_not_null() & values.is_null()).to_numpy() if lost else np.zeros(len(column), np.bool_)
    found = floats(values)
    bad = ~within(found, field.bounds)  # infinity too
    if field.whole:
        bad |= (np.rint(found) != found) & ~np.isnan(found)
    return Numbers(found, unread, bad & ~unread)


def read_booleans(column: pl.Series) -> Numbers | None:
    """Booleans from booleans, 0 and 1, or texts; None where the column holds neither."""
    if column.dtype == pl.String:
        lower = column.str.to_lowercase()
        known = pl.when(pl.col("").is_in(TRUE)).then(1.0).when(pl.col("").is_in(FALSE)).then(0.0)
        values = floats(lower.alias("").to_frame().select(known.alias("")).to_series())
    elif column.dtype == pl.Boolean or column.dtype.is_numeric() or column.dtype == pl.Null:
        values = floats(column.cast(pl.Float64))
    else:
        return None
    given = column.is_not_null().to_numpy() & ~(np.isnan(values) & column.dtype.is_float())
    unread = given & (values != 0) & (values != 1)
    return Numbers(np.where(unread, np.nan, values), unread, np.zeros(len(values), np.bool_))


def read_times(column: pl.Series, zone: str | None, first_us: int) -> Instants | None:
    """Times from dates and times of any unit and zone, ISO 8601 texts, or numbers; None for other columns."""
    found = column_instants(column, zone)
    if found is None:
        return None
    values, state = found
    present = state == READ
    unread = ~present & (state != NULL)
    far = present & outside(values, first_us)
    return Instants(values, present & ~far, unread, far, state == NAIVE)


def column_instants(column: pl.Series, zone: str | None) -> tuple[NDArray[np.int64], NDArray[np.uint8]] | None:
    """The instants of a column in microseconds and the state of each; None where it holds no times."""
    if column.dtype == pl.String:
        return _text_instants(column, zone)
    if column.dtype.is_numeric():
        return number_instants(floats(column.cast(pl.Float64)))  # whole microseconds until 2255 are exact in float64
    if column.dtype == pl.Null:
        return np.zeros(len(column), np.int64), np.full(len(column), NULL, np.uint8)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if not isinstance(column.dtype, pl.Datetime):
        return None
    values = column.dt.cast_time_unit("us").to_physical().fill_null(0).to_numpy().astype(np.int64)
    state = np.full(len(column), READ, np.uint8)
    if column.null_count():
        state[column.is_null().to_numpy()] = NULL
    if column.dtype.time_zone is None:
        if zone is None:
            state[state == READ] = NAIVE
        else:
            values = to_utc(values, zone)
    return values, state


def _text_instants(column: pl.Series, zone: str | None) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    data, offsets, valid = buffers(column)
    values, state = text_instants(data, offsets, zone)
    state[~valid] = NULL
    return values, state


def read_texts(field: Field, column: pl.Series) -> Words | None:
    """Texts from texts, categories and whole numbers; None where the column holds something else."""
    words = spelled(column)
    if words is None:
        return None
    data, offsets, valid = buffers(words)
    bad = _disallowed(field, words) if field.choices is not None or field.limits else np.zeros(len(column), np.bool_)
    if field.max_bytes is not None:
        bad |= np.diff(offsets) > field.max_bytes
    unread = np.zeros(len(column), np.bool_)  # a column is texts as a whole, or not at all
    return Words(words, buffer_codes(data, offsets, valid), unread, bad)


def spelled(column: pl.Series) -> pl.Series | None:
    """A column as texts; None where it holds neither texts nor whole numbers."""
    if column.dtype == pl.String:
        return column
    if column.dtype.is_integer() or column.dtype in (pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String)
    if column.dtype.is_float():  # 17.0 where a gap turned whole numbers into floats
        values = column.fill_nan(None)
        whole = values.is_null() | ((values == values.round()) & (values.abs() < 2**53))
        if whole.all():
            return values.cast(pl.Int64).cast(pl.String)
    return None


def _disallowed(field: Field, column: pl.Series) -> Mask:
    wrong = [text for text in column.unique().drop_nulls().to_list() if value_fault(field, text) is not None]
    return column.is_in(wrong).fill_null(value=False).to_numpy() if wrong else np.zeros(len(column), np.bool_)


def buffers(column: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64], Mask]:
    """The texts of a column end to end, where each starts, and which are not null."""
    offsets = np.zeros(len(column) + 1, np.int64)
    np.cumsum(column.str.len_bytes().fill_null(0).to_numpy(), out=offsets[1:])
    joined: str = column.str.join("").item()
    valid = column.is_not_null().to_numpy() if column.null_count() else np.ones(len(column), np.bool_)
    return np.frombuffer(joined.encode(), np.uint8), offsets, valid


def floats(column: pl.Series) -> NDArray[np.float64]:
    """A numeric column as a new array, NaN for null."""
    return np.array(column.to_numpy(), np.float64)


def within(values: NDArray[np.float64], bounds: dict[str, float]) -> Mask:
    """Which numbers keep to the bounds; null does."""
    kept = np.ones(len(values), np.bool_)
    for name, bound in bounds.items():
        match name:
            case "ge":
                kept &= ~(values < bound)
            case "gt":
                kept &= ~(values <= bound)
            case "le":
                kept &= ~(values > bound)
            case "lt":
                kept &= ~(values >= bound)
            case "multiple_of":
                kept &= ~(np.remainder(values, bound) != 0) | np.isnan(values)
    return kept
