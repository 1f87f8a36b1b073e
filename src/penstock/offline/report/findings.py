"""All contents of the training report as plain values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock.detector import Detector
from penstock.offline import measure, thresholds
from penstock.offline.datasets import read
from penstock.offline.report import curves
from penstock.offline.report.importance import importance
from penstock.offline.report.intervals import Interval, intervals
from penstock.offline.report.mistakes import Decided, decided
from penstock.offline.thresholds import ByCost
from penstock.offline.trained import Figures, Trained, TrainingReport
from penstock.outcomes import ends_of


@dataclass(frozen=True)
class Findings:
    """Contents of the training report, about the test unless noted.

    report: what training itself reports. data: the file. intervals: of every figure of `report.test`, Wilson's of precision and
    recall. roc and
    precision_recall: curves by name, `ensemble` and each member. reliability and distribution: of the ensemble's scores.
    money: `thresholds.curve` on the `validation`, where the choice was made, and on the `test`. importance: features,
    the weightiest first. decided: what was decided, rules and policy included. costs: what mistakes were counted at.
    amounts: whether events say what they are worth; without that every fraud counts 1.
    """

    report: TrainingReport
    data: str
    intervals: dict[str, Interval | None]
    roc: dict[str, curves.Roc]
    precision_recall: dict[str, curves.PrecisionRecall]
    reliability: list[dict[str, Any]]
    distribution: list[dict[str, Any]]
    money: dict[str, list[Figures]]
    importance: list[dict[str, Any]]
    decided: Decided
    costs: ByCost
    amounts: bool

    def as_json(self) -> dict[str, Any]:
        """All of `penstock train --json`, and what only the report contains."""
        return {
            **self.report.as_json(),
            "data": self.data,
            "intervals": {name: None if found is None else list(found) for name, found in self.intervals.items()},
            "roc": {name: curve._asdict() for name, curve in self.roc.items()},
            "precision_recall": {name: curve._asdict() for name, curve in self.precision_recall.items()},
            "reliability": self.reliability,
            "distribution": self.distribution,
            "money": self.money,
            "amounts": self.amounts,
            "importance": self.importance,
            "decisions": self.decided.counts,
            "missed": self.decided.missed,
            "stopped": self.decided.stopped,
        }


def investigate(detector: Detector, trained: Trained, data: Any, *, seed: int = 0) -> Findings:
    """Collect the contents of the report.

    Args:
        detector: the trained one.
        trained: the training's result.
        data: what it was trained on: a file or a frame. It is replayed once more, with the trained models.
        seed: of bootstrap and samples.

    Raises:
        DataError: the data has changed.
    """
    report, test, scores = trained.report, trained.test, trained.scores
    score, y = scores.ensemble, test.fraud
    columns = {"ensemble": score} | {name: scores.members[:, at] for at, name in enumerate(trained.ensemble.names)}
    costs = _costs(report)
    tested = measure.scored(score, test, report.unknown.get("test", 0))
    return Findings(
        report=report,
        data=Path(trained.recorded).name,
        intervals=intervals(
            score,
            y,
            threshold=report.in_force["review_at"],
            day=test.time_us // measure.DAY_US,
            customer=test.card,
            amount=test.amount,
            seed=seed,
        )
        | ends_of(report.rates),
        roc={name: curves.roc(column, y) for name, column in columns.items()},
        precision_recall={name: curves.precision_recall(column, y) for name, column in columns.items()},
        reliability=curves.reliability(score, y),
        distribution=curves.distribution(score, y),
        money={"validation": report.curve, "test": thresholds.curve(tested, report.in_force, costs)},
        importance=importance(trained.ensemble, test.x, score, seed=seed),
        decided=decided(detector, trained.ensemble, read(data, detector), test),
        costs=costs,
        amounts=bool((~np.isnan(test.amount)).any()),
    )


def _costs(report: TrainingReport) -> ByCost:
    """The costs used for the choice of thresholds; the default ones if it was not by cost."""
    if report.choice.get("by") != "cost":
        return ByCost()
    return ByCost(**{name: report.choice[name] for name in ("review", "annoyance", "loss", "found")})
