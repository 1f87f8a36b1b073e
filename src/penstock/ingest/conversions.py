"""Conversions of recorded columns whose form is not the reader's own: other names, time formats, decimal commas, label words.

A detector's function `recorded` applies them to a file as it was published. A column that is missing, or that is
converted already, stays as it is; so does a value that does not have the form, which the reader then refuses by its row.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from penstock.clock import duration_us

_ISO = "%Y-%m-%dT%H:%M:%S%.6f"


def renamed(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """The frame with other column names, by the names in the file. A name that the frame already has stays.

    >>> renamed(pl.DataFrame({"Amount": [1.0]}), {"Amount": "amount"}).columns
    ['amount']
    """
    there = {old: new for old, new in names.items() if old in frame.columns and new not in frame.columns}
    return frame.rename(there)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with nested fields as columns of their own: `{"card": {"id": 7}}` becomes `card_id`.

    >>> flat(pl.DataFrame({"card": [{"id": 7}]})).columns
    ['card_id']
    """
    while nested := [name for name, kind in frame.schema.items() if isinstance(kind, pl.Struct)]:
        for name in nested:
            inner = frame[name].struct.unnest()
            frame = frame.drop(name).with_columns(
                inner[each].alias(f"{name}_{each}") for each in inner.columns if f"{name}_{each}" not in frame.columns
            )
    return frame


def without_marks(frame: pl.DataFrame, marks: Sequence[str]) -> pl.DataFrame:
    """The frame with null in place of texts that stand for a missing value.

    >>> without_marks(pl.DataFrame({"a": ["x", "NULL"]}), ["NULL"])["a"].to_list()
    ['x', None]
    """
    return frame.with_columns(pl.when(pl.col(pl.String).is_in(list(marks)).not_()).then(pl.col(pl.String)).name.keep())


def read_times(frame: pl.DataFrame, field: str, pattern: str, *, of: Sequence[str] = ()) -> pl.DataFrame:
    """Times in the form of `pattern` (as in strptime) as ISO 8601.

    of: the columns that the pattern describes, joined by a space, where it is not the field itself.

    >>> read_times(pl.DataFrame({"at": ["31/12/2025 22:15"]}), "at", "%d/%m/%Y %H:%M")["at"].item()
    '2025-12-31T22:15:00.000000'
    """
    columns = list(of) or [field]
    if not set(columns) <= set(frame.columns) or (of and field in frame.columns):
        return frame
    if not of and not _is_text_or_whole(frame[field]):
        return frame
    text = pl.concat_str([pl.col(name).cast(pl.String).str.strip_chars() for name in columns], separator=" ")
    return frame.with_columns(pl.coalesce(parsed_times(text, pattern).dt.strftime(_ISO), text).alias(field))


def parsed_times(text: pl.Expr, pattern: str) -> pl.Expr:
    """Texts of this form as local times; null where a text has another form."""
    return text.str.to_datetime(pattern, time_unit="us", strict=False)


def read_steps(frame: pl.DataFrame, field: str, step: str, *, every: str, start: datetime) -> pl.DataFrame:
    """A time made of a number of steps since `start`, where the frame has none.

    >>> from datetime import UTC
    >>> read_steps(pl.DataFrame({"step": [1]}), "at", "step", every="1h", start=datetime(2020, 1, 1, tzinfo=UTC))["at"].item()
    datetime.datetime(2020, 1, 1, 1, 0, tzinfo=zoneinfo.ZoneInfo(key='UTC'))
    """
    if field in frame.columns or step not in frame.columns:
        return frame
    since_us = (pl.col(step).cast(pl.Float64, strict=False) * duration_us(every, what="every")).round().cast(pl.Int64)
    first = pl.lit(start).cast(pl.Datetime("us", "UTC"))
    return frame.with_columns((first + pl.duration(microseconds=since_us)).alias(field))


def read_numbers(frame: pl.DataFrame, field: str, *, decimal: str = ".", thousands: str = "") -> pl.DataFrame:
    """Numbers written as texts with a decimal comma, separated thousands, or a currency.

    >>> read_numbers(pl.DataFrame({"amount": ["1.234,50 €"]}), "amount", decimal=",", thousands=".")["amount"].item()
    '1234.50'
    """
    if field not in frame.columns or frame[field].dtype != pl.String:
        return frame
    plain = plain_numbers(pl.col(field), decimal, thousands)
    return frame.with_columns(pl.when(plain.cast(pl.Float64, strict=False).is_null()).then(field).otherwise(plain).alias(field))


def plain_numbers(text: pl.Expr, decimal: str, thousands: str) -> pl.Expr:
    """Texts of numbers as computers write them: without blanks, currency and thousands, with a decimal point."""
    bare = text.str.replace_all(r"[\s\u00a0\u202f]|[$€£¥₹₽]|^[A-Z]{3}|[A-Z]{3}$", "")
    for each in thousands:
        bare = bare.str.replace_all(each, "", literal=True)
    return bare if decimal == "." else bare.str.replace_all(decimal, ".", literal=True)


def read_labels(frame: pl.DataFrame, field: str, *, fraud: Sequence[str]) -> pl.DataFrame:
    """Labels written as words: true for these, false for others, null if absent.

    >>> read_labels(pl.DataFrame({"is_fraud": ["Yes", "No", None]}), "is_fraud", fraud=["Yes"])["is_fraud"].to_list()
    [True, False, None]
    """
    if field not in frame.columns or frame[field].dtype == pl.Boolean:
        return frame
    return frame.with_columns(pl.col(field).cast(pl.String).is_in(list(fraud)).alias(field))


def _is_text_or_whole(column: pl.Series) -> bool:
    return column.dtype == pl.String or column.dtype.is_integer()
