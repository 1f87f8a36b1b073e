"""Numbers and times as JSON text, compiled: the shortest decimal that reads back as the same float64.

Whole numbers are written without a fraction (3, not 3.0). Every function writes into `out` from `at` and returns where
it stopped; `LONGEST` bytes are always enough.

Source: Raffaello Giulietti, "The Schubfach way to render doubles" (2021), in the form of Alexander Bolz's `schubfach.cc`.
"""

import math

import numpy as np

from penstock.jit import njit

LONGEST = 40
"""No number or time takes more bytes than this."""

SLACK = 8
"""How many bytes there must be beyond the end of whatever is copied, and of what is written."""

_POINT, _ZERO, _MINUS, _EXPONENT = 46, 48, 45, 101
_LEAST_POWER = -292
_ONE, _TWO, _THREE, _FOUR, _FIVE, _SIX, _SEVEN, _EIGHT = (np.uint64(i) for i in range(1, 9))
_TEN, _FORTY, _HUNDRED = np.uint64(10), np.uint64(40), np.uint64(100)
_NONE = np.uint64(0)
_HALF_WORD, _LOW_HALF = np.uint64(32), np.uint64(0xFFFFFFFF)
_FRACTION_BITS, _FRACTION = np.uint64(52), np.uint64((1 << 52) - 1)
_HIDDEN_BIT, _EXPONENT_BITS = np.uint64(1 << 52), np.uint64(0x7FF)
_WORDS = np.frombuffer(b"null true false", np.uint8).copy()
_PAIRS = np.frombuffer("".join(f"{i:02d}" for i in range(100)).encode(), np.uint8)
_MARKS = np.frombuffer(b"---T::Z", np.uint8).copy()  # what follows the pairs of digits in a time
_DAY_US = 86_400_000_000
_FIRST_US, _END_US = -62_135_596_800_000_000, 253_402_300_800_000_000  # the years 1 to 9999


