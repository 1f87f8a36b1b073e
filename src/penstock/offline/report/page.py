"""The training report as a self-contained HTML page: no scripts, no external resources, light and dark, wide and narrow."""

from collections.abc import Mapping
from typing import Any

from penstock.offline.pages import ABSENT, NAMES, interval, minute, money, number, percent, render
from penstock.offline.report.findings import Findings
from penstock.offline.report.plots import plots
from penstock.offline.trained import Figures, TrainingReport

COMPARED = ("average_precision", "roc_auc", "recall_at_fpr_0.01", "card_precision_at_100", "brier", "ece")
"""Figures by which alternatives are compared."""

SMALL_IS_GOOD = ("brier", "ece")

_SHARES = {
    "recall": "frauds stopped",
    "value_detection_rate": "of their value",
    "false_positive_rate": "false positives",
    "precision": "of those stopped, fraud",
}
_AMOUNTS = {
    "reviews_per_day": "reviews a day",
    "blocked_per_day": "blocked a day",
    "cost": "cost",
    "saved": "saved, of known outcomes",
}


def page(findings: Findings, pictures: Mapping[str, str] | None = None) -> str:
    """The whole page as HTML; pictures: the SVG of each, where they have been drawn already."""
    report = findings.report
    return render(
        "training.html",
        findings=findings,
        report=report,
        pictures=plots(findings) if pictures is None else pictures,
        names=NAMES,
        compared_by=COMPARED,
        best_of=_best,
        known_fields=_known_fields,
        parts=_parts(report),
        gap_days=report.periods.as_json()["label_delay_s"] / 86400,
        costs=_costs(report),
        members={"ensemble": report.test, **report.members},
        shares={"ensemble": "", **{name: percent(share) for name, share in report.weights.items()}},
        raised=_raised(report),
        useless=_useless(report),
        decisions=_decisions(findings),
        folds={fold["periods"]["test"][0][:10]: fold["test"] for fold in report.folds},
        apart=None if report.apart is None else _apart(report.apart),
    )


def _parts(report: TrainingReport) -> list[list[str]]:
    """The period of each part, and its events and frauds."""
    periods, rows = report.periods.as_json(), []
    for part, count in report.rows.items():
        span = periods.get(part)
        when = " to ".join(map(minute, span)) if span else "folds of the training, in time order"
        frauds = report.fraud[part]
        prevalence = percent(frauds / count, 2) if count else ABSENT
        rows.append([part, when, f"{count:,}", f"{frauds:,}", prevalence, f"{report.unknown.get(part, 0):,}"])
    return rows


def _costs(report: TrainingReport) -> list[list[str]]:
    """Figures of the chosen thresholds on the validation, and of those in force on the test."""
    sides = report.choice.get("on", {}), report.decided
    shares = [[word, *(percent(side.get(name), 2) for side in sides)] for name, word in _SHARES.items()]
    return shares + [[word, *(money(side.get(name)) for side in sides)] for name, word in _AMOUNTS.items()]


def _best(figures: Mapping[str, Figures]) -> dict[str, float]:
    """The best value of each figure."""
    known = {name: [value for each in figures.values() if (value := each.get(name)) is not None] for name in COMPARED}
    return {name: (min if name in SMALL_IS_GOOD else max)(values) for name, values in known.items() if values}


def _raised(report: TrainingReport) -> list[str]:
    """Models whose average precision a treatment of the imbalance raised."""
    best = {
        name: max(each, key=lambda treatment: each[treatment].get("average_precision") or 0)
        for name, each in report.treatments.items()
    }
    return [name for name, treatment in best.items() if treatment != "none"]


def _useless(report: TrainingReport) -> list[list[str]]:
    """Of inputs that add nothing, the least valuable first: the loss by permuting them, and its interval."""
    found = report.useless or {"useless": [], "inputs": {}}
    worths = [(name, found["inputs"][name]) for name in found["useless"]]
    return [[name, number(worth["loss"]), interval((worth["low"], worth["high"]))] for name, worth in worths]


def _decisions(findings: Findings) -> list[list[str]]:
    counts = findings.decided.counts.items()
    return [[name.lower(), f"{each['fraud']:,}", f"{each['good']:,}"] for name, each in counts if sum(each.values())]


def _known_fields(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in event.items() if value is not None]


def _apart(apart: Mapping[str, Any]) -> dict[str, Figures]:
    return {
        f"{title}, trained {how} it": found
        for key, title in (("hold_out", "hold-out"), ("cross_validation", "folds"), ("shuffled", "shuffled (no estimate)"))
        for how, found in apart[key].items()
        if found is not None
    }
