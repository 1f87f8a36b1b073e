"""Compiled: times read from text, and the columns of a micro-batch laid down and judged in one call.

Times are ISO 8601 with `T` or a space, with or without fraction, offset or zone `Z`; see `penstock.ingest.times`.
"""

from collections import namedtuple

import numpy as np

from penstock.codes import siphash
from penstock.jit import njit

READ, NAIVE, UNREADABLE, OUTSIDE, NULL = 0, 1, 2, 3, 4
"""The state of a time: fine; without a zone; not a time; outside the years that are accepted; missing."""

END_US = 4_133_980_800_000_000
"""The first microsecond of the year 2101: times lie before it."""

_SECOND_US = 1_000_000
_DAY_US = 86_400_000_000
_ZERO, _NINE = 48, 57


@njit
def _number(data, start, count):
    """The number of `count` digits, or -1."""
    value = np.int64(0)
    for k in range(start, start + count):
        digit = np.int64(data[k])
        if digit < _ZERO or digit > _NINE:
            return np.int64(-1)
        value = value * np.int64(10) + digit - np.int64(_ZERO)
    return value


@njit
def days_from_civil(year, month, day):
    """Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms")."""
    year -= 1 if month <= 2 else 0
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@njit
def _month_length(year, month):
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@njit
def _short(data, at, stop):
    """(the number of the one or two digits at `at`, where they end); -1 where there are none."""
    end = at
    while end < stop and end < at + 2 and data[end] >= _ZERO and data[end] <= _NINE:
        end += 1
    return (_number(data, at, end - at), end) if end > at else (np.int64(-1), end)


@njit
def _date(data, start, stop):
    """(microseconds since 1970 of the day that YYYY-MM-DD names, where it ends); the end is -1 where it names none."""
    if stop - start < 8 or data[start + 4] != 45:
        return np.int64(0), -1
    year = _number(data, start, 4)
    month, at = _short(data, start + 5, stop)
    if at >= stop or data[at] != 45:
        return np.int64(0), -1
    day, at = _short(data, at + 1, stop)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _month_length(year, month):
        return np.int64(0), -1
    return np.int64(days_from_civil(year, month, day) * _DAY_US), at


