"""Decisions as JSON, compiled: a form with slots, filled for every row of a micro-batch in one pass.

A form is a row of five int64 per slot: start and end of the fixed text before it in `fixed`, the slot's kind, an
index, and for a PIECE the slot that follows its default. Texts arrive as JSON arrays that are already escaped, one per
column, and are walked through side by side with the rows. Pieces are JSON made elsewhere for the few rows that need
it; where a row has none, the default stands.
"""

import numba as nb
import numpy as np

from penstock.decision.digits import copy_bytes, write_boolean, write_number, write_time, write_time_value

END, TEXT, EVENT_TIME, NUMBER, BOOLEAN, TIME, SCORE, CONFIDENCE, ACTION, SHARED, PIECE, NOTHING = range(12)
"""What stands in a slot. ACTION and SHARED choose a stretch of `shared`; PIECE skips to the slot after its default."""

_QUOTE, _BACKSLASH = 34, 92


@nb.njit(cache=True, error_model="numpy")
def _after_value(texts, at):
    """Where the JSON text or null at this place ends."""
    if texts[at] != _QUOTE:
        return at + 4
    at += 1
    while texts[at] != _QUOTE:
        at += 2 if texts[at] == _BACKSLASH else 1
    return at + 1


@nb.njit(cache=True, error_model="numpy")
def _bits(word, value):
    word[0] = value
    return word.view(np.uint64)[0]


@nb.njit(cache=True, error_model="numpy")
def write_rows(form, fixed, rows, x, time_us, scores, action, texts, cursors, shared, spans, pieces, stops, out, ends):
    """Write the decision of every row in `rows`; `ends[k]` is where the k-th one ends in `out`.

    scores: (n, 1 + members), the probability first. texts, cursors: JSON arrays and where the first value of each
    stands; the cursors move. shared, spans: stretches of text that all rows share. pieces, stops: (rows, pieces) where
    the piece of a row ends, each beginning where the one before ended; an empty one stands for the default.
    """
    word = np.empty(1, np.float64)
    bits = x.view(np.uint64)
    at, piece = 0, 0
    for k in range(rows.shape[0]):
        i = rows[k]
        s = 0
        while True:
            at = copy_bytes(fixed, form[s, 0], form[s, 1], out, at)
            kind, index = form[s, 2], form[s, 3]
            s += 1
            if kind == NUMBER:
                at = write_number(x[i, index], bits[i, index], out, at)
            elif kind == BOOLEAN:
                at = write_boolean(x[i, index], out, at)
            elif kind == TIME:
                at = write_time_value(x[i, index], out, at)
            elif kind == TEXT:
                stop = _after_value(texts, cursors[index])
                at = copy_bytes(texts, cursors[index], stop, out, at)
                cursors[index] = stop + 1
            elif kind == EVENT_TIME:
                at = write_time(time_us[i], out, at)
            elif kind == SCORE or kind == CONFIDENCE:
                value = scores[i, index]
                if kind == CONFIDENCE:
                    value = max(value, 1.0 - value)
                at = write_number(value, _bits(word, value), out, at)
            elif kind == ACTION or kind == SHARED:
                chosen = action[i] if kind == ACTION else index
                at = copy_bytes(shared, spans[chosen], spans[chosen + 1], out, at)
            elif kind == PIECE:
                stop = stops[k, index]
                if stop > piece:
                    at = copy_bytes(pieces, piece, stop, out, at)
                    piece = stop
                    s = form[s - 1, 4]
            elif kind == END:
                break
        ends[k] = at
