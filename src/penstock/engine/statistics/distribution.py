"""How decisions are spread: by score, amount, category, hour and latency, and how often rules fired; over the four ranges.

Sums of scores, of blocks and of what each rule fired on, are kept with them: estimates are made of these.

Counted where decisions are made, many batches at once, into buckets of fixed size: an answer costs the same at any rate of
traffic, reads no ledger, and is there again after a restart.
"""

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US
from penstock.detector import Detector
from penstock.engine.statistics.buckets import RANGES, StatisticsRange
from penstock.features.money import Money
from penstock.messages import Action, Type
from penstock.outcomes import ScoreSums

STAGES = ("decode", "features", "models", "challenger", "rules", "explain", "total")
"""The timed stages in order; `total` is their sum."""

SCORE_BINS = 20
HOURS = 24
AMOUNT_LOW, AMOUNT_PER_DECADE, AMOUNT_DECADES = 0.1, 4, 8
AMOUNT_BINS = AMOUNT_PER_DECADE * AMOUNT_DECADES
AMOUNT_EDGES = [AMOUNT_LOW * 10 ** (k / AMOUNT_PER_DECADE) for k in range(AMOUNT_BINS + 1)]
"""Bounds of the bins of amounts."""

MOST_VALUES = 200
"""Values of a category that a bucket tells apart."""

_ACTIONS = len(Action)
_SUMS = len(ScoreSums.__struct_fields__)
_MS_LOW, _MS_PER_DECADE, _MS_DECADES = 1e-4, 24, 9
_MS_BINS = _MS_PER_DECADE * _MS_DECADES
_SCORES = 0
_AMOUNTS = _SCORES + (SCORE_BINS + 1) * _ACTIONS  # one more for those without
_HOURS = _AMOUNTS + (AMOUNT_BINS + 1) * _ACTIONS
_TIMES = _HOURS + HOURS * _ACTIONS
_SIZE = _TIMES + len(STAGES) * _MS_BINS

_HOUR_US = 3600 * SECOND_US
_FIRST_NAMES = ("category", "merchant_category", "type", "mcc")

Fired = tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.bool_]]
"""Names of rules, the rows on which any of them fired, and which (rows, rules)."""


class UncountedBatch(NamedTuple):
    """A batch that was decided and waits to be counted. values: of the category, where there is one."""

    decided_us: int
    action: NDArray[np.uint8]
    amounts: NDArray[np.float64] | None
    scores: NDArray[np.float64]
    time_us: NDArray[np.int64]
    values: Sequence[str | None] | None
    fired: Fired | None
    latency_ms: Mapping[str, float]


class RuleCount:
    """How often a rule fired, by outcome; on how many no other did; and when it last was. scores: `ScoreSums` of these."""

    __slots__ = ("last_us", "only", "outcomes", "scores")

    def __init__(
        self,
        outcomes: NDArray[np.int64] | None = None,
        only: int = 0,
        last_us: int = 0,
        scores: NDArray[np.float64] | None = None,
    ) -> None:
        self.outcomes = np.zeros(_ACTIONS, np.int64) if outcomes is None else outcomes
        self.only, self.last_us = only, last_us
        self.scores = np.zeros(_SUMS) if scores is None else scores

    def plus(self, other: "RuleCount") -> None:
        """Count what another counted."""
        self.outcomes = self.outcomes + other.outcomes
        self.only += other.only
        self.last_us = max(self.last_us, other.last_us)
        self.scores = self.scores + other.scores

    def saved(self) -> list[Any]:
        """The content of a snapshot: the arguments of the constructor."""
        return [self.outcomes.tolist(), self.only, self.last_us, self.scores.tolist()]