@njit
def _clock(data, at, stop):
    """(where HH:MM[:SS[.fraction]] ends, its microseconds), or (-1, 0). Digits after the sixth are cut off."""
    hour, at = _short(data, at, stop)
    if stop - at < 3 or data[at] != 58:
        return -1, 0
    minute = _number(data, at + 1, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return -1, 0
    value = (hour * 60 + minute) * 60 * _SECOND_US
    at += 3
    if at >= stop or data[at] != 58:
        return at, value
    if stop - at < 3:
        return -1, 0
    second = _number(data, at + 1, 2)
    if second < 0 or second > 59:
        return -1, 0
    value += second * _SECOND_US
    at += 3
    if at >= stop or (data[at] != 46 and data[at] != 44):
        return at, value
    return _fraction(data, at + 1, stop, value)


@njit
def _fraction(data, at, stop, value):
    first, unit = at, _SECOND_US
    while at < stop and data[at] >= _ZERO and data[at] <= _NINE:
        unit //= 10
        value += (np.int64(data[at]) - _ZERO) * unit
        at += 1
    return (at, value) if at > first else (-1, 0)


@njit
def _offset(data, at, stop):
    """(whether the rest is Z or an offset, its microseconds east of UTC): +HH, +HHMM, +HH:MM."""
    length = stop - at
    if length == 1:
        return data[at] == 90 or data[at] == 122, 0
    if length not in (3, 5, 6) or (data[at] != 43 and data[at] != 45) or (length == 6 and data[at + 3] != 58):
        return False, 0
    hour = _number(data, at + 1, 2)
    minute = 0 if length == 3 else _number(data, stop - 2, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return False, 0
    east = (hour * 60 + minute) * 60 * _SECOND_US
    return True, -east if data[at] == 45 else east


@njit
def _blank(byte):
    return byte == 32 or (byte >= 9 and byte <= 13)


@njit
def _one_time(data, start, stop):
    """(microseconds, READ | NAIVE | UNREADABLE) of the text in data[start:stop]."""
    while start < stop and _blank(data[start]):
        start += 1
    while stop > start and _blank(data[stop - 1]):
        stop -= 1
    day, at = _date(data, start, stop)
    if at < 0:
        return np.int64(0), UNREADABLE
    if at == stop:
        return day, NAIVE
    if data[at] != 84 and data[at] != 116 and data[at] != 32:
        return np.int64(0), UNREADABLE
    at, clock = _clock(data, at + 1, stop)
    if at < 0:
        return np.int64(0), UNREADABLE
    if at < stop and data[at] == 32:
        at += 1
    if at == stop:
        return np.int64(day + clock), NAIVE
    zoned, east = _offset(data, at, stop)
    return np.int64(day + clock - east), READ if zoned else UNREADABLE


@njit
def read_times(data, offsets, out, state):
    """Read text i = data[offsets[i]:offsets[i + 1]] into out[i] (microseconds; local time where NAIVE) and state[i]."""
    worst = 0
    for i in range(out.shape[0]):
        out[i], state[i] = _one_time(data, offsets[i], offsets[i + 1])
        worst = max(worst, state[i])
    return worst


# ---------------------------------------------------------------- laying down

Places = namedtuple("Places", "texts max_bytes times numbers whole first_us nullable zoned switches offsets")
"""Where a form's fields stand, and what they must hold.

texts, times, numbers: columns of `codes` and `x`; the event's own time is the first of the times. max_bytes: the longest text
of each. whole: which numbers are. first_us, nullable: by time. zoned, switches, offsets: the zone of naive times, see
`times.zone_switches`.
"""


@njit
def _zoned(local, switches, offsets):
    """A local time as an instant."""
    return local - offsets[np.searchsorted(switches, local, "right")]


@njit
def _lay_times(places, data, lengths, ends, instants, states, parse, x, time_us, arrived_us, bad):
    n = x.shape[0]
    first_time = (1 + places.texts.shape[0]) * n
    for k in range(places.times.shape[0]):
        for i in range(n):
            if parse:
                at = first_time + k * n + i
                instant, state = (np.int64(0), NULL) if lengths[at] < 0 else _one_time(data, ends[at], ends[at + 1])
            else:
                instant, state = instants[k, i], int(states[k, i])
            if state == NAIVE and places.zoned:
                instant, state = _zoned(instant, places.switches, places.offsets), READ
            if state == READ and (instant < places.first_us[k] or instant >= END_US):
                state = OUTSIDE
            if state == NULL and places.nullable[k] and k == 0:
                instant, state = arrived_us[i], READ
            if state == READ:
                x[i, places.times[k]] = np.float64(instant)
            elif state != NULL or not places.nullable[k]:
                bad[i] = True
            if k == 0:
                time_us[i] = instant


@njit
def lay(
    texts_at, max_bytes, times_at, numbers_at, whole, first_us, nullable, zoned, switches, offsets,
    data, lengths, numbers, instants, states, parse, x, codes, id_codes, time_us, arrived_us, bad,
):  # fmt: skip
    """Write the columns of n events into a batch that holds nothing yet, and mark those that do not fit.

    The first ten make up `Places`: as arguments of their own they cost less to hand over.
    data: the bytes of all ids end to end, then of all texts, field by field, then of all times where `parse` says that
    they are texts; lengths: of each, -1 for null. numbers: float64 (fields, n). instants,
    states: (times, n), read where not parsed. Returns whether any event is bad.
    """
    places = Places(texts_at, max_bytes, times_at, numbers_at, whole, first_us, nullable, zoned, switches, offsets)
    n = x.shape[0]
    x[:] = np.nan
    codes[:] = 0
    ends = np.zeros(lengths.shape[0] + 1, np.int64)
    for j in range(lengths.shape[0]):
        ends[j + 1] = ends[j] + max(lengths[j], 0)
    for i in range(n):
        id_codes[i] = siphash(data, ends[i], ends[i + 1])
    for k in range(places.texts.shape[0]):
        for i in range(n):
            at = (1 + k) * n + i
            if lengths[at] >= 0:
                codes[i, places.texts[k]] = siphash(data, ends[at], ends[at + 1])
            if lengths[at] > places.max_bytes[k]:
                bad[i] = True
    for k in range(places.numbers.shape[0]):
        for i in range(n):
            value = numbers[k, i]
            x[i, places.numbers[k]] = value
            if places.whole[k] and np.rint(value) != value and not np.isnan(value):
                bad[i] = True
    _lay_times(places, data, lengths, ends, instants, states, parse, x, time_us, arrived_us, bad)
    return bad.any()
