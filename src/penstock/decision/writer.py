"""Decisions as JSON, compiled: a form with slots, filled for every row of a micro-batch in one pass.

A form is a row of five int64 per slot: start and end of the fixed text before it in `fixed`, the slot's kind, an
index, and for a PIECE the slot that follows its default. What else is copied lies end to end in `loose`:

* what all rows share;
* texts, as a JSON array of one array per row, already escaped, in the order of their slots;
* pieces: JSON made elsewhere for the few rows that need it; where a row has none, the default stands.
"""

from itertools import accumulate

import numpy as np

from penstock.decision.digits import copy_bytes, write_boolean, write_number, write_time, write_time_value
from penstock.jit import njit

NUMBER, BOOLEAN, TIME, SCORE, CONFIDENCE, TEXT, EVENT_TIME, DECIDED_AT, OUTCOME, SHARED, PIECE, NOTHING, END = range(13)
"""What stands in a slot."""

OUTCOMES = (
    b'"APPROVE","prediction":"LEGIT","predicted_class":0,"is_fraud":false',
    b'"CHALLENGE","prediction":"FRAUD","predicted_class":1,"is_fraud":true',
    b'"REVIEW","prediction":"FRAUD","predicted_class":1,"is_fraud":true',
    b'"BLOCK","prediction":"FRAUD","predicted_class":1,"is_fraud":true',
)
"""`decision` and what follows from it, by the value of the action: `fixed` begins with these, end to end."""

_OUTCOME_ENDS = np.array([0, *accumulate(map(len, OUTCOMES))])
_QUOTE, _BACKSLASH = 34, 92


@njit(error_model="numpy")
def _after_value(texts, at):
    """Where the JSON text or null at this place ends."""
    if texts[at] != _QUOTE:
        return at + 4
    at += 1
    while texts[at] != _QUOTE:
        at += 2 if texts[at] == _BACKSLASH else 1
    return at + 1


@njit(error_model="numpy")
def _write_field(kind, value, bits, out, at):
    if kind == NUMBER:
        return write_number(value, bits, out, at)
    if kind == BOOLEAN:
        return write_boolean(value, out, at)
    return write_time_value(value, out, at)


@njit(error_model="numpy")
def _write_again(us, kept, out, at):
    """A time that is the same in all rows; kept: from where to where it was written the first time."""
    if kept[1] > 0:
        return copy_bytes(out, kept[0], kept[1], out, at)
    kept[0], kept[1] = at, write_time(us, out, at)
    return kept[1]


@njit(error_model="numpy")
def write_rows(form, fixed, rows, x, time_us, decided_us, scores, action, loose, text, piece, stops, out, ends):
    """Write the decision of every row in `rows`, of all if it is empty; `ends[k]` is where the k-th one ends in `out`.

    scores: (n, 1 + members), the probability first. text, piece: where texts and pieces begin in `loose`, behind what is
    shared. stops: (rows, pieces) where a row's piece ends, each beginning where the one before ended; 0, or no rows at all,
    stand for the default. `fixed`, `loose` and `out` end with
    `digits.SLACK` bytes of no meaning.
    """
    x_bits, score_bits = x.view(np.uint64), scores.view(np.uint64)
    share = np.empty(1, np.float64)
    share_bits = share.view(np.uint64)
    at, shared, decided_at = np.int64(0), text, np.zeros(2, np.int64)
    text += 1  # a bracket or a comma stands before each text
    for k in range(ends.shape[0]):
        i, s, kind = rows[k] if rows.shape[0] > 0 else k, 0, NOTHING
        while kind != END:
            at = copy_bytes(fixed, form[s, 0], form[s, 1], out, at)
            kind, index, after = form[s, 2], form[s, 3], s + 1
            if kind <= TIME:
                at = _write_field(kind, x[i, index], x_bits[i, index], out, at)
            elif kind == SCORE:
                at = write_number(scores[i, index], score_bits[i, index], out, at)
            elif kind == CONFIDENCE:
                share[0] = max(scores[i, index], 1.0 - scores[i, index])
                at = write_number(share[0], share_bits[0], out, at)
            elif kind == TEXT:
                stop = _after_value(loose, text + 1)
                at = copy_bytes(loose, text + 1, stop, out, at)
                text = stop
            elif kind == EVENT_TIME:
                at = write_time(time_us[i], out, at)
            elif kind == DECIDED_AT:
                at = _write_again(decided_us, decided_at, out, at)
            elif kind == OUTCOME:
                at = copy_bytes(fixed, _OUTCOME_ENDS[action[i]], _OUTCOME_ENDS[action[i] + 1], out, at)
            elif kind == SHARED:
                at = copy_bytes(loose, 0, shared, out, at)
            elif kind == PIECE and stops.shape[0] > 0 and stops[k, index] > 0:
                at = copy_bytes(loose, piece, stops[k, index], out, at)
                piece, after = stops[k, index], form[s, 4]
            s = after
        text += 2
        ends[k] = at
