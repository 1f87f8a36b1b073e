"""The interpreter: one compiled function runs every expression over the rows of a micro-batch.

An instruction is a row of six int32: opcode, destination, and up to four operands. Operands are registers unless said
otherwise. A register is a stretch of float64, one per row of the block; a register that holds text codes is the same
memory read as int64. The outer loop is over instructions and the inner one over rows, so the cost of dispatch is shared
by a block and most inner loops become vector instructions.

`numbers` holds the constants; `words` (int64) holds text constants, and the tables of time zones: at a table's
position stands the number of transitions k, then k instants (microseconds, UTC), then k + 1 offsets (microseconds). The
directory of zones, for zones read from a field, is a count z, then z sorted text codes, then z positions. A list is a
count n, n sorted text codes, and since when and until when each counts; a slot among the words says where it begins.

Null is NaN, in text registers 0. A result that is not a finite number is null: `r + (r - r)` is r where r is finite
and NaN elsewhere, without a branch.
"""

# ruff: noqa: PLR0124  x != x is how NaN, which is null, is told from numbers
# ruff: noqa: C901  one switch over the opcodes, so that one compilation serves every expression

import math

import numpy as np

from penstock.expressions.templates import EARTH_RADIUS_KM
from penstock.jit import njit

BLOCK = 256
"""Rows that go through the instructions together: 30 registers of a block fit into 64 KB."""

_HOUR_US = 3_600_000_000
_MINUTE_US = 60_000_000
_DAY_US = 86_400_000_000
_TIME_LIMIT_US = 9.0e15  # beyond the year 2255 float64 no longer holds every microsecond

# Opcodes. Those from ABS on are computed row by row by `_scalar`.
LOAD, LOAD_TEXT, LOAD_AUX, LOAD_AUX_TEXT, NUMBER, TEXT, STORE, STORE_TEXT = range(8)
ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, SECONDS = range(8, 14)
EQ, NE, LT, LE, GT, GE, EQ_TEXT, NE_TEXT = range(14, 22)
AND, OR, NOT, IS_NULL, IS_NOT_NULL, IS_NULL_TEXT, IS_NOT_NULL_TEXT = range(22, 29)
IF, IF_TEXT, COALESCE, COALESCE_TEXT, NULLIF, NULLIF_TEXT = range(29, 35)
IN, IN_TEXT, LOCAL, LOCAL_BY, IN_LIST = range(35, 40)
ABS, ROUND, FLOOR, CEIL, SQRT, LN, LOG10, EXP, POWER, MODULO, LEAST, GREATEST = range(40, 52)
HOUR, MINUTE, DAY, MONTH, YEAR, WEEKDAY, IS_WEEKEND, DISTANCE_KM = range(52, 60)


@njit(error_model="numpy")
def _unknown(a, b):
    """0, or NaN where either is null: added to an answer it makes the answer null."""
    return np.nan if (a != a) | (b != b) else 0.0


@njit(error_model="numpy")
def _rounded(a, digits):
    """Half away from zero, as SQL rounds."""
    scale = 10.0**digits
    scaled = a * scale
    whole = np.floor(abs(scaled))
    if abs(scaled) - whole >= 0.5:
        whole += 1.0
    r = math.copysign(whole, scaled) / scale
    return r if math.isfinite(r) else a


