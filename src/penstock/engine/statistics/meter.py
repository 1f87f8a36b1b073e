"""What an engine times and counts of its own deciding, since the process began; for Prometheus alone."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from penstock.metrics import SECONDS, Families, Histogram

if TYPE_CHECKING:
    from penstock.engine.pipeline import BatchResult

STAGES = ("decode", "features", "models", "challenger", "rules", "explain")
"""The stages of a decision, in their order."""

MOST_RULES = 500
"""Rules that have a name of their own here: versions come and go, and every name is a series for ever."""

OTHER = "other"

Watching = Callable[[Mapping[str, float], int], None]
"""Called with the milliseconds of each stage of a batch, and how many events it had."""

_COUNTED = ("duplicates", "conflicts", "quarantined", "degraded", "ledger_cut_bytes")


class Meter:
    """Times of stages, fires of rules, rollbacks. One thread adds, any may read.

    A row on which no rule fired costs nothing: only those that are no plain approvals are looked at.
    """

    watching: ClassVar[Watching | None] = None
    """Told of every batch that this process decides; nobody, unless it is set at the start."""

    def __init__(self) -> None:
        self.stages = {stage: Histogram(SECONDS) for stage in STAGES}
        self._rollbacks: Counter[str] = Counter()
        self._fires: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._rules: Sequence[Any] | None = None
        self._names: list[str] = []
        self._columns = np.empty(0, np.int64)

    def add(self, judged: "BatchResult", latency_ms: Mapping[str, float]) -> None:
        """Count a batch."""
        for stage, spent_ms in latency_ms.items():
            if stage in self.stages:
                self.stages[stage].observe(spent_ms / 1e3)
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


def tell(families: Families, labels: Sequence[str], counters: Mapping[str, float], meter: Meter | None) -> None:
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
