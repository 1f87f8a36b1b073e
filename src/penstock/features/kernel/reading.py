"""Features from a key's row and ring. Reading changes no answer."""

import numpy as np

from penstock.features.kernel.aggregates import scan
from penstock.features.kernel.aggregates.sessions import session
from penstock.features.kernel.aggregates.sketches import approx_quantile
from penstock.features.kernel.deviation import deviation, multiply
from penstock.features.kernel.extremes import better, bits_of, extreme
from penstock.features.kernel.hash_tables import distinct_at, is_scanned
from penstock.features.kernel.rings import last_in_ring, lay_base, physical
from penstock.features.kernel.words import (
    APPROX_QUANTILE,
    BASE,
    C_COUNT,
    C_SUM,
    C_VALUE,
    COUNT,
    CURSORS,
    D_RING,
    DISTINCT,
    END,
    F_COUNTER,
    F_CURRENT,
    F_HIGH,
    F_LOW,
    F_MOST,
    F_OP,
    F_OUT,
    F_RANK,
    F_ROLE,
    F_SOURCE,
    F_SPAN,
    F_TEXT,
    F_WINDOW,
    FIRST,
    FIRST_TIME,
    FIRST_WORD,
    G_COUNT,
    G_CURRENT,
    G_HIGH,
    G_LOW,
    G_ROLE,
    G_SOURCE,
    G_SQUARES,
    G_SUM,
    I_RING,
    I_ROW,
    K_SOURCE,
    L_RING,
    LABEL_RATE,
    LAST,
    LAST_TIME,
    LAST_VALUE,
    LOG2,
    MAX,
    MEAN,
    MIN,
    MISSING,
    NO_RING,
    NOTHING,
    OLD_TIME,
    OLD_VALUE,
    QUANTILE,
    RING,
    SESSION_COUNT,
    SESSION_DURATION,
    SESSION_SUM,
    SINCE_FIRST,
    SINCE_LAST,
    SLOT,
    SPAN_COUNT,
    SPAN_HIGH,
    SPAN_LOW,
    SPAN_SUM,
    SUM,
    Z_CHANNEL,
    Z_GAP,
    Z_RING,
)
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _item(P, S, row, item, high, newest):
    """The last value of an item before a position, and its time; nothing that happened after `newest`."""
    place = P.items[item, I_ROW]
    if high == row[END] and row[place + LAST_TIME] <= newest:
        return row[place + LAST_VALUE], row[place + LAST_TIME]
    column, word, time = P.items[item, I_RING], row[place + OLD_VALUE], row[place + OLD_TIME]
    if time > newest:
        word, time = MISSING, MISSING
    for position in range(high - 1, row[FIRST] - 1, -1):
        at = physical(row, position)
        if column < 0 or S.ring[at, column] != MISSING:
            if S.ring[at, 0] >= time:
                return S.ring[at, column] if column >= 0 else np.int64(1), S.ring[at, 0]
            break
    return word, time


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _stands(P, S, row, d, low, high, code):
    """Whether a value stands in [low, high) of a distinct field."""
    if is_scanned(P, row, d):
        return last_in_ring(S.ring, row, P.distincts[d, D_RING], code, high) >= low
    owner = row[SLOT] * np.int64(P.distincts.shape[0]) + d + 1
    at = distinct_at(S.distinct, S.value_directory, S.meta, owner, code)
    if S.distinct[at, 0] == 0:
        return False
    position = S.distinct[at, 2]
    while position >= high:
        position = S.ring[physical(row, position), P.distincts[d, D_RING] + 1]
    return position >= low


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _remembered(P, S, row, line, time, numbers, codes):
    """first, last and the times since them; nothing is written where there is nothing: NaN stands there."""
    op, item, out = line[F_OP], line[F_SOURCE], np.uint64(line[F_OUT])
    if op in (LAST, SINCE_LAST):
        word, at = _item(P, S, row, item, row[CURSORS], time + P.sizes.skew)
    else:
        place = P.items[item, I_ROW]
        word, at = row[place + FIRST_WORD], row[place + FIRST_TIME]
        if at > time + P.sizes.skew:
            return
    if at == MISSING or at <= time - line[F_WINDOW]:
        return
    if op in (SINCE_LAST, SINCE_FIRST):
        numbers[out] = max(time - at, 0) / 1e6
    elif line[F_TEXT]:
        codes[out] = word
    else:
        numbers.view(np.int64)[out] = word


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _ring_of(P, S, row):
    """Offset and mask of a key's ring, with the totals before its oldest entry in place."""
    if P.sizes.keeps_rows and row[RING] == NO_RING:
        lay_base(P, S, row)
    return row[RING], (np.int64(1) << row[LOG2]) - 1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def nothing_measured(S, j):
    """Nothing has been asked of the block's event j yet."""
    for g in range(S.spans.shape[0]):
        S.spans[np.uint64(g), SPAN_COUNT, np.uint64(j)] = -1


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_hidden(P, row, high, time):
    """Whether what left the ring holds later events than a window that ends at this cursor: then none of it may be seen."""
    return row[BASE] > time - P.offsets[np.uint64(high)]


