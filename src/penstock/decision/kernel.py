"""The precedence of rules, score and failure, compiled: one pass over a micro-batch."""

import numba as nb
import numpy as np

CHALLENGES, REVIEWS, BLOCKS, ALLOWS, BLOCKS_HARD = range(1, 6)
"""Ranks of rules: where several fire, the highest decides, and of equal ones the first declared."""

BY_SCORE, BY_NOTHING, BY_FAILURE, BY_CONTROL = -1, -2, -3, -4
"""What decided, where no rule did. `BY_NOTHING` is an approval: nothing spoke against it; `BY_CONTROL` one of what would have
been blocked."""

_ACTION_OF_RANK = np.array([0, 1, 2, 3, 0, 3], np.uint8)


@nb.njit(cache=True)
def judge(x, columns, ranks, probability, thresholds, failed, on_failure, action, by, unusual):
    """Fill action (a value of `messages.Action`) and by (index of the deciding rule, or one of the three above).

    x: (n, width). columns, ranks: per rule. probability: (n, any), NaN in the first column where there is none.
    thresholds: challenge, review, block. failed: (n,) true where the score is missing because something failed, or (0,)
    where nothing did; on_failure: the action for that. unusual: gets the rows that are no plain approvals, in which a
    rule fired or something failed; returns their number.
    """
    count = 0
    for i in range(action.shape[0]):
        best, decider, fired = 0, -1, False
        for r in range(columns.shape[0]):
            if x[i, columns[r]] == 1.0:
                fired = True
                if ranks[r] > best:
                    best, decider = ranks[r], r
        if best > 0:
            action[i] = _ACTION_OF_RANK[best]
            by[i] = decider
        elif failed.shape[0] > 0 and failed[i]:
            action[i] = on_failure
            by[i] = BY_FAILURE
        else:
            reached = 0
            for level in range(3):
                if probability[i, 0] >= thresholds[level]:
                    reached = level + 1
            action[i] = reached
            by[i] = BY_SCORE if reached > 0 else BY_NOTHING
        if fired or by[i] != BY_NOTHING:
            unusual[count] = i
            count += 1
    return count


@nb.njit(cache=True)
def unusual(x, rows, columns, action, by, out):
    """Find those of `rows` that are no plain approvals, for which no rule fired and nothing failed; return their number."""
    count = 0
    for k in range(rows.shape[0]):
        i = rows[k]
        found = action[i] != 0 or by[i] != BY_NOTHING
        for r in range(columns.shape[0]):
            found = found or x[i, columns[r]] == 1.0
        if found:
            out[count] = i
            count += 1
    return count
