"""Readers of recorded data: files and frames as columns of a detector's events, in arrival order.

Values are converted to the types that the detector's event declares. A file that lacks
a column is an error; an invalid row is refused with its cause, as it would be live, and the other rows are used.
`accepted` refuses data of which more than a share of the rows (default: 1 %) was refused. Times are read by
`penstock.ingest.times`, as live.

Four optional columns mean the same in every file: `arrived_at` (when the event came in; without it events
arrive in order of time and row), `label_known_at` (when its label became known; without it the declared delay after the
event), `decision` (the decision at that time: a stopped event without a label is unknown to training, not good),
and `type` (the kind of event, where a detector has informing events).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.clock import from_us
from penstock.errors import DataError, RowsRefused, did_you_mean
from penstock.ingest import Reader
from penstock.ingest.kernel import END_US, NAIVE, READ
from penstock.ingest.series import column_instants
from penstock.messages import Layout

if TYPE_CHECKING:
    from penstock.detector import Detector

TIMES = ("arrived_at", "label_known_at")
DECISION = "decision"
ROW = "row"
"""The column that says where in the file a row stood, from 0."""

_TIME = pl.Datetime("us", "UTC")
_FIRST, _END = from_us(0), from_us(END_US)
_TRUE, _FALSE = ["true", "t", "1", "1.0", "yes"], ["false", "f", "0", "0.0", "no"]
MOST_REFUSED = 0.01
"""The share of rows that may be refused unless said otherwise; a run on data with more of them fails."""
_CAUSES = 3


@dataclass(frozen=True)
class Recorded:
    """Events read from a file or frame.

    name: the file, for messages. frame: `row`, then the event's columns with their declared types, in arrival order.
    refused: one row per refused row, with `row`, `field` and `message`.
    """

    name: str
    frame: pl.DataFrame
    refused: pl.DataFrame

    @property
    def refusals(self) -> str:
        """How many rows were refused, in which columns, with the first cause in each; empty where none was."""
        if self.refused.is_empty():
            return ""
        by_field = self.refused.group_by("field", maintain_order=True).agg(pl.len(), pl.col(ROW, "message").first())
        causes = [
            f"{count:,} for column {field!r}, first row {row} ({message})"
            for field, count, row, message in by_field.sort("len", descending=True, maintain_order=True).head(_CAUSES).rows()
        ]
        rows = len(self.frame) + len(self.refused)
        return f"{self.name}: {len(self.refused):,} of {rows:,} rows are no events and were refused: {'; '.join(causes)}"

    def repeats(self, id_: str, rows: NDArray[np.int64]) -> str:
        """How many rows were no events because their id had come before, and how many of them differ; empty where none was.

        id_: the column of ids. rows: where the decided events stand in the frame.
        """
        if len(rows) == len(self.frame):
            return ""
        decided, others = self.frame[rows], self.frame[np.setdiff1d(np.arange(len(self.frame)), rows)]
        others = others.join(decided.select(id_).unique(), on=id_, how="semi")  # without informing events
        content = [name for name in others.columns if name not in (ROW, *TIMES)]
        differ = others.join(decided, on=content, how="anti", nulls_equal=True)
        if others.is_empty():
            return ""
        return (
            f"{self.name}: {len(others):,} of {len(self.frame):,} rows repeat the id of an earlier row and were left out,"
            f" {len(differ):,} of them with other content"
        )


def accepted(recorded: Recorded, most: float = MOST_REFUSED) -> Recorded:
    """The data, provided that at most this share of its rows was refused.

    Raises:
        RowsRefused: more were; the message gives the number, the columns and causes.
    """
    if len(recorded.refused) > most * (len(recorded.frame) + len(recorded.refused)):
        raise RowsRefused(
            f"{recorded.refusals}; at most {most:.4g} of all rows may be refused: repair the data, or allow a larger share"
            " (--max-refused, or max_refused= in Python)"
        )
    return recorded


def read(data: Any, detector: "Detector", *, name: str | None = None, first: int = 0) -> Recorded:
    """Read recorded events.

    Args:
        data: the path of a .csv, .parquet or .ndjson (.jsonl) file, or a frame (polars, pandas, Arrow); the result of
            `read` is returned unchanged.
        detector: declares the columns and their types.
        name: what messages, and rows without an id, call the data; the file's path unless given.
        first: the number of the first row, where the data is a part of a file.

    Raises:
        DataError: naming the file and the column, and what was expected.
    """
    if isinstance(data, Recorded):
        return data
    given, frame = _frame(data)
    name = name or given
    if detector.recorded is not None:
        frame = detector.recorded(frame)
    frame = frame.drop(ROW, strict=False).with_row_index(ROW, offset=first)
    fields = _fields(detector)
    _check_columns(name, frame, fields, detector)
    typed = frame.select(
        ROW, *(_column(name, frame, field, detector) for field in fields.values()), *_extras(name, frame, fields, detector)
    )
    typed, refused = _without_malformed(frame, typed, fields, detector)
    typed = _with_ids(typed, detector, name)
    typed, refused = _without_refused(typed, refused, detector)
    order = next(name for name in ("arrived_at", detector.time) if name in typed.columns)
    in_order = not typed[order].null_count() and typed[order].is_sorted()
    return Recorded(name, typed if in_order else typed.sort([order, ROW]), refused)


def readings(frame: pl.DataFrame, detector: "Detector") -> dict[str, str]:
    """How the columns are read whose reading follows from all of their values together; without those that hold nothing.

    A file that is read in parts is read as a whole only where all parts agree in this.
    """
    if detector.recorded is not None:
        frame = detector.recorded(frame)
    found: dict[str, str] = {}
    for field in _fields(detector).values():
        if field.name not in frame.columns or frame[field.name].null_count() == len(frame):
            continue
        column = frame[field.name]
        if field.kind is str and column.dtype.is_float():
            found[field.name] = "whole numbers" if _are_whole(column) else "fractions"
    return found


# ---------------------------------------------------------------- reading


def _frame(data: Any) -> tuple[str, pl.DataFrame]:
    if isinstance(data, str | Path):
        return str(data), read_file(Path(data))
    if isinstance(data, pl.LazyFrame):
        return "the frame", data.collect()
    if isinstance(data, pl.DataFrame):
        return "the frame", data
    try:
        return "the frame", pl.DataFrame(data)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"a {type(data).__name__} cannot be read as recorded events: {error}; give a file or a frame"
        ) from error


def read_file(path: Path) -> pl.DataFrame:
    """The columns of a recorded file as they stand there; those of a CSV file are texts.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}.{_neighbours(path)}")
    try:
        match path.suffix.lower():
            case ".parquet":
                return pl.read_parquet(path)
            case ".csv":
                return _of_csv(
                    pl.read_csv(path, infer_schema=False, separator=_separator(path))
                )  # as texts, so that a key 007 stays 007
            case ".ndjson" | ".jsonl":
                return pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error
    raise DataError(f"{path}: a recorded file ends in .csv, .parquet, .ndjson or .jsonl")