def _powers_of_ten() -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """10^k from 10^-292 to 10^324, scaled to 128 bits and rounded up, as high and low words."""
    words = np.empty((617, 2), np.uint64)
    for row, k in enumerate(range(_LEAST_POWER, 325)):
        shift = 127 - (k * 1741647 >> 19)  # 127 - floor(log2(10^k))
        above, below = 10 ** max(k, 0) << max(shift, 0), 10 ** max(-k, 0) << max(-shift, 0)
        g = -(-above // below)
        words[row] = g >> 64, g & (1 << 64) - 1
    return words


_POWERS = _powers_of_ten()


@njit(error_model="numpy")
def _product(a, b):
    """The high and low words of a * b."""
    a0, a1, b0, b1 = a & _LOW_HALF, a >> _HALF_WORD, b & _LOW_HALF, b >> _HALF_WORD
    p00, p01, p10 = a0 * b0, a0 * b1, a1 * b0
    middle = p10 + (p00 >> _HALF_WORD) + (p01 & _LOW_HALF)
    return a1 * b1 + (middle >> _HALF_WORD) + (p01 >> _HALF_WORD), a * b


@njit(error_model="numpy")
def _round_to_odd(row, c):
    """A number times a power of ten, its lost bits remembered in the last one."""
    carried, _ = _product(_POWERS[row, 1], c)
    high, low = _product(_POWERS[row, 0], c)
    low = low + carried
    if low < carried:
        high = high + _ONE
    return high | (_ONE if low > _ONE else _NONE)


@njit(error_model="numpy")
def _shortest(bits):
    """Digits and power of ten of a positive finite float64 given as its bits."""
    fraction = bits & _FRACTION
    biased = np.int64((bits >> _FRACTION_BITS) & _EXPONENT_BITS)
    c = fraction | _HIDDEN_BIT if biased > 0 else fraction
    q = biased - 1075 if biased > 0 else -1074
    closer = fraction == _NONE and biased > 1  # the neighbour below is half as far
    k = (q * 1262611 - 524031) >> 22 if closer else (q * 1262611) >> 22
    h = np.uint64(q + ((-k * 1741647) >> 19) + 1)
    row = -k - _LEAST_POWER
    odd = c & _ONE
    quadruple = _FOUR * c
    lower = _round_to_odd(row, (quadruple - (_ONE if closer else _TWO)) << h) + odd
    value = _round_to_odd(row, quadruple << h)
    upper = _round_to_odd(row, (quadruple + _TWO) << h) - odd
    s = value >> _TWO
    if s >= _TEN:
        shorter = s // _TEN
        below, above = lower <= _FORTY * shorter, _FORTY * shorter + _FORTY <= upper
        if below != above:
            return np.int64(shorter + (_ONE if above else _NONE)), k + 1
    below, above = lower <= _FOUR * s, _FOUR * s + _FOUR <= upper
    if below != above:
        return np.int64(s + (_ONE if above else _NONE)), k
    middle = _FOUR * s + _TWO
    up = value > middle or (value == middle and (s & _ONE) == _ONE)
    return np.int64(s + (_ONE if up else _NONE)), k


@njit(error_model="numpy")
def copy_bytes(source, start, stop, out, at):
    """Copy source[start:stop], eight bytes at a time: up to `SLACK` more are read, and written, than asked for.

    Unsigned indices spare the test for negative ones, and eight loads before eight stores become one of each.
    """
    i, t, end = np.uint64(start), np.uint64(at), np.uint64(at + stop - start)
    while t < end:
        a, b, c, d = source[i], source[i + _ONE], source[i + _TWO], source[i + _THREE]
        e, f, g, h = source[i + _FOUR], source[i + _FIVE], source[i + _SIX], source[i + _SEVEN]
        out[t], out[t + _ONE], out[t + _TWO], out[t + _THREE] = a, b, c, d
        out[t + _FOUR], out[t + _FIVE], out[t + _SIX], out[t + _SEVEN] = e, f, g, h
        i += _EIGHT
        t += _EIGHT
    return at + stop - start


@njit(error_model="numpy")
def _count_digits(value):
    count, limit = (1, 10) if value < 100_000_000 else (9, 1_000_000_000)
    while count < 18 and value >= limit:
        count += 1
        limit *= 10
    return count


@njit(error_model="numpy")
def _write_padded(value, width, out, at):
    """The last `width` digits of a whole number, which is not negative."""
    count = width
    rest = np.uint64(value)
    t = np.uint64(at + count)
    while count >= 2:
        pair = _TWO * (rest % _HUNDRED)
        rest //= _HUNDRED
        count -= 2
        t -= _TWO
        out[t], out[t + _ONE] = _PAIRS[pair], _PAIRS[pair + _ONE]
    if count == 1:
        t -= _ONE
        out[t] = _ZERO + np.int64(rest % _TEN)
    return np.int64(t) + width


@njit(error_model="numpy")
def _write_decimal(digits, power, out, at):
    """Write digits * 10^power, digits without zeros at its end: plain from 1e-4 to below 1e16, as Python does it."""
    count = _count_digits(digits)
    point = count + power  # digits before the point
    if point > 16 or point < -3:
        return _write_scientific(digits, count, point - 1, out, at)
    if power < 0 < point:
        end = _write_padded(digits, count, out, at + 1)
        for i in range(at, at + point):
            out[i] = out[i + 1]
        out[at + point] = _POINT
        return end
    if power < 0:
        out[at], out[at + 1] = _ZERO, _POINT
        return _write_padded(digits, count, out, _write_zeros(-point, out, at + 2))
    return _write_zeros(power, out, _write_padded(digits, count, out, at))


@njit(error_model="numpy")
def _write_zeros(count, out, at):
    for i in range(count):
        out[at + i] = _ZERO
    return at + count


@njit(error_model="numpy")
def _write_scientific(digits, count, exponent, out, at):
    end = _write_padded(digits, count, out, at + 1)
    out[at] = out[at + 1]
    if count > 1:
        out[at + 1] = _POINT
    else:
        end = at + 1
    out[end] = _EXPONENT
    end += 1
    if exponent < 0:
        out[end] = _MINUS
        end += 1
        exponent = -exponent
    return _write_padded(exponent, _count_digits(exponent), out, end)


@njit(error_model="numpy")
def _write_stripped(digits, power, out, at):
    rest = np.uint64(digits)
    while rest % _TEN == _NONE:
        rest //= _TEN
        power += 1
    return _write_decimal(np.int64(rest), power, out, at)


@njit(error_model="numpy")
def _in_cents(value):
    """Whether a positive number is a whole number of hundredths, of up to 15 digits.

    Such a decimal is the shortest that reads as this number: no two of up to 15 digits read as the same.
    """
    scaled = value * 100.0
    return scaled < 1e15 and np.rint(scaled) / 100.0 == value


@njit(error_model="numpy")
def write_null(out, at):
    """Write null."""
    for i in range(4):
        out[at + i] = _WORDS[i]
    return at + 4


@njit(error_model="numpy")
def write_number(value, bits, out, at):
    """A float64, given as itself and as its bits (uint64); null where it is not finite."""
    if not math.isfinite(value):
        return write_null(out, at)
    if value < 0 or (value == 0 and bits != _NONE):
        out[at] = _MINUS
        at += 1
        if value == 0:  # -0 would read back as the whole number 0
            out[at], out[at + 1], out[at + 2] = _ZERO, _POINT, _ZERO
            return at + 3
        value, bits = -value, bits & ~(_ONE << np.uint64(63))
    if value < 1e15 and np.int64(value) == value:
        whole = np.int64(value)
        return _write_padded(whole, _count_digits(whole), out, at)
    if _in_cents(value):
        digits, power = np.int64(np.rint(value * 100.0)), -2
    else:
        digits, power = _shortest(bits)
    return _write_stripped(digits, power, out, at)


@njit(error_model="numpy")
def write_boolean(value, out, at):
    """True, false, or null where it is NaN."""
    if math.isnan(value):
        return write_null(out, at)
    start, stop = (5, 9) if value != 0 else (10, 15)
    for i in range(start, stop):
        out[at + i - start] = _WORDS[i]
    return at + stop - start


@njit(error_model="numpy")
def _write_pair(value, mark, out, at):
    """Two digits and what follows them."""
    out[at], out[at + 1], out[at + 2] = _PAIRS[2 * value], _PAIRS[2 * value + 1], mark
    return at + 3


@njit(error_model="numpy")
def write_time(us, out, at):
    """An instant in microseconds since 1970 as "2026-01-31T12:00:00Z", in quotes, its fraction where it has one.

    The civil calendar is Howard Hinnant's `civil_from_days`.
    """
    days = us // _DAY_US
    of_day = us - days * _DAY_US
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * of_year + 2) // 153
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    day = of_year - (153 * month_from_march + 2) // 5 + 1
    seconds, fraction = of_day // 1_000_000, of_day % 1_000_000
    parts = (year // 100, year % 100, month, day, seconds // 3600, seconds // 60 % 60, seconds % 60)
    out[at] = 34
    at += 1
    for i in range(7):
        at = _write_pair(parts[i], _MARKS[i], out, at) - (1 if i == 0 else 0)  # nothing stands inside the year
    if fraction:
        out[at - 1] = _POINT
        for part in (fraction // 10_000, fraction // 100 % 100, fraction % 100):
            at = _write_pair(part, _MARKS[6], out, at) - 1
        at += 1
        out[at - 1] = _MARKS[6]
    out[at] = 34
    return at + 1


@njit(error_model="numpy")
def write_time_value(value, out, at):
    """A time column's value; null where it is NaN or lies outside the years 1 to 9999."""
    if not _FIRST_US <= value < _END_US:
        return write_null(out, at)
    return write_time(np.int64(math.floor(value)), out, at)