@njit(_nrt=False, error_model="numpy", forceinline=True)
def measure(P, S, row, role, time, values, j):
    """Count and sums of every span of a row's key, with the current event's value where it belongs to them."""
    offset, mask = _ring_of(P, S, row)
    for g in range(P.spans.shape[0]):
        line = P.spans[g]
        if line[G_ROLE] != role:
            continue
        end = row[np.uint64(CURSORS + line[G_HIGH])]
        newer = S.ring[np.uint64(offset + ((end - 1) & mask))]
        start, older = np.int64(0), S.ring[np.uint64(NOTHING)]
        if line[G_LOW] >= 0:
            start = row[np.uint64(CURSORS + line[G_LOW])]
            older = S.ring[np.uint64(offset + ((start - 1) & mask))]
        elif _is_hidden(P, row, line[G_HIGH], time):
            start, end = row[FIRST], max(end, row[FIRST])
            older = S.ring[np.uint64(offset + ((start - 1) & mask))]
            newer = S.ring[np.uint64(offset + ((end - 1) & mask))]
        value = values[np.uint64(line[G_SOURCE])] if line[G_CURRENT] else MISSING
        current = value != MISSING
        span = S.spans[g]
        column = line[G_COUNT]
        count = newer[np.uint64(column)] - older[np.uint64(column)] if column >= 0 else end - start
        span[SPAN_COUNT, j] = count + np.int64(current)
        if line[G_SUM] >= 0:
            column = np.uint64(line[G_SUM])
            span[SPAN_SUM, j] = newer[column] - older[column] + (value if current else np.int64(0))
        if line[G_SQUARES] >= 0:
            _measure_squares(
                newer, older, np.uint64(line[G_SQUARES]), np.uint64(abs(value)) if current else np.uint64(0), span, j
            )


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _measure_squares(newer, older, column, size, span, j):
    """The sum of squares between two entries, and of one more value, in two words."""
    more_high, more_low = multiply(size, size)
    low_word, less_low = np.uint64(newer[column + np.uint64(1)]), np.uint64(older[column + np.uint64(1)])
    high_word = np.uint64(newer[column]) - np.uint64(older[column]) - np.uint64(low_word < less_low)
    low_word -= less_low
    low_word += more_low
    span[SPAN_HIGH, j] = np.int64(high_word + more_high + np.uint64(low_word < more_low))
    span[SPAN_LOW, j] = np.int64(low_word)


@njit(_nrt=False, error_model="numpy")
def express(P, S, x, begin, end):
    """Turn the measured spans of the events [begin, end) into features, one feature after another."""
    for f in range(P.sizes.summed):
        line = P.features[f]
        op, out = line[F_OP], np.uint64(line[F_OUT])
        span = S.spans[line[F_SPAN]]
        scale = P.scales[line[F_SOURCE]]
        for j in range(end - begin):
            count = span[SPAN_COUNT, j]
            if count < 0:  # nothing was asked
                continue
            if op == COUNT:
                result = np.float64(count)
            elif op == SUM:
                result = np.float64(span[SPAN_SUM, j] / scale)
            elif op == MEAN:
                result = np.float64(span[SPAN_SUM, j] / (count * scale) if count > 0 else np.nan)
            elif count > 1:
                high, low = np.uint64(span[SPAN_HIGH, j]), np.uint64(span[SPAN_LOW, j])
                result = deviation(count, span[SPAN_SUM, j], high, low, scale)
            else:
                result = np.float64(np.nan)
            x[np.uint64(begin + j), out] = result


@njit(_nrt=False, error_model="numpy", forceinline=True)
def evaluate(P, S, row, role, time, values, exact_values, distinct_values, numbers, codes, j):
    """The features of a row's key that are not made from spans alone, as of this time, into an event's columns."""
    for f in range(P.sizes.summed, P.features.shape[0]):
        line = P.features[f]
        if line[F_ROLE] != role:
            continue
        op = line[F_OP]
        if op >= LAST:
            _remembered(P, S, row, line, time, numbers, codes)
            continue
        if op >= SESSION_COUNT:
            _session(P, S, row, line, time, values, numbers)
            continue
        if op == APPROX_QUANTILE:
            current = exact_values[np.uint64(line[F_SOURCE])] if line[F_CURRENT] else MISSING
            numbers[np.uint64(line[F_OUT])] = approx_quantile(row, np.uint64(line[F_COUNTER]), current, line[F_RANK])
            continue
        if op >= QUANTILE:
            _scanned(P, S, row, line, exact_values, numbers, codes)
            continue
        end = row[np.uint64(CURSORS + line[F_HIGH])]
        hidden = line[F_LOW] < 0 and _is_hidden(P, row, line[F_HIGH], time)
        if hidden:
            end = max(end, row[FIRST])
        start = row[np.uint64(CURSORS + line[F_LOW])] if line[F_LOW] >= 0 else row[FIRST] if hidden else np.int64(0)
        if op == DISTINCT:
            result = np.float64(_distinct_count(P, S, row, line, start, end, hidden, distinct_values))
        elif op in (MIN, MAX):
            value = exact_values[np.uint64(line[F_SOURCE])] if line[F_CURRENT] else MISSING
            best = _extreme_word(P, S, row, line, start, end, hidden, value)
            if best != MISSING:
                numbers.view(np.int64)[np.uint64(line[F_OUT])] = bits_of(best)
            else:
                numbers[np.uint64(line[F_OUT])] = np.nan
            continue
        else:
            frauds = _flags(P, S, row, line, end) if hidden else row[P.sizes.counters + line[F_COUNTER]]
            result = np.float64(frauds)
            if op == LABEL_RATE:
                count = S.spans[line[F_SPAN], SPAN_COUNT, j]
                result = np.float64(frauds / count if count > 0 else 0.0)
        numbers[np.uint64(line[F_OUT])] = result


