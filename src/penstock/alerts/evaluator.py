"""The evaluator of alert rules: decision records in, alerts out, without side effects and deterministic.

Its results depend on the records and the observed figures alone, so that a standby or a restart that reads the same
records raises the same alerts under the same keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from penstock.alerts.alert import Alert, AlertValue
from penstock.alerts.columns import Conditions, Layouts, Places, RecordColumns, Vocabulary
from penstock.alerts.findings import AlertMatch, Bursts, EachDecision, Finder, Shifts, said_key
from penstock.alerts.rule import Burst, Condition, Gauge, Kind, RateRule, fields_of
from penstock.alerts.sentence import Sentence
from penstock.alerts.throttle import Hourly, Throttle
from penstock.alerts.windows import Level
from penstock.clock import iso
from penstock.detector import Detector
from penstock.errors import DeclarationError, did_you_mean
from penstock.messages import Record

LIMIT = 60
"""Default limit of alerts of all rules of a detector within an hour."""


@dataclass(frozen=True, slots=True)
class _Watch:
    """One rule with its state."""

    rule: Kind
    finder: Finder | None
    level: Level | None
    sentence: Sentence
    restraint: Throttle


class Evaluator:
    """Evaluates the alert rules of one detector.

    Args:
        detector: whose decisions they are about.
        rules: all rules; those about other detectors, and those that are off, are left out here.
        layouts: the layouts of the ledger that the records come from (`Ledger.layouts`).
        limit: the most alerts of all rules within an hour.
        log: identifies this ledger in the keys of alerts; the detector's name unless given.

    Not thread-safe.

    Raises:
        DeclarationError: a rule names something that this detector does not have.
    """

    def __init__(
        self, detector: Detector, rules: Iterable[Kind], layouts: Layouts, *, limit: int = LIMIT, log: str | None = None
    ) -> None:
        self.detector = detector.name
        self._log = log or detector.name
        self.rules: tuple[Kind, ...] = tuple(rule for rule in rules if not rule.off and rule.detector in (None, detector.name))
        self._vocabulary = Vocabulary(detector)
        self._places = Places(layouts)
        conditions = {rule.name: (sql, rule.place) for rule in self.rules if (sql := getattr(rule, "when", None)) is not None}
        self._conditions = Conditions(conditions, self._vocabulary)
        self._overall = Hourly(limit)
        self._watches = [self._watch(rule) for rule in self.rules]

    def _watch(self, rule: Kind) -> _Watch:
        if not isinstance(rule, Gauge):
            self._check_fields(rule)
        return _Watch(
            rule,
            _finder(rule),
            Level(rule) if isinstance(rule, Gauge) else None,
            Sentence(rule, self._vocabulary.scope, self._conditions.reads(rule.name)),
            Throttle(rule.us("cooldown"), rule.limit, self._overall),
        )

    def _check_fields(self, rule: Condition | Burst | RateRule) -> None:
        scope = self._vocabulary.scope
        per = () if isinstance(rule, RateRule) else fields_of(rule.per)
        for name in (*per, *([rule.distinct] if isinstance(rule, Burst) and rule.distinct else [])):
            if name not in scope:
                raise DeclarationError(
                    f"{rule.place}: detector {self.detector!r} has no field or feature {name!r}.{did_you_mean(name, scope)}"
                )

    # ---- decisions

    def evaluate(self, record: Record) -> list[Alert]:
        """The alerts that a record raises; pass records in the order of the log. Other kinds of records raise nothing."""
        if record.kind != "decisions" or record.detector != self.detector or not len(record) or not self._watches:
            return []
        columns = RecordColumns(record, self._places.of(record), self._vocabulary)
        matching = self._conditions.rows(columns)
        time_us = np.minimum(record.time_us, record.arrived_us)
        now_us = int(record.meta["decided_us"])
        everything = np.arange(len(record))
        alerts = self.tick(now_us)
        for watch in self._watches:
            if watch.finder is not None:
                rows = matching.get(watch.rule.name, everything)
                if len(rows) or isinstance(watch.rule, RateRule):
                    alerts += self._raised(watch, columns, watch.finder.find(columns, rows, time_us), now_us)
        return alerts

    def _raised(self, watch: _Watch, columns: RecordColumns, findings: Iterable[AlertMatch], now_us: int) -> list[Alert]:
        """The alerts to send for a rule's findings."""
        first_seq, restraint = columns.record.first_seq, watch.restraint
        alerts: list[Alert] = []
        for finding in findings:
            like = said_key(finding.about) if finding.about else ""
            suppressed = restraint.admit(like, now_us, first_seq + finding.row)
            if suppressed is not None:
                alerts.append(self._about_decision(watch, columns, finding, like, now_us, suppressed))
        return alerts

    def _about_decision(
        self, watch: _Watch, columns: RecordColumns, finding: AlertMatch, like: str, now_us: int, suppressed: int
    ) -> Alert:
        rule, row, record = watch.rule, finding.row, columns.record
        values: dict[str, Any] = {name: columns.value(name, row) for name in watch.sentence.names} | finding.figures
        one = isinstance(rule, Condition)
        score = columns.shown("fraud_probability", row)
        return Alert(
            key=f"{self._log}:{rule.name}:{record.first_seq + row}",
            rule=rule.name,
            detector=self.detector,
            severity=rule.severity,
            at=iso(now_us),
            text=watch.sentence.say(values, like),
            about=dict(zip(watch.finder.per, map(_plain, finding.about), strict=True)) if watch.finder else {},
            values={name: columns.shown(name, row) for name in self._conditions.reads(rule.name)} | finding.figures,
            transaction_id=record.ids[row],
            decision=columns.decision(row),
            fraud_probability=score if isinstance(score, int | float) else None,
            reasons=columns.reasons(row) if one else [],
            suppressed=suppressed,
        )

    # ---- figures and time

    @property
    def metrics(self) -> frozenset[str]:
        """The figures that its rules ask for."""
        return frozenset(rule.metric for rule in self.rules if isinstance(rule, Gauge))

    def observe(self, metrics: Mapping[str, float], now_us: int) -> list[Alert]:
        """The alerts raised by figures of the running process; figures that no rule names are ignored."""
        alerts = []
        for watch in self._watches:
            rule = watch.rule
            if watch.level is None or not isinstance(rule, Gauge) or rule.metric not in metrics:
                continue
            value = watch.level.observe(float(metrics[rule.metric]), now_us)
            if value is None or watch.restraint.cooling("", now_us):
                continue  # an unchanged figure is no new finding each time it is observed
            suppressed = watch.restraint.admit("", now_us, 0)
            if suppressed is not None:
                alerts.append(self._plain(watch, f"at-{now_us}", now_us, {"value": value}, suppressed))
        return alerts

    def tick(self, now_us: int) -> list[Alert]:
        """Summaries of suppressed alerts that are due, since none followed within a cool-down."""
        return [
            self._notice(watch, now_us) for watch in self._watches if watch.restraint.suppressed and watch.restraint.due(now_us)
        ]

    def _notice(self, watch: _Watch, now_us: int) -> Alert:
        seq, count = watch.restraint.first_seq, watch.restraint.take()
        said = f"{count:,} similar alerts suppressed: {watch.rule.name.replace('_', ' ')}"
        return self._plain(watch, f"more-{seq}", now_us, {}, count, said)

    def _plain(
        self, watch: _Watch, which: str, now_us: int, values: dict[str, AlertValue], suppressed: int, text: str | None = None
    ) -> Alert:
        rule = watch.rule
        return Alert(
            key=f"{self._log}:{rule.name}:{which}",
            rule=rule.name,
            detector=self.detector,
            severity=rule.severity if text is None else "info",
            at=iso(now_us),
            text=watch.sentence.say(values, "") if text is None else text,
            values=values,
            suppressed=suppressed if text is None else 0,
        )

    # ---- a snapshot

    def state(self) -> dict[str, Any]:
        """A snapshot for restarts, as JSON values."""
        kept = {
            watch.rule.name: [_fingerprint(watch.rule), watch.finder.state() if watch.finder else None, watch.restraint.state()]
            for watch in self._watches
        }
        return {"overall": self._overall.state(), "rules": kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a snapshot; rules that were changed since start afresh."""
        self._overall.restore(state["overall"])
        for watch in self._watches:
            known, found, restraint = state["rules"].get(watch.rule.name, (None, None, None))
            if known == _fingerprint(watch.rule):
                watch.restraint.restore(restraint)
                if watch.finder is not None:
                    watch.finder.restore(found)


def _finder(rule: Kind) -> Finder | None:
    if isinstance(rule, Condition):
        return EachDecision(rule)
    if isinstance(rule, Burst):
        return Bursts(rule)
    return Shifts(rule) if isinstance(rule, RateRule) else None


def _fingerprint(rule: Kind) -> str:
    return repr(msgspec.structs.replace(rule, file=""))


def _plain(value: Any) -> AlertValue:
    shown: AlertValue = int(value) if isinstance(value, float) and value.is_integer() else value
    return shown


def evaluators(
    detectors: Sequence[Detector], rules: Sequence[Kind], layouts: Layouts, *, limit: int = LIMIT
) -> dict[str, Evaluator]:
    """An evaluator for each detector, by name.

    Raises:
        DeclarationError: a rule names a detector that is not among them, or something that its detector does not have.
    """
    return {detector.name: Evaluator(detector, rules, layouts, limit=limit) for detector in detectors}
