"""The drift report as a self-contained HTML page: no scripts, no external resources."""

from collections.abc import Sequence

from penstock.offline.drift.result import Bin, DriftReport, Finding
from penstock.offline.pages import ABSENT, number, percent, render
from penstock.outcomes import known_rate, said

_FIGURES = {
    "fraud_rate": "share of fraud",
    "precision": "precision of what the score flags",
    "recall": "frauds that the score flags",
    "stopped_precision": "precision of what was stopped",
    "stopped_recall": "frauds that were stopped",
    "roc_auc": "area under the ROC curve",
}


def page(report: DriftReport) -> str:
    """The whole page as HTML."""
    live, training = report.estimate["live"], report.estimate["training"]
    return render(
        "drift.html",
        report=report,
        window=_window(report),
        estimates=[[name, number(live.get(key)), number(training.get(key))] for key, name in _FIGURES.items()],
        days=_days(report),
        touched=_touched,
        highest_share=_highest_share,
        tenth=lambda value: f"{value:.1f}",
        thousandth=lambda value: f"{value:.3f}",
    )


def _window(report: DriftReport) -> str:
    if report.since is None or report.until is None:
        return "no time"
    return f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M}"


def _touched(finding: Finding) -> str:
    """Models and rules that read the column."""
    models = [f"{name} ({percent(share)})" for name, share in finding.models.items()]
    return ", ".join([*models, *(f"rule {rule}" for rule in finding.rules)]) or "nothing"


def _days(report: DriftReport) -> list[list[str]]:
    """Known outcomes by day, the newest first."""
    return [
        [
            f"{day.day:%a %-d %b}",
            f"{day.decisions:,}",
            f"{day.known:,}",
            f"{day.frauds:,}",
            ABSENT if day.expected is None else f"{day.expected:,.1f}",
            said(known_rate(day.frauds, day.known)),
            said(known_rate(day.caught, day.stopped)),
            "labels are still on their way" if day.young else "",
        ]
        for day in reversed(report.truth)
    ]


def _highest_share(bins: Sequence[Bin]) -> float:
    """The height of the chart."""
    return max((max(each.training, each.live) for each in bins), default=0.0) or 1.0