@njit(_nrt=False, error_model="numpy")
def _scanned(P, S, row, line, exact_values, numbers, codes):
    """The aggregates that read the newest values of a window one by one."""
    channel, op, kept = P.channels[line[F_SOURCE]], line[F_OP], line[F_COUNTER]
    ring, width, mask = S.ring.reshape(-1), np.uint64(S.ring.shape[1]), (np.int64(1) << row[LOG2]) - 1
    low, high = max(row[CURSORS + line[F_LOW]], row[FIRST]), row[CURSORS + line[F_HIGH]]
    current = exact_values[line[F_SOURCE]] if line[F_CURRENT] else MISSING
    window = (row[RING], mask, row[FIRST], low, high)
    number, word, row[kept] = scan(
        op,
        ring,
        width,
        channel[C_VALUE],
        channel[C_COUNT],
        *window,
        current,
        line[F_MOST],
        line[F_RANK],
        row[kept],
        S.tally.reshape(-1),
    )
    if line[F_TEXT]:
        codes[np.uint64(line[F_OUT])] = word if word != MISSING else 0
    else:
        numbers[np.uint64(line[F_OUT])] = number


@njit(_nrt=False, error_model="numpy")
def _session(P, S, row, line, time, values, numbers):
    """The session that goes on, or begins, with an event at this time."""
    of = P.sessions[line[F_COUNTER]]
    channel, high = P.channels[of[Z_CHANNEL]], row[CURSORS + line[F_HIGH]]
    entry = physical(row, high - 1) if not _is_hidden(P, row, line[F_HIGH], time) else np.uint64(NOTHING)
    value = values[of[Z_CHANNEL]] if line[F_CURRENT] else MISSING
    count, total, seconds = session(
        S.ring.reshape(-1),
        entry * np.uint64(S.ring.shape[1]),
        of[Z_RING],
        channel[C_COUNT],
        channel[C_SUM],
        of[Z_GAP],
        time,
        value,
    )
    result = np.float64(count)
    if line[F_OP] == SESSION_SUM:
        result = np.float64(total) / P.scales[of[Z_CHANNEL]]
    elif line[F_OP] == SESSION_DURATION:
        result = seconds
    numbers[np.uint64(line[F_OUT])] = result


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _distinct_count(P, S, row, line, start, end, hidden, distinct_values):
    found = _values(P, S, row, line, end) if hidden else row[P.sizes.counters + line[F_COUNTER]]
    code = distinct_values[line[F_SOURCE]] if line[F_CURRENT] else MISSING
    if code != MISSING and not _stands(P, S, row, line[F_SOURCE], start, end, code):
        found += 1
    return found


@njit(_nrt=False, error_model="numpy")
def _values(P, S, row, line, end):
    """How many different values stand in the ring before a position."""
    column, found = P.distincts[line[F_SOURCE], D_RING], np.int64(0)
    for position in range(row[FIRST], end):
        at = physical(row, position)
        found += S.ring[at, column] != MISSING and S.ring[at, column + 1] < row[FIRST]
    return found


@njit(_nrt=False, error_model="numpy")
def _flags(P, S, row, line, end):
    """How many known frauds stand in the ring before a position."""
    column, found = P.labels[P.counters[line[F_COUNTER], K_SOURCE], L_RING], np.int64(0)
    for position in range(row[FIRST], end):
        found += max(S.ring[physical(row, position), column], 0)
    return found


@njit(_nrt=False, error_model="numpy")
def _extreme_word(P, S, row, line, start, end, hidden, value):
    """The min or max over positions [start, end) and the current event's value; of all time for a window without beginning."""
    minimum, e = line[F_OP] == MIN, line[F_COUNTER]
    best = better(extreme(P, S, row, max(start, row[FIRST]), end, e), value, minimum)
    if line[F_LOW] < 0 and not hidden:
        best = better(best, row[P.sizes.totals + P.sizes.total_words + e], minimum)
    return best