class Tally:
    """Counts of some decisions. values: of the category by outcome, `others` beyond `MOST_VALUES`. blocked: `ScoreSums`."""

    def __init__(self) -> None:
        self.counts = np.zeros(_SIZE, np.int64)
        self.values: Counter[tuple[str | None, int]] = Counter()
        self.others = np.zeros(_ACTIONS, np.int64)
        self.rules: dict[str, RuleCount] = {}
        self.blocked = np.zeros(_SUMS)

    def plus(self, other: "Tally") -> None:
        """Count what another counted."""
        self.counts += other.counts
        self.others += other.others
        self.blocked += other.blocked
        for (value, action), count in other.values.items():
            self._value(value, action, count)
        for name, rule in other.rules.items():
            self.rules.setdefault(name, RuleCount()).plus(rule)

    def _value(self, value: str | None, action: int, count: int) -> None:
        if (value, action) in self.values or len(self.values) < MOST_VALUES * _ACTIONS:
            self.values[value, action] += count
        else:
            self.others[action] += count

    # ---- what it says

    @property
    def total(self) -> int:
        """Decisions."""
        return int(self.counts[_HOURS:_TIMES].sum())

    @property
    def scores(self) -> NDArray[np.int64]:
        """By bin of score and outcome, (21, 4); the last row has no score."""
        return self.counts[_SCORES:_AMOUNTS].reshape(-1, _ACTIONS)

    @property
    def amounts(self) -> NDArray[np.int64]:
        """By bin of amount and outcome, (33, 4); the last row has no amount."""
        return self.counts[_AMOUNTS:_HOURS].reshape(-1, _ACTIONS)

    @property
    def hours(self) -> NDArray[np.int64]:
        """By hour of the day (UTC) and outcome, (24, 4)."""
        return self.counts[_HOURS:_TIMES].reshape(-1, _ACTIONS)

    def quantile_ms(self, stage: str, share: float) -> float | None:
        """So many of the decisions took no longer in this stage; to within 5 %. None where it was not measured."""
        start = _TIMES + STAGES.index(stage) * _MS_BINS
        bins = np.cumsum(self.counts[start : start + _MS_BINS])
        if not bins[-1]:
            return None
        place = int(np.searchsorted(bins, math.ceil(share * bins[-1])))
        return float(f"{_MS_LOW * 10 ** ((place + 0.5) / _MS_PER_DECADE):.3g}")

    # ---- kept

    def saved(self) -> list[Any]:
        """The content of a snapshot: the counts other than 0, which are few."""
        held = np.flatnonzero(self.counts)
        return [
            held.astype(np.int32).tobytes(),
            self.counts[held].tobytes(),
            [[value, action, count] for (value, action), count in self.values.items()],
            self.others.tolist(),
            [
                [name, rule.outcomes.tolist(), rule.only, rule.last_us, rule.scores.tolist()]
                for name, rule in self.rules.items()
            ],
            self.blocked.tolist(),
        ]

    @classmethod
    def restored(cls, saved: list[Any]) -> "Tally":
        """What `saved` wrote; version 0.1 wrote no sums of scores."""
        places, counts, values, others, rules, *blocked = saved
        tally = cls()
        tally.counts[np.frombuffer(places, np.int32)] = np.frombuffer(counts, np.int64)
        tally.values.update({(value, action): count for value, action, count in values})
        tally.others[:] = others
        tally.rules = {
            name: RuleCount(np.array(by, np.int64), only, last, np.array(*scores) if scores else None)
            for name, by, only, last, *scores in rules
        }
        tally.blocked += np.array(*blocked) if blocked else 0.0
        return tally


class Distribution:
    """The tallies of one engine, by range. One thread adds, any may ask.

    since_us: what was decided before is not counted.
    """

    def __init__(self, since_us: int) -> None:
        self.since_us = since_us
        self._buckets: dict[str, dict[int, Tally]] = {name: {} for name in RANGES}
        self._lock = threading.Lock()

    def add(self, at_us: int, batches: Sequence[UncountedBatch]) -> None:
        """Count batches that were decided within one shortest step, which holds `at_us`."""
        tally = tally_of(batches)
        with self._lock:
            for name, range_ in RANGES.items():
                buckets, period = self._buckets[name], at_us // range_.bucket_us
                if period not in buckets:
                    buckets[period] = Tally()
                    for old in [each for each in buckets if each <= max(buckets) - range_.buckets]:
                        del buckets[old]
                if period in buckets:  # older than everything that is kept: gone again already
                    buckets[period].plus(tally)

    def sum(self, range_: StatisticsRange, now_us: int) -> Tally:
        """Everything of a range."""
        found, first = Tally(), range_.start_us(now_us) // range_.bucket_us
        with self._lock:
            for period, tally in self._buckets[range_.name].items():
                if period >= first:
                    found.plus(tally)
        return found

    def saved(self) -> dict[str, Any]:
        """The content of a snapshot."""
        with self._lock:
            kept = {name: [[at, each.saved()] for at, each in of.items()] for name, of in self._buckets.items()}
        return {"since_us": self.since_us, **kept}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.since_us = saved["since_us"]
        for name in RANGES:
            self._buckets[name] = {at: Tally.restored(each) for at, each in saved.get(name, [])}


def worth_of(detector: Detector) -> tuple[str | None, str | None]:
    """The column that says what an event is worth, and its currency; None where that is not known.

    Of amounts in several currencies it is the one that they are converted to.
    """
    amount = detector.schema.amount
    money = next((each for each in detector.features if isinstance(each, Money) and each.amount == amount), None)
    if money is not None:
        return money.name, money.to
    return amount, None if amount is None else detector.currency


def category_of(detector: Detector) -> str | None:
    """The field by whose values decisions are told apart: called category, type or so, else the first text that models read.

    No id, no personal field.
    """
    schema, keys = detector.schema, {column.name for plan in detector.plan.entities for role in plan.keys for column in role}
    hidden = {detector.id, *schema.personal}
    texts = [name for name, type_ in schema.columns.items() if type_ is Type.TEXT and name not in hidden]
    named = [name for name in _FIRST_NAMES if name in texts] + [name for name in texts if name.endswith(("_type", "category"))]
    read = [name for name in texts if name in detector.plan.inputs and name not in keys]
    return next(iter([*named, *read]), None)


