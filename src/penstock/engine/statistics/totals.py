"""Totals of all decisions: counts, money, latencies; for people and for Prometheus."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from penstock.clock import SECOND_US, Clock, iso
from penstock.decision import TEXT
from penstock.engine.pipeline import BatchResult
from penstock.engine.statistics.buckets import FINEST_US, StatisticsRange, TimeSeries
from penstock.engine.statistics.distribution import Distribution, Fired, Tally, UncountedBatch, amounts_of
from penstock.messages import Action, Batch, Layout, Record
from penstock.metrics import SECONDS, Families, Histogram

STAGES = ("decode", "features", "models", "challenger", "rules", "explain")
"""The stages of a decision, in their order."""

MOST_RULES = 500
"""Rules that have a name of their own here: versions come and go, and every name is a series for ever."""

OTHER = "other"

Watching = Callable[[Mapping[str, float], int], None]
"""Called with the milliseconds of each stage of a batch, and how many events it had."""

_COUNTED = ("duplicates", "conflicts", "quarantined", "degraded", "ledger_cut_bytes")

_MOST_UNTIMED = 256
"""Batches whose times wait to be counted until somebody asks."""

_LATENCIES = 4096
_RATE_S = 10
_TOGETHER, _ROWS_TOGETHER = 256, 4096
"""Batches, and rows, that are counted in one go at most: what is set aside keeps its batch in memory."""


class Totals:
    """Counters of one engine. amount: the column that is the money at stake, where there is one; category: by whose values
    decisions are told apart.

    meter: what is counted for Prometheus alone, since the process began.
    """

    def __init__(self, amount: str | None, layout: Layout, clock: Clock, category: str | None = None) -> None:
        self.amount = amount
        self._amount = layout[amount].index if amount else None
        self._category = category
        self._clock = clock
        self.meter = Meter()
        self.since_us = clock()
        self.actions = np.zeros(len(Action), np.int64)
        self.amounts = np.zeros(len(Action), np.float64)
        self.duplicates = self.conflicts = self.quarantined = self.quarantine_lost = self.degraded = 0
        self._series = TimeSeries(self.since_us)
        self._spread = Distribution(self.since_us)
        self._uncounted: list[UncountedBatch] = []
        self._rows = 0
        self._counting = threading.RLock()  # a monitor asks from its own thread while events are being decided
        self._step = self.since_us // FINEST_US
        self._fires = FiredRules()
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES)
        self._recent: deque[tuple[int, int]] = deque()

    def decided(self, record: Record, judged: BatchResult, _rendered: list[bytes]) -> None:
        """Count new decisions."""
        latency_ms: Mapping[str, float] = record.meta["latency_ms"]
        self.meter.add(judged, latency_ms)
        now: int = record.meta["decided_us"]
        batch, action = judged.batch, judged.verdicts.action
        amounts = batch.x[:, self._amount] if self._amount is not None else None
        fired = self._fires.of(batch.x, judged.rules, judged.verdicts.unusual)
        values = batch.texts.get(self._category) if self._category is not None else None
        self._buffer(UncountedBatch(now, action, amounts, judged.scores[:, 0], batch.time_us, values, fired, latency_ms))
        if (degradations := judged.degradations) is not None:
            self.degraded += sum(each is not None for each in degradations)
        self._latencies_ms.append(latency_ms["total"])
        self._count_recent(now, len(judged.batch), now)

    def _count_recent(self, at_us: int, count: int, now_us: int) -> None:
        self._recent.append((at_us, count))
        while self._recent and self._recent[0][0] < now_us - _RATE_S * SECOND_US:
            self._recent.popleft()

    def recorded(self, record: Record, names: Sequence[str], _events: Batch | None) -> None:
        """Count a batch that was decided before a restart, or elsewhere. names: of its matrix columns."""
        if record.kind != "decisions":
            return
        amount = names.index(self.amount) if self.amount in names else None
        columns: Any = record.columns
        x, decided_us = columns["x"], record.meta["decided_us"]
        self.since_us = min(self.since_us, decided_us)
        self._series.since_us = min(self._series.since_us, decided_us)
        self._spread.since_us = min(self._spread.since_us, decided_us)
        scores = columns["scores"][:, 0] if "scores" in columns else np.full(len(record), np.nan)
        amounts = x[:, amount] if amount is not None else None
        values = columns.get(TEXT + self._category) if self._category is not None else None
        spent = record.meta.get("latency_ms") or {}
        if "total" in spent:
            self._latencies_ms.append(spent["total"])
        fired = self._fires.recorded(x, names)
        self._buffer(UncountedBatch(decided_us, columns["action"], amounts, scores, record.time_us, values, fired, spent))
        self._count_recent(decided_us, len(record), self._clock())

    def _buffer(self, batch: UncountedBatch) -> None:
        """Keep a batch to be counted with others of its time."""
        step = batch.decided_us // FINEST_US
        with self._counting:
            if step != self._step or len(self._uncounted) >= _TOGETHER or self._rows >= _ROWS_TOGETHER:
                self._fold()
                self._step = step
            self._uncounted.append(batch)
            self._rows += len(batch.action)

    def _fold(self) -> None:
        """Count what has been set aside: batches of one event are too small to be counted each."""
        with self._counting:
            if not self._uncounted:
                return
            batches, self._uncounted, self._rows = self._uncounted, [], 0
            action = np.concatenate([batch.action for batch in batches])
            counts, sums = np.bincount(action, minlength=len(Action)), np.zeros_like(self.amounts)
            if self._amount is not None:
                sums += np.bincount(action, weights=np.nan_to_num(amounts_of(batches)), minlength=len(Action))
            self.actions += counts
            self.amounts += sums
            self._series.add(self._step * FINEST_US, counts, sums)
            self._spread.add(self._step * FINEST_US, batches)

    def stats(self) -> dict[str, Any]:
        """The public form; latency percentiles are over the newest micro-batches, rates over ten seconds."""
        self._fold()
        total = int(self.actions.sum())
        stopped = total - int(self.actions[Action.APPROVE.value])
        latencies = np.array(self._latencies_ms)
        p50, p95, p99 = (round(float(v), 4) for v in np.percentile(latencies, [50, 95, 99])) if len(latencies) else (None,) * 3
        return {
            "total": total,
            **{action.name.lower(): int(self.actions[action.value]) for action in Action},
            "fraud_rate": stopped / total if total else None,  # deprecated: it counts decisions, not frauds
            "intervention_rate": stopped / total if total else None,
            "amount": round(float(self.amounts.sum()), 2),
            "amount_blocked": round(float(self.amounts[Action.BLOCK.value]), 2),
            "per_second": self.per_second,
            "latency_ms": {"p50": p50, "p95": p95, "p99": p99},
            "since": iso(self.since_us),
        }

    def series(self) -> dict[str, Any]:
        """Counts and money by minute and by hour: see `TimeSeries.form`."""
        self._fold()
        return self._series.form(self._clock())

    def points(self, chosen: StatisticsRange) -> list[dict[str, Any]]:
        """Counts and money in the steps of a range: see `TimeSeries.points`."""
        self._fold()
        return self._series.points(chosen, self._clock())

    def sums(self, chosen: StatisticsRange) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts and money of a range, by action."""
        self._fold()
        return self._series.sums(chosen, self._clock())

    def spread(self, chosen: StatisticsRange) -> Tally:
        """How the decisions of a range are spread."""
        self._fold()
        return self._spread.sum(chosen, self._clock())

    @property
    def spread_since_us(self) -> int:
        """Decisions before this are not in `points`, `sums` and `spread`."""
        return self._spread.since_us

    @property
    def per_second(self) -> float:
        """Decisions a second, over the last ten."""
        now = self._clock()
        return sum(n for at, n in tuple(self._recent) if at >= now - _RATE_S * SECOND_US) / _RATE_S

    def metrics(self) -> dict[str, float]:
        """Counters by name."""
        self._fold()
        named = {f"decisions_{action.name.lower()}": float(self.actions[action.value]) for action in Action}
        return named | {
            "duplicates": float(self.duplicates),
            "conflicts": float(self.conflicts),
            "quarantined": float(self.quarantined),
            "degraded": float(self.degraded),
        }

    def saved(self) -> dict[str, Any]:
        """The content of a snapshot."""
        self._fold()
        return {
            "actions": self.actions.tolist(),
            "amounts": self.amounts.tolist(),
            "since_us": self.since_us,
            "series": self._series.saved(),
            "spread": self._spread.saved(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.actions[:] = saved["actions"]
        self.amounts[:] = saved["amounts"]
        self.since_us = saved["since_us"]
        if "series" in saved:  # a snapshot of an earlier version has none: it begins now
            self._series.restore(saved["series"])
        if "spread" in saved:
            self._spread.restore(saved["spread"])


class Meter:
    """Times of stages, fires of rules, rollbacks. One thread adds, any may read.

    A row on which no rule fired costs nothing: only those that are no plain approvals are looked at.
    """

    watching: ClassVar[Watching | None] = None
    """Told of every batch that this process decides; nobody, unless it is set at the start."""

    def __init__(self) -> None:
        self._stages = {stage: Histogram(SECONDS) for stage in STAGES}
        self._untimed: deque[Mapping[str, float]] = deque()
        self._rollbacks: Counter[str] = Counter()
        self._fires: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rules: Sequence[Any] | None = None
        self._names: list[str] = []
        self._columns = np.empty(0, np.int64)

    def add(self, judged: BatchResult, latency_ms: Mapping[str, float]) -> None:
        """Count a batch."""
        self._untimed.append(latency_ms)
        if len(self._untimed) >= _MOST_UNTIMED:
            self._time()
        if Meter.watching is not None:
            Meter.watching(latency_ms, len(judged.batch))
        unusual = judged.verdicts.unusual
        if not len(unusual):
            return
        if judged.rules is not self._rules:
            self._use(judged.rules)
        if not self._names:
            return
        fired = (judged.batch.x[np.ix_(unusual, self._columns)] == 1).sum(axis=0)
        with self._lock:
            for place in np.flatnonzero(fired).tolist():
                self._fires[self._named(self._names[place])] += int(fired[place])

    def rolled_back(self, kind: str) -> None:
        """A guard has ended a trial: of a `model` or a `rule`. From any thread."""
        with self._lock:
            self._rollbacks[kind] += 1

    @property
    def stages(self) -> Mapping[str, Histogram]:
        """The seconds that batches spent in each stage."""
        self._time()
        return self._stages

    def _time(self) -> None:
        """Count the times of the batches that wait for it."""
        with self._lock:
            batches = [self._untimed.popleft() for _ in range(len(self._untimed))]
            for stage, histogram in self._stages.items():
                histogram.observe_all([latency_ms[stage] / 1e3 for latency_ms in batches if stage in latency_ms])

    @property
    def fires(self) -> dict[str, int]:
        """On how many events each rule fired."""
        with self._lock:
            return dict(self._fires)

    @property
    def rollbacks(self) -> dict[str, int]:
        """How many candidates were rolled back, by kind."""
        with self._lock:
            return dict(self._rollbacks)

    def _use(self, rules: Sequence[Any]) -> None:
        self._rules = rules
        self._names = [rule.name for rule in rules]
        self._columns = np.array([rule.index for rule in rules], np.int64)

    def _named(self, name: str) -> str:
        return name if name in self._fires or len(self._fires) < MOST_RULES else OTHER


def add_metrics(families: Families, labels: Sequence[str], counters: Mapping[str, float], meter: Meter | None) -> None:
    """Add what an engine counts (`Engine.metrics`) and, where it is known, what it metered."""
    for name in _COUNTED:
        if name in counters:
            families.add(f"penstock_{name}_total", labels, counters[name])
    if "state_bytes" in counters:
        families.add("penstock_state_bytes", labels, counters["state_bytes"])
    if "memory_refused" in counters:
        families.add("penstock_state_refused_total", labels, counters["memory_refused"])
    if meter is None:
        return
    for stage, histogram in meter.stages.items():
        families.add("penstock_engine_seconds", [*labels, stage], histogram)
    for rule, count in sorted(meter.fires.items()):
        families.add("penstock_rule_fires_total", [*labels, rule], count)
    for kind, count in sorted(meter.rollbacks.items()):
        families.add("penstock_rollbacks_total", [*labels, kind], count)


class FiredRules:
    """Finds which rules fired, by the columns of those that decide now or decided then."""

    def __init__(self) -> None:
        self._rules: Sequence[Any] | None = None
        self._recorded: Sequence[str] | None = None
        self._now: tuple[tuple[str, ...], NDArray[np.int64], bool] = ((), np.empty(0, np.int64), False)
        self._then: tuple[tuple[str, ...], NDArray[np.int64], bool] = self._now

    def of(self, x: NDArray[np.float64], rules: Sequence[Any], unusual: NDArray[np.int64]) -> Fired | None:
        """Of a batch that was decided just now. unusual: the rows on which any rule that acts fired."""
        if rules is not self._rules:
            self._rules = rules
            watched = any(rule.watch != rule.index for rule in rules)
            self._now = tuple(rule.name for rule in rules), np.array([rule.watch for rule in rules], np.int64), watched
        names, columns, watched = self._now
        if not names or not (watched or len(unusual)):
            return None
        return _fired(x, names, columns, np.arange(len(x)) if watched else unusual)

    def recorded(self, x: NDArray[np.float64], names: Sequence[str]) -> Fired | None:
        """Of a batch that was recorded with columns of these names."""
        if names is not self._recorded:
            self._recorded = names
            places = {name[len("rule:") :]: place for place, name in enumerate(names) if name.startswith("rule:")}
            watching = {
                name[len("watch:") :]: place for place, name in enumerate(names) if name.startswith(("watch:", "watch_"))
            }
            places |= {name: place for name, place in watching.items() if name in places}
            self._then = tuple(places), np.array(list(places.values()), np.int64), True
        return _fired(x, self._then[0], self._then[1], np.arange(len(x))) if self._then[0] else None


def _fired(x: NDArray[np.float64], names: tuple[str, ...], columns: NDArray[np.int64], rows: NDArray[np.int64]) -> Fired | None:
    fired = x[np.ix_(rows, columns)] == 1
    some = fired.any(axis=1)
    return (names, rows[some], fired[some]) if some.any() else None
