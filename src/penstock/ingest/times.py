"""Parsing of times in all accepted forms to microseconds since 1970 (UTC); every input path uses it.

A single event, a batch, a frame, a file, the command line and query parameters accept the same:

* ISO 8601 texts, the date first, with `T` or a space before the time: `2026-02-06T10:00:00.5Z`, `2026-02-06 11:00+01:00`,
  `2026-02-06T10:00Z`, `2026-02-06`. The offset is `Z`, `+01:00`, `+0100` or `+01`; month, day and hour may have one digit
  (`2026-2-6`); digits after the sixth of a fraction are cut off; blanks around a text are ignored.
* Numbers since 1970, also as texts (`"1336655460.5"`): below 1e11 seconds, below 1e14 milliseconds, else microseconds.
* In Python and in typed files, dates and datetimes.

A time without a zone is local time in the declared one. Of an hour that occurs twice, the first is taken; a time in an hour
that the clock skips has the offset before the jump.
"""

import functools
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.clock import SECOND_US, to_us
from penstock.expressions.zones import zone_table
from penstock.ingest.kernel import END_US, NAIVE, NULL, OUTSIDE, READ, UNREADABLE, read_times

FIRST_US = 0
"""Event times lie in 1970 to 2100."""
OLDEST_US = to_us(datetime(1900, 1, 1, tzinfo=UTC))
"""Other times (a day of birth) may lie as far back as 1900."""

MILLISECONDS_FROM, MICROSECONDS_FROM, TOO_LARGE_FROM = 1e11, 1e14, 1e17
"""From which size on a number is not seconds any more, but milliseconds; then microseconds; then not a time."""

_NUMBER = r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"

_Instants = tuple[NDArray[np.int64], NDArray[np.uint8]]
_LOCAL_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  local times are counted from the local 1970


def instants(values: Sequence[Any], zone: str | None) -> _Instants:
    """The instants of values as they came from JSON or Python, and the state of each."""
    try:
        joined = "".join(values)
    except TypeError:
        return _mixed(values, zone)
    data = joined.encode("utf-8", "replace")
    lengths = map(len, values)
    if len(data) != len(joined):
        lengths = map(len, [value.encode("utf-8", "replace") for value in values])
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, len(values)), out=offsets[1:])
    return text_instants(np.frombuffer(data, np.uint8), offsets, zone)


def text_instants(data: NDArray[np.uint8], offsets: NDArray[np.int64], zone: str | None) -> _Instants:
    """The instants of texts that lie end to end: text i is `data[offsets[i]:offsets[i + 1]]`."""
    n = offsets.shape[0] - 1
    instant_us, state = np.empty(n, np.int64), np.empty(n, np.uint8)
    if read_times(data, offsets, instant_us, state):
        _read_numbers(data, offsets, instant_us, state)
        if zone is not None:
            _place(instant_us, state, zone)
    return instant_us, state


def _read_numbers(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], instant_us: NDArray[np.int64], state: NDArray[np.uint8]
) -> None:
    """Read the texts that are no ISO 8601 as numbers since 1970, with the bits of the same numbers in JSON."""
    odd = np.flatnonzero((state == UNREADABLE) & (np.diff(offsets) > 0))
    if len(odd):
        ends = zip(offsets[odd].tolist(), offsets[odd + 1].tolist(), strict=True)
        texts = pl.Series([data[start:stop].tobytes().decode("utf-8", "replace") for start, stop in ends], dtype=pl.String)
        texts = texts.str.strip_chars(" \t\n\v\f\r")
        numbers = texts.set(~texts.str.contains(_NUMBER), None).cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        instant_us[odd], read = number_instants(numbers)
        state[odd] = np.where(np.isnan(numbers), UNREADABLE, read)


def number_instants(numbers: NDArray[np.float64]) -> _Instants:
    """The instants of numbers since 1970; NaN is null."""
    size = np.abs(numbers)
    factor = np.where(size < MILLISECONDS_FROM, 1e6, np.where(size < MICROSECONDS_FROM, 1e3, 1.0))
    state = np.where(np.isnan(numbers), NULL, np.where(size < TOO_LARGE_FROM, READ, OUTSIDE)).astype(np.uint8)
    return np.rint(np.where(state == READ, numbers * factor, 0)).astype(np.int64), state


def outside(instant_us: NDArray[np.int64], first_us: int) -> NDArray[np.bool_]:
    """Which instants lie before `first_us` or after the year 2100."""
    return (instant_us < first_us) | (instant_us >= END_US)


def to_utc(local_us: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Local times of a zone as instants.

    >>> to_utc(np.array([0]), "Asia/Tokyo").tolist()
    [-32400000000]
    """
    switches, offsets = zone_switches(zone)
    return local_us - offsets[np.searchsorted(switches, local_us, "right")]


@functools.cache
def zone_switches(zone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The local times at which a zone's offset changes, and the offsets around them."""
    table = zone_table(zone)
    changes, offsets = table[1 : 1 + table[0]], table[1 + table[0] :]
    return changes + np.maximum(offsets[:-1], offsets[1:]), offsets


def _place(instant_us: NDArray[np.int64], state: NDArray[np.uint8], zone: str) -> None:
    local = state == NAIVE
    instant_us[local] = to_utc(instant_us[local], zone)
    state[local] = READ


def _mixed(values: Sequence[Any], zone: str | None) -> _Instants:
    instant_us, state = np.zeros(len(values), np.int64), np.empty(len(values), np.uint8)
    texts = [i for i, value in enumerate(values) if isinstance(value, str)]
    for i, value in enumerate(values):
        if not isinstance(value, str):
            instant_us[i], state[i] = _one(value)
    if zone is not None:
        _place(instant_us, state, zone)
    if texts:
        instant_us[texts], state[texts] = instants([values[i] for i in texts], zone)
    return instant_us, state


def _one(value: Any) -> tuple[int, int]:
    """One value that is not text: (microseconds, state)."""
    if value is None:
        return 0, NULL
    if isinstance(value, datetime):
        return _datetime(value)
    if isinstance(value, date):
        return _datetime(datetime.combine(value, time()))
    if isinstance(value, int) and not isinstance(value, bool):
        return _whole(value)
    if isinstance(value, float):
        instant_us, state = number_instants(np.array([value]))
        return int(instant_us[0]), int(state[0])
    if isinstance(value, np.datetime64):
        return (0, NULL) if np.isnat(value) else (int(value.astype("M8[us]").astype(np.int64)), NAIVE)
    return _one(value.item()) if isinstance(value, np.number) else (0, UNREADABLE)


def _datetime(value: datetime) -> tuple[int, int]:
    try:
        if value.utcoffset() is not None:
            return to_us(value), READ
        return (value - _LOCAL_EPOCH) // timedelta(microseconds=1), NAIVE
    except (TypeError, ValueError, OverflowError):  # such as pandas' NaT
        return 0, NULL


def _whole(value: int) -> tuple[int, int]:
    size = abs(value)
    if size >= TOO_LARGE_FROM:
        return 0, OUTSIDE
    factor = SECOND_US if size < MILLISECONDS_FROM else 1000 if size < MICROSECONDS_FROM else 1
    return value * factor, READ