# ---------------------------------------------------------------- counting


def tally_of(batches: Sequence[UncountedBatch]) -> Tally:
    """The counts of some batches."""
    tally = Tally()
    action = np.concatenate([batch.action for batch in batches]).astype(np.int64)
    places = [
        _SCORES + _binned(np.concatenate([batch.scores for batch in batches]) * SCORE_BINS, SCORE_BINS),
        _AMOUNTS + _binned(_amount_places(batches), AMOUNT_BINS),
        _HOURS + (np.concatenate([batch.time_us for batch in batches]) // _HOUR_US % HOURS) * _ACTIONS,
    ]
    counts = np.bincount(np.concatenate([each + action for each in places]), minlength=_TIMES)
    tally.counts[:_TIMES] = counts
    tally.counts[_TIMES:] = _timed(batches)
    blocked = action == Action.BLOCK.value
    if blocked.any():
        scores = np.concatenate([batch.scores for batch in batches])[blocked]
        tally.blocked += score_sums(scores, amounts_of(batches)[blocked]).sum(axis=0)
    named = [batch for batch in batches if batch.values is not None]
    values = chain.from_iterable(batch.values or () for batch in named)
    of_named = (
        action if len(named) == len(batches) else np.concatenate([[], *(batch.action for batch in named)]).astype(np.int64)
    )
    tally.values.update(zip(values, of_named.tolist(), strict=True))
    for batch in batches:
        if batch.fired is not None:
            _count_fires(tally.rules, batch, *batch.fired)
    return tally


def _binned(places: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Where counts of each row begin: its bin times the number of actions; without a value the bin after the last."""
    known = np.clip(np.nan_to_num(np.floor(places), nan=0.0), 0, bins - 1)
    return np.where(np.isnan(places), bins, known).astype(np.int64) * _ACTIONS


def amounts_of(batches: Sequence[UncountedBatch]) -> NDArray[np.float64]:
    """Amounts of the events of some batches, NaN if unknown."""
    return np.concatenate([np.full(len(batch.action), np.nan) if batch.amounts is None else batch.amounts for batch in batches])


def score_sums(scores: NDArray[np.float64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each row adds to the fields of `ScoreSums`, (rows, fields); nothing without a score, no money without an amount."""
    p, a = np.nan_to_num(scores), np.nan_to_num(amounts)
    doubt = p * (1.0 - p)
    return np.column_stack([~np.isnan(scores), p, doubt, p * a, doubt * a * a])


def _amount_places(batches: Sequence[UncountedBatch]) -> NDArray[np.float64]:
    # edges are looked up, so that a bin holds exactly what its edges say
    amounts = amounts_of(batches)
    places = np.searchsorted(AMOUNT_EDGES, np.nan_to_num(amounts), side="right") - 1
    return np.where(np.isnan(amounts), np.nan, places)


def _timed(batches: Sequence[UncountedBatch]) -> NDArray[np.int64]:
    """By stage and bin of milliseconds; every decision of a batch took as long as the batch."""
    stages = [stage for stage in STAGES if any(stage in batch.latency_ms for batch in batches)]
    if not stages:
        return np.zeros(len(STAGES) * _MS_BINS, np.int64)
    spent = np.array([[batch.latency_ms.get(stage, -1.0) for stage in stages] for batch in batches])
    rows = np.array([len(batch.action) for batch in batches])[:, None] * (spent >= 0)
    bins = np.floor(np.log10(np.maximum(spent, _MS_LOW) / _MS_LOW) * _MS_PER_DECADE)
    starts = np.array([STAGES.index(stage) for stage in stages]) * _MS_BINS
    places = starts + np.clip(bins, 0, _MS_BINS - 1).astype(np.int64)
    return np.bincount(places.ravel(), weights=rows.ravel(), minlength=len(STAGES) * _MS_BINS).astype(np.int64)


def _count_fires(
    rules: dict[str, RuleCount], batch: UncountedBatch, names: Sequence[str], rows: NDArray[np.int64], fired: NDArray[np.bool_]
) -> None:
    alone = fired & (fired.sum(axis=1) == 1)[:, None]
    actions = batch.action[rows]
    amounts = np.zeros(len(rows)) if batch.amounts is None else batch.amounts[rows]
    scores = fired.T @ score_sums(batch.scores[rows], amounts)
    for place in np.flatnonzero(fired.any(axis=0)).tolist():
        outcomes = np.bincount(actions[fired[:, place]], minlength=_ACTIONS)
        count = RuleCount(outcomes, int(alone[:, place].sum()), batch.decided_us, scores[place])
        rules.setdefault(names[place], RuleCount()).plus(count)