def _separator(path: Path) -> str:
    """What separates the columns of a CSV file: in countries with a decimal comma, that is a semicolon."""
    with path.open("rb") as file:
        header = file.readline(_LONGEST_HEADER).decode("utf-8", "replace")
    return max(",;\t|", key=header.count)  # the comma, if there is no separator


_LONGEST_HEADER = 1 << 20


def as_csv(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame prepared for a CSV file: a text that a spreadsheet would take for a formula is prefixed by a quote.

    Texts in lists and structs, and numbers, stay unchanged.
    """
    return frame.with_columns(pl.col(pl.String, pl.Categorical).cast(pl.String).str.replace(_FORMULA, "'$0"))


def _of_csv(frame: pl.DataFrame) -> pl.DataFrame:
    """The texts of such a file, without these quotes."""
    quoted = [name for name in frame.columns if frame[name].str.starts_with("'").any()]
    return frame.with_columns(pl.col(quoted).str.replace(f"^'({_FORMULA[1:]})", "$1"))


_FORMULA = "^'*[=+\\-@\\t\\r]"
"""As in `penstock.wording.csv_cell`."""

_SUFFIXES = {".csv", ".parquet", ".ndjson", ".jsonl"}


def _neighbours(path: Path) -> str:
    """The recorded files in the folder of a missing path."""
    folder = path.parent
    if not folder.is_dir():
        return f" {folder} is not a folder."
    return did_you_mean(path.name, [found.name for found in folder.iterdir() if found.suffix in _SUFFIXES])


# ---------------------------------------------------------------- columns


@dataclass(frozen=True)
class _Field:
    name: str
    kind: type
    required: bool
    bounds: tuple[tuple[str, float], ...] = ()


def _fields(detector: "Detector") -> dict[str, _Field]:
    """The fields of the event and of every informing event; one that a kind lacks is not required."""
    structs = [detector.event, *detector.informs]
    named = [{field.encode_name: field for field in msgspec.structs.fields(struct)} for struct in structs]
    found = {"type": _Field("type", str, required=False)} if detector.informs else {}
    for fields in named:
        for name, field in fields.items():
            everywhere = all(name in other and other[name].required for other in named)
            kind, bounds = _base(field.type)
            found.setdefault(name, _Field(name, kind, everywhere, bounds))
    return found


def _base(kind: Any) -> tuple[type, tuple[tuple[str, float], ...]]:
    """The plain Python type under `Annotated` and `| None`, and its constraints."""
    for part in _parts(msgspec.inspect.type_info(kind)):
        if type(part) in _KINDS:
            given = [(name, getattr(part, name, None)) for name in _BOUNDS]
            return _KINDS[type(part)], tuple((name, bound) for name, bound in given if bound is not None)
    return str, ()


def _parts(inspected: Any) -> list[Any]:
    """The members of a union type, without annotations."""
    match inspected:
        case msgspec.inspect.Metadata(type=inner):
            return _parts(inner)
        case msgspec.inspect.UnionType(types=types):
            return [part for inner in types for part in _parts(inner)]
        case _:
            return [inspected]


_BOUNDS = {"ge": ("at least", "__ge__"), "gt": ("above", "__gt__"), "le": ("at most", "__le__"), "lt": ("below", "__lt__")}
_KINDS: dict[type, type] = {
    msgspec.inspect.DateTimeType: datetime,
    msgspec.inspect.FloatType: float,
    msgspec.inspect.IntType: int,
    msgspec.inspect.BoolType: bool,
    msgspec.inspect.StrType: str,
}


def _check_columns(name: str, frame: pl.DataFrame, fields: dict[str, _Field], detector: "Detector") -> None:
    for field in fields.values():
        if field.required and field.name not in frame.columns:
            raise DataError(
                f"{name} has no column {field.name!r}, which an event of {detector.name!r} needs."
                + did_you_mean(field.name, frame.columns)
            )


def _column(name: str, frame: pl.DataFrame, field: _Field, detector: "Detector") -> pl.Series:
    if field.name not in frame.columns:
        return pl.Series(field.name, [None] * len(frame), _TYPES[field.kind])
    column = frame[field.name]
    if field.kind is datetime:
        return _times(name, column, detector)
    if field.kind is bool:
        return _booleans(column)
    if field.kind is str and column.dtype.is_float() and _are_whole(column):
        column = column.cast(pl.Int64)  # 17.0 where a gap turned whole numbers into floats
    typed = column.cast(_TYPES[field.kind], strict=False)
    if field.kind is int and column.dtype.is_float():
        typed = typed.set(column != typed, None)  # 1.5 is no whole number
    return typed.fill_nan(None) if field.kind is float else typed


_TYPES: dict[type, Any] = {str: pl.String, float: pl.Float64, int: pl.Int64, bool: pl.Boolean, datetime: _TIME}


def _extras(file: str, frame: pl.DataFrame, fields: dict[str, _Field], detector: "Detector") -> list[pl.Series]:
    """The columns that mean the same in every file, unless the event declares one itself."""
    there = [column for column in (*TIMES, DECISION) if column in frame.columns and column not in fields]
    return [frame[name].cast(pl.String) if name == DECISION else _times(file, frame[name], detector) for name in there]


def _booleans(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:
        return column
    text = pl.col(column.name).cast(pl.String).str.to_lowercase()
    known = pl.when(text.is_in(_TRUE)).then(True).when(text.is_in(_FALSE)).then(False)
    return column.to_frame().select(known.alias(column.name)).to_series()


def _times(name: str, column: pl.Series, detector: "Detector") -> pl.Series:
    """Times as microseconds in UTC, null for invalid values."""
    found = column_instants(column, detector.schema.naive_times)
    if found is None:
        raise DataError(
            f"{name}: column {column.name!r} holds {column.dtype}, where times are needed (ISO 8601, or seconds since 1970)"
        )
    instant_us, state = found
    if (state == NAIVE).any() and not (state == READ).any():
        raise DataError(
            f"{name}: column {column.name!r} holds times without a zone, as {column.drop_nulls()[0]};"
            " say what they mean: Detector(naive_times='UTC')"
        )
    times = pl.Series(column.name, np.where(state == READ, instant_us, 0))
    return times.set(pl.Series(state != READ), None).cast(_TIME)


def _are_whole(column: pl.Series) -> bool:
    return bool((column.drop_nulls() % 1 == 0).all())


# ---------------------------------------------------------------- rows


def _without_malformed(
    raw: pl.DataFrame, typed: pl.DataFrame, fields: dict[str, _Field], detector: "Detector"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that can be events, and why the others cannot."""
    extras = [_Field(name, datetime, required=False) for name in TIMES if name in typed.columns and name not in fields]
    causes = [
        _refused_by(raw, typed, field, needed=field.required or field.name == detector.time)
        for field in (*fields.values(), *extras)
    ]
    checked = chain(*causes, _outside_times(raw, typed, detector.time), _known_too_early(raw, typed, detector))
    found = [refusals for refusals in checked if len(refusals)]
    if not found:
        return typed, pl.DataFrame(schema={ROW: typed.schema[ROW], "field": pl.String, "message": pl.String})
    refused = pl.concat(found).sort(ROW).unique(ROW, keep="first", maintain_order=True)
    return typed.join(refused.select(ROW), on=ROW, how="anti", maintain_order="left"), refused


def _refused_by(raw: pl.DataFrame, typed: pl.DataFrame, field: _Field, *, needed: bool) -> Iterator[pl.DataFrame]:
    """The rows that this field refuses; a column without gaps is not looked at row by row."""
    name = field.name
    gaps = raw[name].null_count() if name in raw.columns else len(raw)
    if name in raw.columns and typed[name].null_count() > gaps:
        lost = raw[name].is_not_null() & typed[name].is_null()
        if field.kind is datetime and raw[name].dtype == pl.String:
            found = column_instants(raw[name], None)
            assert found is not None
            naive = pl.Series(found[1] == NAIVE) & lost
            yield _refusals(raw, naive, name, "has no zone, and the detector does not say what that means: naive_times='UTC'")
        yield _refusals(raw, lost, name, f"is not a {_WORDS[field.kind]}")
    if needed and gaps:
        yield _refusals(
            raw, raw[name].is_null() if name in raw.columns else pl.repeat(True, len(raw), eager=True), name, "is missing"
        )
    for bound_name, bound in field.bounds:
        words, comparison = _BOUNDS[bound_name]
        kept = getattr(typed[name], comparison)(bound)
        if not kept.all(ignore_nulls=True):
            yield _refusals(raw, ~kept.fill_null(value=True), name, f"must be {words} {bound:g}")


def _without_refused(typed: pl.DataFrame, refused: pl.DataFrame, detector: "Detector") -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same without the rows that a detector's reader refuses for any other reason."""
    layout = Layout()
    for name, type_ in detector.schema.columns.items():
        layout.add(name, type_)
    reader = Reader(detector.schema, layout, personal_key=bytes(32))
    arrived_us = typed["arrived_at"].to_physical().fill_null(0).to_numpy() if "arrived_at" in typed.columns else None
    found = [(at, *refusal.errors[0]) for at, refusal in reader.refusals(typed, arrived_us)]
    if not found:
        return typed, refused
    rows = [(typed[ROW][at], field, message.removeprefix(f"row {at}: ")) for at, field, message in found]
    more = pl.DataFrame(rows, schema=refused.schema, orient="row")
    return typed.join(more.select(ROW), on=ROW, how="anti", maintain_order="left"), pl.concat([refused, more]).sort(ROW)


def _outside_times(raw: pl.DataFrame, typed: pl.DataFrame, time: str) -> Iterator[pl.DataFrame]:
    inside = typed[time].is_between(_FIRST, _END, closed="left")
    if not inside.all(ignore_nulls=True):
        yield _refusals(raw, ~inside.fill_null(value=True), time, "lies outside 1970 to 2100")


def _known_too_early(raw: pl.DataFrame, typed: pl.DataFrame, detector: "Detector") -> Iterator[pl.DataFrame]:
    """Rows whose label was known before their event, by more than clocks may differ."""
    label = detector.label
    if label is None:
        return
    happened = pl.min_horizontal(detector.time, *(["arrived_at"] if "arrived_at" in typed.columns else []))
    earliest = typed.select(happened - pl.duration(microseconds=detector.skew_us)).to_series()
    for name in [each for each in (label.known_at, "label_known_at") if each in typed.columns and each is not None]:
        early = (typed[name] < earliest).fill_null(value=False)
        if early.any():
            yield _refusals(raw, early, name, "lies before the event: nobody can have known its label then")


_WORDS: dict[type, str] = {
    str: "text",
    float: "number",
    int: "whole number",
    bool: "boolean",
    datetime: "time (ISO 8601, or seconds since 1970)",
}


def _refusals(raw: pl.DataFrame, where: pl.Series, field: str, message: str) -> pl.DataFrame:
    found = raw.filter(where)
    shown = (
        found[field].cast(pl.String, strict=False) if field in raw.columns else pl.Series([None] * len(found), dtype=pl.String)
    )
    text = pl.when(shown.is_null()).then(pl.lit(f"{field} {message}")).otherwise(pl.format(f"{field}: {{}} {message}", shown))
    return found.select(ROW, pl.lit(field).alias("field"), text.alias("message"))


def _with_ids(typed: pl.DataFrame, detector: "Detector", name: str) -> pl.DataFrame:
    """Rows without an id are named after their file and place in it."""
    if not typed[detector.id].null_count():
        return typed
    made = pl.format("{}-{}", pl.lit(Path(name).stem.replace(" ", "-")), pl.col(ROW))
    return typed.with_columns(pl.col(detector.id).fill_null(made))
