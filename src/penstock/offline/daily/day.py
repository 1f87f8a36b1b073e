"""Data types of the daily report."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

import msgspec

from penstock.messages import Action
from penstock.offline.drift.result import Finding
from penstock.offline.trial.result import Blocks
from penstock.outcomes import EstimatedFraud, Rate, known_rate

By = Literal["decided", "event"]
"""Whether a decision counts on the day it was made or on that of its event."""

ENDS = ("", "_low", "_high")
OUTCOMES = tuple(action.name for action in Action)


class CountAndAmount(msgspec.Struct, frozen=True):
    """A count and its amount; the amount is None where events have none."""

    count: int = 0
    amount: float | None = None


class DayOutcomes(msgspec.Struct, frozen=True):
    """Known outcomes of a day's decisions. A decision with a label is known; caught: frauds that were not approved.

    false_alarms: good ones that were not approved. prevented: frauds that were blocked; blocked_good: good ones that were.
    """

    known: int = 0
    caught: CountAndAmount = CountAndAmount()
    missed: CountAndAmount = CountAndAmount()
    false_alarms: CountAndAmount = CountAndAmount()
    prevented: CountAndAmount = CountAndAmount()
    blocked_good: CountAndAmount = CountAndAmount()

    @property
    def frauds(self) -> int:
        """All that are known."""
        return self.caught.count + self.missed.count


class DayFigures(msgspec.Struct, frozen=True):
    """The figures of one day (UTC).

    latency_ms: p50, p95, p99 of what a decision took, durability left out. quarantined: by the time they were received.
    estimate: how much fraud is among all blocks, known or not; None where no model scored them.
    """

    date: date
    decided: CountAndAmount
    by_decision: dict[str, CountAndAmount]
    truth: DayOutcomes
    latency_ms: dict[str, float | None]
    degraded: int = 0
    quarantined: int = 0
    estimate: EstimatedFraud | None = None

    @property
    def blocked_unknown(self) -> CountAndAmount:
        """Blocks of unknown outcome."""
        blocked, known = self.by_decision.get("BLOCK", CountAndAmount(0, 0.0)), (self.truth.prevented, self.truth.blocked_good)
        count = blocked.count - sum(each.count for each in known)
        if self.decided.amount is None:
            return CountAndAmount(count)
        return CountAndAmount(count, round((blocked.amount or 0.0) - sum(each.amount or 0.0 for each in known), 2) + 0.0)

    @property
    def stopped_share(self) -> float | None:
        """The share of decisions that were no approvals."""
        if not self.decided.count:
            return None
        return 1 - self.by_decision.get("APPROVE", CountAndAmount()).count / self.decided.count


class Counted(msgspec.Struct, frozen=True):
    """Something with a name that happened so often: on the day, on the day before, and per day of the days before."""

    name: str
    count: int
    before: int
    mean: float | None
    stopped: int = 0
    example: str = ""


class ScoreBin(msgspec.Struct, frozen=True):
    """Decisions with a score from (included) to below: approved, stopped, and frauds known among them."""

    low: float
    high: float
    approved: int
    stopped: int
    frauds: int


class DayDrift(msgspec.Struct, frozen=True):
    """Drift of the day from the training data; missing: why it cannot be computed.

    findings: as in `penstock.offline.drift`. columns: how far the furthest lie, by name, and from where on that counts.
    """

    judged: bool = False
    findings: list[Finding] = []
    columns: dict[str, tuple[float, float]] = {}
    missing: str | None = None


class Control(msgspec.Struct, frozen=True):
    """Estimates from the control share, over the days up to the report's, since one day has few."""

    days: int
    blocks: Blocks


