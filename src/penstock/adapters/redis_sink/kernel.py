"""Compiled msgpack encoding of profiles: for each key an array of fields and text values, then an array of null fields."""

import numpy as np

from penstock.decision.digits import LONGEST, SLACK, copy_bytes, write_boolean, write_number, write_time, write_time_value
from penstock.jit import njit

NUMBER, BOOLEAN, TIME, TEXT = range(4)
"""What a field holds."""

HEAD_BYTES = 3 * 5 + LONGEST + SLACK
"""Enough for what stands around a profile: the heads of its two arrays and its time."""

FIELD_BYTES = LONGEST + 1
"""Enough for the value of a field that is no text."""

_SHORT, _MIDDLE, _LONG, _ARRAY = 0xA0, 0xDA, 0xDB, 0xDC


@njit(error_model="numpy")
def _write_text(source, start, stop, out, at):
    size = stop - start
    if size < 32:
        out[at] = _SHORT | size
        at += 1
    elif size < 65_536:
        out[at], out[at + 1], out[at + 2] = _MIDDLE, size >> 8, size & 255
        at += 3
    else:
        out[at], out[at + 1], out[at + 2] = _LONG, size >> 24, size >> 16 & 255
        out[at + 3], out[at + 4] = size >> 8 & 255, size & 255
        at += 5
    return copy_bytes(source, start, stop, out, at)


@njit(error_model="numpy")
def _close_array(count, out, at):
    out[at], out[at + 1], out[at + 2] = _ARRAY, count >> 8, count & 255


@njit(error_model="numpy")
def _write_value(kind, value, bits, out, at):
    """A number, boolean or time as a text, its quotes left out; all of them are shorter than 32 bytes."""
    head = at
    at += 1
    if kind == NUMBER:
        at = write_number(value, bits, out, at)
    elif kind == BOOLEAN:
        at = write_boolean(value, out, at)
    else:
        return _unquote(head, write_time_value(value, out, head), out)
    out[head] = _SHORT | (at - head - 1)
    return at


@njit(error_model="numpy")
def _unquote(start, stop, out):
    """Turn a text in quotes into one of msgpack: its head takes the place of the first quote."""
    out[start] = _SHORT | (stop - start - 2)
    return stop - 1


@njit(error_model="numpy")
def write_profiles(kinds, names, name_ends, keys, key_ends, time_us, values, texts, text_ends, out):
    """Write a profile for every row; returns where they end in `out`.

    kinds: of each field. names, keys, texts: end to end, with where each ends; the first name is that of the time. values: (n,
    fields), NaN where there is none. text_ends: (n, text fields) in `texts`, negative where there is none. `names`, `keys`,
    `texts` and `out` end with `digits.SLACK` bytes of no meaning.
    """
    bits = values.view(np.uint64)
    at, key, text = np.int64(0), np.int64(0), np.int64(0)
    for i in range(values.shape[0]):
        head, count, column = at, 3, 0
        at = _write_text(keys, key, key_ends[i], out, at + 3)
        key = key_ends[i]
        at = _write_text(names, 0, name_ends[0], out, at)
        at = _unquote(at, write_time(time_us[i], out, at), out)
        for f in range(kinds.shape[0]):
            if kinds[f] == TEXT:
                stop = text_ends[i, column]
                column += 1
                if stop >= 0:
                    at = _write_text(names, name_ends[f], name_ends[f + 1], out, at)
                    at = _write_text(texts, text, stop, out, at)
                    text, count = stop, count + 2
            elif values[i, f] == values[i, f]:
                at = _write_text(names, name_ends[f], name_ends[f + 1], out, at)
                at = _write_value(kinds[f], values[i, f], bits[i, f], out, at)
                count += 2
        _close_array(count, out, head)
        head, count, column = at, 0, 0
        at += 3
        for f in range(kinds.shape[0]):
            if kinds[f] == TEXT:
                absent = text_ends[i, column] < 0
                column += 1
            else:
                absent = values[i, f] != values[i, f]
            if absent:
                at = _write_text(names, name_ends[f], name_ends[f + 1], out, at)
                count += 1
        _close_array(count, out, head)
    return at
