"""Decisions as JSON, compiled: a form with slots, filled for every row of a micro-batch in one pass.

A form is a row of five int64 per slot: start and end of the fixed text before it in `fixed`, the slot's kind, an
index, and for a PIECE the slot that follows its default. Texts arrive as JSON arrays that are already escaped, one per
column, and are walked through side by side with the rows. Pieces are JSON made elsewhere for the few rows that need
it; where a row has none, the default stands.
"""

import numba as nb
import numpy as np

from penstock.decision.digits import copy_bytes, write_boolean, write_number, write_time, write_time_value

NUMBER, BOOLEAN, TIME, SCORE, TEXT, EVENT_TIME, SHARED, PIECE, NOTHING, END = range(10)
"""What stands in a slot. SHARED with the index -1 is chosen by the row's action."""

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
def _write_field(kind, value, bits, out, at):
    if kind == NUMBER:
        return write_number(value, bits, out, at)
    if kind == BOOLEAN:
        return write_boolean(value, out, at)
    return write_time_value(value, out, at)


@nb.njit(cache=True, error_model="numpy")
def write_rows(form, fixed, rows, x, time_us, scores, action, texts, cursors, shared, spans, pieces, stops, out, ends):
    """Write the decision of every row in `rows`; `ends[k]` is where the k-th one ends in `out`.

    scores: (n, 2 + members): the confidence, the probability, each member's. texts, cursors: JSON arrays and where the
    first value of each stands; the cursors move. shared, spans: stretches of text that all rows share. pieces, stops:
    (rows, pieces) where the piece of a row ends, each beginning where the one before ended; an empty one stands for the
    default. Everything copied from, and `out`, ends with `digits.SLACK` bytes of no meaning.
    """
    x_bits, score_bits = x.view(np.uint64), scores.view(np.uint64)
    at, piece = 0, 0
    for k in range(rows.shape[0]):
        i, s, kind = rows[k], 0, NOTHING
        while kind != END:
            at = copy_bytes(fixed, form[s, 0], form[s, 1], out, at)
            kind, index, after = form[s, 2], form[s, 3], s + 1
            if kind <= TIME:
                at = _write_field(kind, x[i, index], x_bits[i, index], out, at)
            elif kind == SCORE:
                at = write_number(scores[i, index], score_bits[i, index], out, at)
            elif kind == TEXT:
                stop = _after_value(texts, cursors[index])
                at = copy_bytes(texts, cursors[index], stop, out, at)
                cursors[index] = stop + 1
            elif kind == EVENT_TIME:
                at = write_time(time_us[i], out, at)
            elif kind == SHARED:
                chosen = index if index >= 0 else action[i]
                at = copy_bytes(shared, spans[chosen], spans[chosen + 1], out, at)
            elif kind == PIECE and stops[k, index] > piece:
                at = copy_bytes(pieces, piece, stops[k, index], out, at)
                piece, after = stops[k, index], form[s, 4]
            s = after
        ends[k] = at
