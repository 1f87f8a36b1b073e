"""The precedence of rules, score and failure, compiled: one pass over a micro-batch."""

import numpy as np

from penstock.jit import njit

CHALLENGES, REVIEWS, BLOCKS = range(1, 4)
"""Ranks of rules that ask for an outcome, which are those of the outcomes: the severest of score and rules is given."""

OVERRIDES = 3
"""Added to the rank of a rule that overrides, and to that of every rule where rules come first: what a rule above `BLOCKS`
asks for is given whatever the score asks for."""

ALLOWS, BLOCKS_HARD = 10, 11
"""Ranks above all others. Where several rules fire, the highest rank counts, and of equal ones the first declared."""

NO_ACTION = 255
"""Stands where there is no action: nobody judged, or nothing was changed."""

BY_SCORE, BY_NOTHING, BY_FAILURE, BY_CONTROL = -1, -2, -3, -4
"""What decided, where no rule did. `BY_NOTHING` is an approval: nothing spoke against it; `BY_CONTROL` one of what would have
been blocked."""

_ACTION_OF_RANK = np.array([0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 3], np.uint8)


@njit
def judge(x, columns, ranks, probability, thresholds, failed, on_failure, action, by, lowered, unusual):
    """Fill action (a value of `messages.Action`), by (index of the deciding rule, or one of the three above) and lowered (the
    severest outcome that the score, the failure or a rule asked for, where a less severe one is given, else `NO_ACTION`).

    x: (n, width). columns, ranks: per rule. probability: (n, any), NaN in the first column where there is none.
    thresholds: challenge, review, block. failed: (n,) true where the score is missing because something failed, or (0,)
    where nothing did; on_failure: the action for that. unusual: gets the rows that are no plain approvals, in which a
    rule fired or something failed; returns their number.
    """
    count = 0
    for i in range(action.shape[0]):
        asked, decider = 0, BY_NOTHING
        if failed.shape[0] > 0 and failed[i]:
            asked, decider = on_failure, BY_FAILURE
        else:
            for level in range(3):
                if probability[i, 0] >= thresholds[level]:
                    asked, decider = level + 1, BY_SCORE
        best, given, severest, fired = 0, asked, asked, False
        for r in range(columns.shape[0]):
            if x[i, columns[r]] == 1.0:
                fired = True
                wanted = _ACTION_OF_RANK[ranks[r]]
                severest = max(severest, wanted)
                if ranks[r] > best and (ranks[r] > BLOCKS or wanted >= asked):
                    best, given, decider = ranks[r], wanted, r
        action[i], by[i] = given, decider
        lowered[i] = severest if severest > given else NO_ACTION
        if fired or decider != BY_NOTHING:
            unusual[count] = i
            count += 1
    return count


@njit
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