class DailyReport(msgspec.Struct, frozen=True):
    """The complete daily report.

    days: the eight days up to it, the oldest first. finished: the day was over when this was made. labels_known_from: when
    most of its labels are known; young: that lies ahead. reasons: of decisions that were no approvals; reasons_of: of how
    many of them they were read. versions: decisions by version of the models. by: whether a decision counts on the day it
    was made or on that of its event. drift: None where nobody looked. control: None where there is no control share.
    """

    detector: str
    date: date
    made_at: str
    finished: bool
    young: bool
    labels_known_from: str
    days: list[DayFigures]
    rules: list[Counted]
    reasons: list[Counted]
    reasons_of: int
    scores: list[ScoreBin]
    versions: dict[str, int]
    notes: list[str]
    by: By = "decided"
    drift: DayDrift | None = None
    control: Control | None = None

    @property
    def day(self) -> DayFigures:
        """The day itself."""
        return self.days[-1]

    @property
    def before(self) -> DayFigures:
        """The day before."""
        return self.days[-2]

    def figures(self) -> dict[str, tuple[float | None, float | None, float | None]]:
        """Every figure by name: of the day, of the day before, and the mean of those of the seven days before that decided.

        Of rates of known outcomes the last is the rate over all seven days together.
        """
        earlier = [figures_of(day) for day in self.days[:-1] if day.decided.count]
        before = figures_of(self.before) if self.before.decided.count else {}
        means = {name: _mean([each[name] for each in earlier]) for name in figures_of(self.day)}
        for name, rate in rates_of(self.days[:-1]).items():
            means |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high, f"{name}_of": rate.of}
        return {name: (value, before.get(name), means[name]) for name, value in figures_of(self.day).items()}

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        said: dict[str, Any] = msgspec.to_builtins(self)
        compared = {
            name: {"day": value, "day_before": before, "mean_7_days": mean}
            for name, (value, before, mean) in self.figures().items()
        }
        return {**{key: value for key, value in said.items() if key != "days"}, "figures": compared, "days": said["days"]}


def figures_of(day: DayFigures) -> dict[str, float | None]:
    """The figures of a day by name, as CSV has them."""
    found: dict[str, float | None] = {"decisions": day.decided.count, "amount": day.decided.amount}
    for name in OUTCOMES:
        share = day.by_decision.get(name, CountAndAmount(0, None if day.decided.amount is None else 0.0))
        found |= {name.lower(): share.count, f"{name.lower()}_amount": share.amount}
    truth = day.truth
    found |= {"stopped_share": day.stopped_share, "labels_known": truth.known, "frauds_known": truth.frauds}
    shares = {"caught": truth.caught, "missed": truth.missed, "false_alarms": truth.false_alarms}
    shares |= {"prevented": truth.prevented, "blocked_good": truth.blocked_good, "blocked_unknown": day.blocked_unknown}
    for name, share in shares.items():
        found |= {name: share.count, f"{name}_amount": share.amount}
    for name, rate in rates_of([day]).items():
        found |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high, f"{name}_of": rate.of}
    found |= {f"blocked_fraud_estimated{end}": getattr(day.estimate, f"count{end}", None) for end in ENDS}
    found |= {f"blocked_fraud_estimated_amount{end}": getattr(day.estimate, f"amount{end}", None) for end in ENDS}
    return found | {
        **{f"latency_ms_{name}": value for name, value in day.latency_ms.items()},
        "degraded": day.degraded,
        "quarantined": day.quarantined,
    }


def rates_of(days: Sequence[DayFigures]) -> dict[str, Rate]:
    """Rates of the known outcomes of some days together, by name."""
    truths = [day.truth for day in days]
    known, frauds = sum(truth.known for truth in truths), sum(truth.frauds for truth in truths)
    caught, stopped = (sum(getattr(truth, name).count for truth in truths) for name in ("caught", "false_alarms"))
    prevented, blocked = (sum(getattr(truth, name).count for truth in truths) for name in ("prevented", "blocked_good"))
    return {
        "fraud_rate_known": known_rate(frauds, known),
        "recall_known": known_rate(caught, frauds),
        "precision_known": known_rate(caught, caught + stopped),
        "false_positive_rate_known": known_rate(stopped, known - frauds),
        "precision_of_blocks_known": known_rate(prevented, prevented + blocked),
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
