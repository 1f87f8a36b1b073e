"""Instants as integer microseconds since 1970 (UTC), durations as text such as `30s 5m 1h 7d`, and clocks.

Event time comes from the event. Everything else asks a `Clock`, which tests and replays replace.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from penstock.errors import DeclarationError

Clock = Callable[[], int]
"""Returns the current instant in microseconds since 1970-01-01T00:00:00Z."""

SECOND_US = 1_000_000
EVER_US = 2**62
"""The length of the window `ever`: longer than any two instants lie apart."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w|y)")
_LONGEST_S = 366 * 86400 * 10


def system_clock() -> int:
    """The machine's clock: the one place in Penstock that reads it."""
    return time.time_ns() // 1000


def duration_us(text: str | timedelta, *, what: str = "duration") -> int:
    """Read a duration; `ever` is the longest there is.

    >>> duration_us("1h"), duration_us("0.5s")
    (3600000000, 500000)

    Raises:
        DeclarationError: naming the text and the form that is understood.
    """
    if isinstance(text, timedelta):
        return text // timedelta(microseconds=1)
    if text == "ever":
        return EVER_US
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise DeclarationError(f"{what} {text!r} is not understood; write a number and unit, as in 30s 5m 1h 7d 1y, or 'ever'")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > _LONGEST_S:
        raise DeclarationError(f"{what} {text!r} is longer than ten years; use 'ever' for all of history")
    return round(seconds * SECOND_US)


def to_us(instant: datetime) -> int:
    """An aware datetime as microseconds since 1970, exactly.

    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    return (instant - _EPOCH) // timedelta(microseconds=1)


def from_us(instant_us: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=int(instant_us))


def iso(instant_us: int) -> str:
    """An instant as ISO 8601 in UTC, without a fraction where it has none.

    >>> iso(1000005), iso(1000000)
    ('1970-01-01T00:00:01.000005Z', '1970-01-01T00:00:01Z')
    """
    return from_us(instant_us).isoformat().replace("+00:00", "Z")
