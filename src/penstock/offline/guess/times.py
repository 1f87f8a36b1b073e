"""Which column says when an event happened, in which form, and in which zone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.errors import DataError
from penstock.ingest.conversions import parsed_times
from penstock.ingest.kernel import NAIVE, READ
from penstock.ingest.series import column_instants
from penstock.ingest.times import outside, to_utc
from penstock.offline.guess.guessed import NOT_A_TIME, Guess, Sure, Time
from penstock.offline.guess.profile import SAMPLE, FileColumn

TIME = ("timestamp", "datetime", "time", "date", "ts", "created", "when", "occurred", "zeit", "datum", "dt", "unix", "epoch")
_OF_THE_EVENT = ("transaction", "trans", "txn", "tx", "purchase", "payment", "event", "order", "booking", "timestamp")
OTHERS = (
    "birth",
    "dob",
    "signup",
    "sign",
    "signed",
    "registered",
    "registration",
    "opened",
    "joined",
    "since",
    "expiry",
    "expires",
)
AFTERWARDS = (
    "settle",
    "chargeback",
    "dispute",
    "updated",
    "modified",
    "resolved",
    "reported",
    "known",
    "closed",
    "posted",
    "label",
)
_STEPS = ("step", "hour", "day", "dt", "time", "seconds", "minute", "tick")
_DAY_US, _HOUR_US = 86_400_000_000, 3_600_000_000
_MOSTLY = 0.98
_FIRST_US, _LAST_US = 631_152_000_000_000, 4_102_444_800_000_000  # the years 1990 to 2100
_CYCLE = 0.3

_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f", "%I:%M:%S %p", "%I:%M %p")
_DAY_FIRST = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_DATES = (
    *_DAY_FIRST,
    *_MONTH_FIRST,
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %B %Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d%b%Y",
)
_OTHERS = ("%Y%m%d%H%M%S", "%Y%m%d %H:%M:%S", "%Y%m%d %H%M%S", "%Y%m%d")


@dataclass(frozen=True)
class TimeColumn:
    """A column as times. instants_us: NOT_A_TIME where a value is not a time. pattern: None where the reader knows the form."""

    column: FileColumn
    instants_us: NDArray[np.int64]
    naive: bool
    said: str
    pattern: str | None = None
    unsure: str = ""
    with_time: FileColumn | None = None
    every: str | None = None

    @property
    def known(self) -> NDArray[np.int64]:
        """The instants that could be read."""
        known: NDArray[np.int64] = self.instants_us[self.instants_us != NOT_A_TIME]
        return known

    @property
    def by_day(self) -> bool:
        """Whether no time of day is given."""
        return bool((self.known % _DAY_US == 0).all())


def time_of(columns: Sequence[FileColumn]) -> tuple[Time, list[TimeColumn]]:
    """The time of the events, and the other columns that hold times.

    Raises:
        DataError: no column says when an event happened.
    """
    read = [found for column in columns if (found := read_as_times(column)) is not None]
    read = [each for each in read if len(each.known)]
    best = max(read, key=_points, default=None)
    if best is not None and _points(best) >= 0:
        others = [each for each in read if each is not best]
        return _time(_with_clock(best, columns), others), others
    made = _from_parts(columns) or next((_stepped(column) for column in columns if _counts_steps(column)), None)
    if made is None:
        raise DataError(
            "no column says when a payment happened, or none in a form that is known"
            f" (columns: {', '.join(column.name for column in columns)}); add a column with times as"
            " 2026-02-06T10:00:00Z, as seconds since 1970, or as a step that counts hours or days"
        )
    return made, read


def read_as_times(column: FileColumn) -> TimeColumn | None:
    """The column as times; None where it holds none."""
    values = column.values
    if isinstance(values.dtype, pl.Datetime) or values.dtype == pl.Date:
        return _reader(column, "dates and times with their type")
    if values.dtype == pl.String and column.form is None:
        return _iso(column) or _patterned(column)
    if column.is_whole:
        return _compact(column) or _since_1970(column)
    return None


# ---------------------------------------------------------------- forms


def _reader(column: FileColumn, said: str, values: pl.Series | None = None) -> TimeColumn | None:
    """As the reader of events reads it."""
    found = column_instants(column.values if values is None else values, None)
    if found is None:
        return None
    instants_us, state = found
    good = (state == READ) | (state == NAIVE)
    good &= ~outside(instants_us, NOT_A_TIME + 1)
    if not good.any() or good.sum() < _MOSTLY * (len(column) - column.values.null_count()):
        return None
    return TimeColumn(column, np.where(good, instants_us, NOT_A_TIME), bool((state == NAIVE).any()), said)


def _iso(column: FileColumn) -> TimeColumn | None:
    if not column.present.head(SAMPLE).str.contains(r"^\s*\d{4}-\d{1,2}-\d{1,2}").any():
        return None
    return _reader(column, "ISO 8601")


def _since_1970(column: FileColumn) -> TimeColumn | None:
    if not (column.like(TIME) or column.like(_OF_THE_EVENT)):
        return None
    values = column.numbers
    assert values is not None
    found = _reader(column, "a number since 1970", values)
    if found is None or not len(found.known) or found.known.min() < _FIRST_US or found.known.max() > _LAST_US:
        return None
    size = float(values.drop_nulls().abs().max())  # type: ignore[arg-type]  # numbers
    unit = "seconds" if size < 1e11 else "milliseconds" if size < 1e14 else "microseconds"
    return replace(found, naive=False, said=f"{unit} since 1970")


def _compact(column: FileColumn) -> TimeColumn | None:
    """Dates of digits alone, such as 20251231."""
    sample = column.present.head(SAMPLE).cast(pl.String)
    if not sample.str.contains(r"^(19|20)\d{6}(\d{6})?$").all():
        return None
    pattern = "%Y%m%d" if sample.str.len_chars().max() == 8 else "%Y%m%d%H%M%S"
    return _parsed(column, pattern)


def _patterned(column: FileColumn) -> TimeColumn | None:
    """The form that reads all values; day and month by what makes the times rise where both would do."""
    sample = column.present.head(SAMPLE).str.strip_chars()
    if not len(sample) or not sample.str.contains(r"\d").any():
        return None
    fitting = [pattern for pattern in _patterns(str(sample[0])) if _fits(sample, pattern)]
    found = [read for pattern in fitting if (read := _parsed(column, pattern)) is not None]
    if not found:
        return None
    best = min(found, key=lambda read: (_falls(read), read.pattern != found[0].pattern))
    other = next((read for read in found if read is not best and not np.array_equal(read.known, best.known)), None)
    if other is None:
        return best
    return replace(best, unsure=f"{other.pattern}, which reads every value too")


def _patterns(example: str) -> Iterator[str]:
    dates = [pattern for pattern in _DATES if _fits(pl.Series([example]), pattern)]
    if dates or not any(letter in example for letter in ": T"):
        yield from dates
    for date, between, clock in product(_DATES, (" ", "T", ", "), _CLOCKS):
        if _fits(pl.Series([example]), date + between + clock):
            yield date + between + clock
    # a first value of 31 or 13 settles the order of day and month for the example alone
    swapped = [pattern.replace("%d", "%1").replace("%m", "%d").replace("%1", "%m") for pattern in dates]
    yield from (pattern for pattern in swapped if pattern in _DATES and pattern not in dates)
    yield from _OTHERS


def _fits(sample: pl.Series, pattern: str) -> bool:
    try:
        parsed = _parse(sample, pattern)
    except pl.exceptions.PolarsError:
        return False
    return parsed.count() >= _MOSTLY * len(sample)


def _parse(values: pl.Series, pattern: str) -> pl.Series:
    if not any(letter in pattern for letter in ("%H", "%I")):
        return (
            values.alias("")
            .to_frame()
            .select(pl.col("").str.to_date(pattern, strict=False).cast(pl.Datetime("us")))
            .to_series()
        )
    return values.alias("").to_frame().select(parsed_times(pl.col(""), pattern)).to_series()


def _parsed(column: FileColumn, pattern: str) -> TimeColumn | None:
    return _of_text(column, column.values.cast(pl.String).str.strip_chars(), pattern)


def _of_text(column: FileColumn, texts: pl.Series, pattern: str) -> TimeColumn | None:
    values = _parse(texts, pattern)
    if values.count() < _MOSTLY * (len(column) - column.values.null_count()):
        return None
    found = values.to_physical().fill_null(NOT_A_TIME).to_numpy()
    known = found[found != NOT_A_TIME]
    if not len(known) or known.min() < -2_208_988_800_000_000 or known.max() > _LAST_US:
        return None
    return TimeColumn(column, found, naive=True, said=f"the form {pattern}", pattern=pattern)


def _falls(read: TimeColumn) -> float:
    """How often the times fall from one row to the next, and how far they reach: a wrong order of day and month does both."""
    steps = np.diff(read.known)
    return float((steps < 0).mean()) if len(steps) else 0.0


# ---------------------------------------------------------------- which of them


def _points(read: TimeColumn) -> float:
    column = read.column
    points = 3.0 if column.like(TIME) else 0.0
    points += 2.0 if column.like(_OF_THE_EVENT) else 0.0
    points -= 8.0 if column.like(OTHERS) or column.like(AFTERWARDS) else 0.0
    points += 2.0 if not read.by_day else 0.0
    points += 0.5 if read.said != "ISO 8601" and "since" not in read.said else 1.0
    points -= 20.0 * column.missing
    return points + (0.5 if _falls(read) == 0.0 else 0.0)


def _time(read: TimeColumn, others: Sequence[TimeColumn]) -> Time:
    column = read.column
    seen = f"{read.said}, as in {column.examples(2)}"
    zone = _zone(column)
    instants_us = read.instants_us
    if read.naive and zone:
        good = instants_us != NOT_A_TIME
        instants_us = np.where(good, to_utc(np.where(good, instants_us, 0), zone), NOT_A_TIME)
    if read.naive:
        seen += f"; without a zone, {'its name says' if zone else 'taken for'} {zone or 'UTC'}"
    otherwise = [read.unsure] if read.unsure else []
    otherwise += ["naive_times='Europe/Berlin' or another zone, where the times are local"] if read.naive and not zone else []
    rivals = [each.column.name for each in others if _points(each) > 0 and not _is_shifted(each, read)]
    otherwise += [f"the time is in {' or '.join(rivals)}"] if rivals else []
    sure: Sure = "unsure" if read.unsure or rivals else "likely" if read.naive and not zone else "sure"
    columns = (column,) if read.with_time is None else (column, read.with_time)
    field = column.field if read.with_time is None else _free("timestamp", columns)
    guess = Guess("time", (field,), sure, seen, "; ".join(otherwise))
    return Time(field, columns, instants_us, guess, read.pattern, naive=read.naive, zone=zone or "UTC", by_day=read.by_day)


def _is_shifted(other: TimeColumn, read: TimeColumn) -> bool:
    """Whether another column says the same, but for a constant: another zone, or another start."""
    both = (other.instants_us != NOT_A_TIME) & (read.instants_us != NOT_A_TIME)
    return bool(both.any()) and float(np.ptp(other.instants_us[both] - read.instants_us[both])) <= _DAY_US


def _free(name: str, columns: Sequence[FileColumn]) -> str:
    return name if all(column.field != name for column in columns) else f"{name}_utc"


def _zone(column: FileColumn) -> str | None:
    """The zone that the name of a column ends in."""
    return next((zone for word, zone in _ZONES.items() if word in column.words), None)


_ZONES = {
    "utc": "UTC",
    "gmt": "UTC",
    "cet": "Europe/Berlin",
    "est": "America/New_York",
    "pst": "America/Los_Angeles",
    "ist": "Asia/Kolkata",
}


# ---------------------------------------------------------------- times in several columns, and steps


def _with_clock(read: TimeColumn, columns: Sequence[FileColumn]) -> TimeColumn:
    """Dates together with the column that holds their time of day, where there is one."""
    if not read.by_day or not read.naive:
        return read
    for column in columns:
        if column is read.column or not column.is_text or column.like(("time", "hour", "clock", "zeit", "uhrzeit")) is None:
            continue
        sample = column.present.head(SAMPLE).str.strip_chars()
        clock = next((each for each in _CLOCKS if _fits(("2000-01-01 " + sample), f"%Y-%m-%d {each}")), None)
        if clock is None:
            continue
        pattern = f"{read.pattern or '%Y-%m-%d'} {clock}"
        texts = pl.Series(read.column.values.cast(pl.String).str.strip_chars() + " " + column.values.str.strip_chars())
        both = _of_text(read.column, texts, pattern)
        if both is not None:
            return replace(both, with_time=column, said=f"dates and, in {column.name!r}, times of day", unsure=read.unsure)
    return read


def _from_parts(columns: Sequence[FileColumn]) -> Time | None:
    """A time in the columns year, month, day and, where there is one, time."""
    by_name = {column.name.lower(): column for column in columns}
    parts = [by_name[name] for name in ("year", "month", "day") if name in by_name]
    if len(parts) < 3:
        return None
    clock, column = "", by_name.get("time")
    if column is not None and column.is_text:
        sample = column.present.head(SAMPLE)
        clock = next((each for each in _CLOCKS if _fits("2000-01-01 " + sample, f"%Y-%m-%d {each}")), "")
    if clock and column is not None:
        parts.append(column)
    pattern = f"%Y %m %d {clock}".strip()
    texts = pl.select(pl.concat_str([part.values.cast(pl.String) for part in parts], separator=" ")).to_series()
    read = _of_text(parts[0], texts, pattern)
    if read is None:
        return None
    names = ", ".join(part.name for part in parts)
    guess = Guess(
        "time",
        ("timestamp",),
        "likely",
        f"made of {names}; without a zone, taken for UTC",
        "another zone: naive_times='Europe/Berlin'",
    )
    return Time("timestamp", tuple(parts), read.instants_us, guess, pattern, naive=True, by_day=read.by_day)


def _counts_steps(column: FileColumn) -> bool:
    numbers = column.numbers
    if numbers is None or column.like(_STEPS) is None or column.missing or not len(numbers):
        return False
    least, most = float(numbers.min() or 0), float(numbers.max() or 0)  # type: ignore[arg-type]  # numbers
    return least >= 0 and most < 1e9 and column.distinct > 23 and most > 23


def _stepped(column: FileColumn) -> Time:
    assert column.numbers is not None
    steps = column.numbers.to_numpy()
    every, why = _length(column, steps)
    other = {"1h": "1d", "1d": "1h", "1s": "1m"}[every]
    start_us = START_US
    instants_us = start_us + np.rint(steps * {"1h": _HOUR_US, "1d": _DAY_US, "1s": 1_000_000}[every]).astype(np.int64)
    seen = (
        f"{column.name!r} counts from {steps.min():g} to {steps.max():g}: {why}; the start is not known, taken for 2020-01-01"
    )
    guess = Guess("time", ("timestamp",), "unsure", seen, f"steps of {other}: every={other!r}")
    field = _free("timestamp", [column])
    return Time(field, (column,), instants_us, guess, every=every, by_day=every == "1d")


START_US = 1_577_836_800_000_000
"""2020-01-01: the start of steps whose start is not known."""


def _length(column: FileColumn, steps: NDArray[np.float64]) -> tuple[str, str]:
    most = float(steps.max())
    if column.like(("seconds", "dt")) or most > 20_000:
        return "1s", "it reaches as far as seconds do" if most > 20_000 else "its name says seconds"
    if column.like(("hour",)):
        return "1h", "its name says hours"
    if column.like(("day",)):
        return "1d", "its name says days"
    if _cycle(steps, 24) >= _CYCLE:
        return "1h", "its counts repeat every 24 steps, so a step is an hour"
    return (
        ("1d", "its counts do not repeat every 24 steps, so a step is a day") if most <= 400 else ("1h", "hours, by its length")
    )


def _cycle(steps: NDArray[np.float64], lag: int) -> float:
    """How much the number of events per step is like that of `lag` steps before: a correlation."""
    counts = np.bincount(steps.astype(np.int64))
    if len(counts) <= 2 * lag:
        return 0.0
    early, late = counts[:-lag].astype(float), counts[lag:].astype(float)
    if not early.std() or not late.std():
        return 0.0
    return float(np.corrcoef(early, late)[0, 1]) if np.corrcoef(counts[:-1], counts[1:])[0, 1] < 0.97 else 0.0
