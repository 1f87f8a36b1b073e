"""Figures of a trial, from its cells, and the confidence intervals of differences and sums.

`penstock.outcomes` has the intervals of shares.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np

from penstock.decision.guard import TrialFigures
from penstock.offline.backtest.cells import ACTIONS, Cell, count_of, matrix_of, side_of, truth_of
from penstock.offline.trial.result import Amount, Part, Side, Times
from penstock.outcomes import Rate, Z, share

_DRAWS, _SEED = 1000, 0


class ScoreFigures(NamedTuple):
    """Further figures of a period, by side: scores in twentieths, times."""

    scores: Mapping[str, Sequence[int]]
    times: Mapping[str, Times]


def part_of(since: datetime | None, cells: Sequence[Cell], further: ScoreFigures, *, worth: bool) -> Part:
    """The figures of some cells. worth: whether events have an amount."""
    both = judged(cells)
    events, matrix = count_of(both), matrix_of(both)
    only = [sum(matrix[a]["BLOCK"] for a in ACTIONS[:-1]), sum(matrix["BLOCK"][a] for a in ACTIONS[:-1])]
    return Part(
        since=since,
        events=events,
        errors=count_of(cells) - events,
        agreement=share(sum(matrix[action][action] for action in ACTIONS), events),
        matrix=matrix,
        truth=truth_of(both),
        champion=_side("champion", both, further, worth=worth),
        candidate=_side("candidate", both, further, worth=worth),
        block_rate_change=paired(only[0], only[1], events),
    )


def judged(cells: Sequence[Cell]) -> list[Cell]:
    """Those in which the candidate decided."""
    return [cell for cell in cells if cell.candidate is not None]


def _side(which: Literal["champion", "candidate"], cells: Sequence[Cell], further: ScoreFigures, *, worth: bool) -> Side:
    found, events = side_of(cells, which), count_of(cells)
    return Side(
        decisions=found.decisions,
        block_rate=share(found.decisions["BLOCK"], events),
        review_rate=share(found.decisions["REVIEW"], events),
        approval_rate=share(found.decisions["APPROVE"], events),
        precision=found.precision,
        recall=found.recall,
        loss=found.loss if worth else None,
        good_stopped=found.good_worth if worth else None,
        latency_ms=further.times.get(which),
        scores=list(further.scores[which]) if which in further.scores else None,
        unobjected=found.unobjected,
    )


def trial_figures(cells: Sequence[Cell]) -> TrialFigures:
    """The figures that a guard waiting for labels needs."""
    both = judged(cells)
    champion, candidate = side_of(both, "champion"), side_of(both, "candidate")
    return TrialFigures(
        events=count_of(both),
        errors=count_of(cells) - count_of(both),
        stopped=(champion.frauds_stopped + champion.good_stopped, candidate.frauds_stopped + candidate.good_stopped),
        frauds=(champion.frauds_stopped, candidate.frauds_stopped),
    )


def paired(more: int, fewer: int, whole: int) -> Rate:
    """The difference of two shares of the same events: `more` that only the second has, `fewer` that only the first has.

    The interval is McNemar's: events that both have or lack do not affect it.

    >>> found = paired(30, 10, 1000)
    >>> found.value, round(found.low, 4), round(found.high, 4)
    (0.02, 0.0077, 0.0323)
    """
    if not whole:
        return Rate(None, None, None, 0)
    value = (more - fewer) / whole
    half = Z * math.sqrt(max(0.0, more + fewer - (more - fewer) ** 2 / whole)) / whole
    return Rate(value, value - half, value + half, whole, more - fewer)


def resampled(values: Sequence[float]) -> Amount:
    """The sum over periods, with its bootstrap interval over periods; the same on every run.

    >>> resampled([10.0, 10.0]).low
    20.0
    """
    found = np.array(values, np.float64)
    total = round(float(found.sum()), 2) + 0.0
    if len(found) < 2:
        return Amount(total, total, total)
    drawn = np.random.default_rng(_SEED).integers(0, len(found), size=(_DRAWS, len(found)))
    low, high = np.percentile(found[drawn].sum(axis=1), [2.5, 97.5])
    return Amount(total, round(float(low), 2), round(float(high), 2))
