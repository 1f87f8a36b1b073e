"""What has been decided so far: counts, money, latencies. Figures for people and for Prometheus."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penstock.clock import SECOND_US, Clock, iso
from penstock.engine.meter import Meter
from penstock.engine.path import Judged
from penstock.engine.series import MINUTE_US, Series
from penstock.messages import Action, Layout, Record

_LATENCIES = 4096
_RATE_S = 10
_TOGETHER = 64


class Totals:
    """Counters of one engine. amount: the field that is the money at stake, where there is one.

    meter: what is counted for Prometheus alone, since the process began.
    """

    def __init__(self, amount: str | None, layout: Layout, clock: Clock) -> None:
        self._amount = layout[amount].index if amount else None
        self._clock = clock
        self.meter = Meter()
        self.since_us = clock()
        self.actions = np.zeros(len(Action), np.int64)
        self.amounts = np.zeros(len(Action), np.float64)
        self.duplicates = self.conflicts = self.quarantined = self.quarantine_lost = self.degraded = 0
        self._series = Series(self.since_us)
        self._uncounted: list[tuple[Any, Any]] = []
        self._counting = threading.RLock()  # a monitor asks from its own thread while events are being decided
        self._minute = self.since_us // MINUTE_US
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES)
        self._recent: deque[tuple[int, int]] = deque()

    def add(self, judged: Judged, latency_ms: Mapping[str, float], rules: Sequence[Any]) -> None:
        """Count a batch whose decision took so long, in every stage and in `total`, over these compiled rules."""
        self.meter.add(judged, latency_ms, rules)
        now = self._clock()
        amounts = judged.batch.x[:, self._amount] if self._amount is not None else None
        self._set_aside(judged.verdicts.action, amounts, now)
        self.degraded += len(judged.batch) if judged.degraded else 0
        self._latencies_ms.append(latency_ms["total"])
        self._recent.append((now, len(judged.batch)))
        while self._recent[0][0] < now - _RATE_S * SECOND_US:
            self._recent.popleft()

    def add_record(self, record: Record, amount: int | None) -> None:
        """Count a batch that was decided before a restart; amount: its column then."""
        x: Any = record.columns["x"]
        decided_us = record.meta["decided_us"]
        self.since_us = min(self.since_us, decided_us)
        self._series.since_us = min(self._series.since_us, decided_us)
        self._set_aside(record.columns["action"], x[:, amount] if amount is not None else None, decided_us)

    def _set_aside(self, action: Any, amounts: Any, decided_us: int) -> None:
        """Keep a batch to be counted with others of its minute."""
        minute = decided_us // MINUTE_US
        with self._counting:
            if minute != self._minute or len(self._uncounted) >= _TOGETHER:
                self._fold()
                self._minute = minute
            self._uncounted.append((action, amounts))

    def _fold(self) -> None:
        """Count what has been set aside: batches of one event are too small to be counted each."""
        with self._counting:
            if not self._uncounted:
                return
            action = np.concatenate([action for action, _ in self._uncounted])
            counts, sums = np.bincount(action, minlength=len(Action)), np.zeros_like(self.amounts)
            if self._amount is not None:
                money = np.nan_to_num(np.concatenate([amounts for _, amounts in self._uncounted]))
                sums += np.bincount(action, weights=money, minlength=len(Action))
            self._uncounted.clear()
            self.actions += counts
            self.amounts += sums
            self._series.add(self._minute * MINUTE_US, counts, sums)

    def stats(self) -> dict[str, Any]:
        """The public form; latency percentiles are over the newest micro-batches, rates over ten seconds."""
        self._fold()
        total = int(self.actions.sum())
        stopped = total - int(self.actions[Action.APPROVE.value])
        latencies = np.array(self._latencies_ms)
        p50, p95, p99 = (round(float(v), 4) for v in np.percentile(latencies, [50, 95, 99])) if len(latencies) else (None,) * 3
        now = self._clock()
        recent = sum(n for at, n in self._recent if at >= now - _RATE_S * SECOND_US)
        return {
            "total": total,
            **{action.name.lower(): int(self.actions[action.value]) for action in Action},
            "fraud_rate": stopped / total if total else None,
            "amount": round(float(self.amounts.sum()), 2),
            "amount_blocked": round(float(self.amounts[Action.BLOCK.value]), 2),
            "per_second": recent / _RATE_S,
            "latency_ms": {"p50": p50, "p95": p95, "p99": p99},
            "since": iso(self.since_us),
        }

    def series(self) -> dict[str, Any]:
        """Counts and money by minute and by hour: see `Series.form`."""
        self._fold()
        return self._series.form(self._clock())

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
        """What a snapshot keeps."""
        self._fold()
        return {
            "actions": self.actions.tolist(),
            "amounts": self.amounts.tolist(),
            "since_us": self.since_us,
            "series": self._series.saved(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on counting from there."""
        self.actions[:] = saved["actions"]
        self.amounts[:] = saved["amounts"]
        self.since_us = saved["since_us"]
        if "series" in saved:  # a snapshot of an earlier version has none: it begins now
            self._series.restore(saved["series"])