@njit(error_model="numpy")
def _date_part(op, us):
    """Day, month or year of an instant; the civil calendar by Howard Hinnant's `civil_from_days`."""
    days = us // _DAY_US + 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153  # months from March
    if op == DAY:
        return float(of_year - (153 * shifted + 2) // 5 + 1)
    month = shifted + 3 if shifted < 10 else shifted - 9
    if op == MONTH:
        return float(month)
    return float(year_of_era + era * 400 + (1 if month <= 2 else 0))


@njit(error_model="numpy")
def _time_part(op, time_us):
    if not abs(time_us) < _TIME_LIMIT_US:
        return np.nan
    us = np.int64(math.floor(time_us))
    if op == HOUR:
        return float(us // _HOUR_US % 24)
    if op == MINUTE:
        return float(us // _MINUTE_US % 60)
    if op in (WEEKDAY, IS_WEEKEND):
        weekday = (us // _DAY_US + 3) % 7  # 1970-01-01 was a Thursday
        if op == IS_WEEKEND:
            return 1.0 if weekday >= 5 else 0.0
        return float(weekday)
    return _date_part(op, us)


@njit(error_model="numpy")
def _distance_km(lat1, lon1, lat2, lon2):
    """Great-circle distance by the haversine formula; null where a latitude lies beyond a pole."""
    if not (abs(lat1) <= 90.0 and abs(lat2) <= 90.0):
        return np.nan
    half_lat = math.sin(math.radians(lat2 - lat1) / 2.0)
    half_lon = math.sin(math.radians(lon2 - lon1) / 2.0)
    h = half_lat * half_lat + math.cos(math.radians(lat1)) * math.cos(math.radians(lat2)) * half_lon * half_lon
    return 2.0 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, h))) if h == h else np.nan


@njit(error_model="numpy")
def _scalar(op, a, b, c, d):
    """One value of the functions that gain nothing from vector instructions."""
    if op == LEAST:  # these two ignore nulls
        return b if a != a or b < a else a
    if op == GREATEST:
        return b if a != a or b > a else a
    if a != a:
        return np.nan
    if op == ABS:
        return abs(a)
    if op == ROUND:
        return _rounded(a, b)
    if op == FLOOR:
        return np.floor(a)
    if op == CEIL:
        return np.ceil(a)
    if op == SQRT:
        return math.sqrt(a) if a >= 0.0 else np.nan
    if op == LN:
        return math.log(a) if a > 0.0 else np.nan
    if op == LOG10:
        return math.log10(a) if a > 0.0 else np.nan
    if op == DISTANCE_KM:
        return _distance_km(a, b, c, d)
    if op >= HOUR:
        return _time_part(op, a)
    if op == EXP:
        r = math.exp(a)
    elif b != b:
        r = np.nan
    elif op == POWER:
        r = math.pow(a, b)
    else:
        r = math.copysign(abs(a) % abs(b), a)  # the sign of the dividend, as in SQL
    return r + (r - r)


@njit(error_model="numpy")
def _offset_us(words, at, time_us):
    """What to add to an instant for the local time of the zone whose table stands at `at`."""
    k = words[at]
    low, high = np.int64(0), k
    while low < high:
        middle = (low + high) // 2
        if words[at + 1 + middle] <= time_us:
            low = middle + 1
        else:
            high = middle
    return words[at + 1 + k + low]


@njit(error_model="numpy")
def _zone_at(words, directory, code):
    """The position of the zone with this text code, or -1."""
    z = words[directory]
    low, high = np.int64(0), z
    while low < high:
        middle = (low + high) // 2
        if words[directory + 1 + middle] < code:
            low = middle + 1
        else:
            high = middle
    if low < z and words[directory + 1 + low] == code:
        return words[directory + 1 + z + low]
    return np.int64(-1)


@njit(error_model="numpy")
def _local(words, a, zones, d, table, directory):
    """Shift instants to local time; by the zone at `table`, or where that is negative by each row's zone."""
    for i in range(d.shape[0]):
        at = table if table >= 0 else _zone_at(words, directory, zones[i])
        if at < 0 or not abs(a[i]) < _TIME_LIMIT_US:
            d[i] = np.nan
        else:
            d[i] = a[i] + _offset_us(words, at, np.int64(math.floor(a[i])))


@njit(error_model="numpy")
def _in_list(words, at, codes, arrived, d):
    """Whether each text is on the list at `at`, by the instant at which its event arrived."""
    n = words[at]
    for i in range(d.shape[0]):
        if codes[i] == 0:
            d[i] = np.nan
            continue
        low, high = np.int64(0), n
        while low < high:
            middle = (low + high) // 2
            if words[at + 1 + middle] < codes[i]:
                low = middle + 1
            else:
                high = middle
        found, now = 0.0, np.int64(arrived[i])
        while low < n and words[at + 1 + low] == codes[i]:
            if words[at + 1 + n + low] <= now < words[at + 1 + 2 * n + low]:
                found = 1.0
            low += 1
        d[i] = found


@njit(error_model="numpy")
def run_program(program, numbers, words, x, codes, aux, registers):
    """Run the instructions over every row of `x`, `codes` and `aux`; results are stored into `x` and `codes`.

    program int32 (k, 6); numbers float64; words int64; x float64 (n, width) and codes int64 (n, text_width), both
    row-major; aux float64 (n, columns) from text functions, or any array without rows where the program has none;
    registers: how many the program uses.
    """
    n = x.shape[0]
    block = min(n, BLOCK)
    scratch = np.empty((registers, block), np.float64)
    text_scratch = scratch.view(np.int64)
    aux_codes = aux.view(np.int64)
    for first in range(0, n, BLOCK):
        m = min(BLOCK, n - first)
        for k in range(program.shape[0]):
            op = program[k, 0]
            to = program[k, 1]
            p = program[k, 2]
            q = program[k, 3]
            if op == STORE:
                a = scratch[p, :m]
                for i in range(m):
                    x[first + i, to] = a[i]
                continue
            if op == STORE_TEXT:
                ta = text_scratch[p, :m]
                for i in range(m):
                    codes[first + i, to] = ta[i]
                continue
            d = scratch[to, :m]
            td = text_scratch[to, :m]
            if op == LOAD:
                for i in range(m):
                    d[i] = x[first + i, p]
                continue
            if op == LOAD_TEXT:
                for i in range(m):
                    td[i] = codes[first + i, p]
                continue
            if op == LOAD_AUX:
                for i in range(m):
                    d[i] = aux[first + i, p]
                continue
            if op == LOAD_AUX_TEXT:
                for i in range(m):
                    td[i] = aux_codes[first + i, p]
                continue
            if op == NUMBER:
                d[:] = numbers[p]
                continue
            if op == TEXT:
                td[:] = words[p]
                continue
            a = scratch[p, :m]
            ta = text_scratch[p, :m]
            if op == IN:
                for i in range(m):
                    found = 0.0
                    for j in range(q, q + program[k, 4]):
                        if a[i] == numbers[j]:
                            found = 1.0
                    d[i] = found if a[i] == a[i] else np.nan
                continue
            if op == IN_TEXT:
                for i in range(m):
                    found = 0.0
                    for j in range(q, q + program[k, 4]):
                        if ta[i] == words[j]:
                            found = 1.0
                    d[i] = found if ta[i] != 0 else np.nan
                continue
            if op == LOCAL:
                _local(words, a, ta, d, np.int64(q), np.int64(0))
                continue
            b = scratch[q, :m]
            tb = text_scratch[q, :m]
            if op == LOCAL_BY:
                _local(words, a, tb, d, np.int64(-1), np.int64(program[k, 4]))
                continue
            if op == IN_LIST:
                _in_list(words, words[program[k, 4]], ta, b, d)
                continue
            c = scratch[program[k, 4], :m]
            tc = text_scratch[program[k, 4], :m]
            if op >= ABS:
                e = scratch[program[k, 5], :m]
                for i in range(m):
                    d[i] = _scalar(op, a[i], b[i], c[i], e[i])
            elif op == ADD:
                for i in range(m):
                    r = a[i] + b[i]
                    d[i] = r + (r - r)
            elif op == SUBTRACT:
                for i in range(m):
                    r = a[i] - b[i]
                    d[i] = r + (r - r)
            elif op == MULTIPLY:
                for i in range(m):
                    r = a[i] * b[i]
                    d[i] = r + (r - r)
            elif op == DIVIDE:
                for i in range(m):
                    r = a[i] / b[i]
                    d[i] = r + (r - r)
            elif op == NEGATE:
                for i in range(m):
                    d[i] = 0.0 - a[i]
            elif op == SECONDS:
                for i in range(m):
                    d[i] = (a[i] - b[i]) / 1e6
            elif op == EQ:
                for i in range(m):
                    d[i] = (1.0 if a[i] == b[i] else 0.0) + _unknown(a[i], b[i])
            elif op == NE:
                for i in range(m):
                    d[i] = (1.0 if a[i] != b[i] else 0.0) + _unknown(a[i], b[i])
            elif op == LT:
                for i in range(m):
                    d[i] = (1.0 if a[i] < b[i] else 0.0) + _unknown(a[i], b[i])
            elif op == LE:
                for i in range(m):
                    d[i] = (1.0 if a[i] <= b[i] else 0.0) + _unknown(a[i], b[i])
            elif op == GT:
                for i in range(m):
                    d[i] = (1.0 if a[i] > b[i] else 0.0) + _unknown(a[i], b[i])
            elif op == GE:
                for i in range(m):
                    d[i] = (1.0 if a[i] >= b[i] else 0.0) + _unknown(a[i], b[i])
            elif op == EQ_TEXT:
                for i in range(m):
                    d[i] = np.nan if (ta[i] == 0) | (tb[i] == 0) else (1.0 if ta[i] == tb[i] else 0.0)
            elif op == NE_TEXT:
                for i in range(m):
                    d[i] = np.nan if (ta[i] == 0) | (tb[i] == 0) else (1.0 if ta[i] != tb[i] else 0.0)
            elif op == AND:
                for i in range(m):
                    d[i] = 0.0 if (a[i] == 0.0) | (b[i] == 0.0) else a[i] * b[i]
            elif op == OR:
                for i in range(m):
                    d[i] = 1.0 if (a[i] == 1.0) | (b[i] == 1.0) else a[i] + b[i]
            elif op == NOT:
                for i in range(m):
                    d[i] = 1.0 - a[i]
            elif op == IS_NULL:
                for i in range(m):
                    d[i] = 1.0 if a[i] != a[i] else 0.0
            elif op == IS_NOT_NULL:
                for i in range(m):
                    d[i] = 1.0 if a[i] == a[i] else 0.0
            elif op == IS_NULL_TEXT:
                for i in range(m):
                    d[i] = 1.0 if ta[i] == 0 else 0.0
            elif op == IS_NOT_NULL_TEXT:
                for i in range(m):
                    d[i] = 1.0 if ta[i] != 0 else 0.0
            elif op == IF:
                for i in range(m):
                    d[i] = b[i] if a[i] == 1.0 else c[i]
            elif op == IF_TEXT:
                for i in range(m):
                    td[i] = tb[i] if a[i] == 1.0 else tc[i]
            elif op == COALESCE:
                for i in range(m):
                    d[i] = a[i] if a[i] == a[i] else b[i]
            elif op == COALESCE_TEXT:
                for i in range(m):
                    td[i] = ta[i] if ta[i] != 0 else tb[i]
            elif op == NULLIF:
                for i in range(m):
                    d[i] = np.nan if a[i] == b[i] else a[i]
            else:  # NULLIF_TEXT
                for i in range(m):
                    td[i] = 0 if ta[i] == tb[i] else ta[i]
