"""The daily report as a self-contained HTML page: no scripts, no external resources."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.extras import missing
from penstock.offline.daily.day import OUTCOMES, CountAndAmount, DailyReport, DayDrift, DayFigures, rates_of
from penstock.offline.pages import count, money, percent, render
from penstock.offline.report.plots import COLOURS, picture
from penstock.outcomes import said

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OUTCOME_COLOURS = dict(zip(OUTCOMES, ("#56B4E9", "#009E73", "#E69F00", "#D55E00"), strict=True))
_DRAWN_FROM = 1e-3

_RATES = {
    "fraud_rate_known": "share of fraud",
    "recall_known": "recall: frauds that were not approved",
    "precision_known": "precision of what was not approved",
    "precision_of_blocks_known": "precision of blocks",
    "false_positive_rate_known": "false positive rate: good ones not approved",
}


def page(report: DailyReport) -> str:
    """The whole page as HTML."""
    outcomes = [name.lower() for name in OUTCOMES if any(name in day.by_decision for day in report.days)]
    return render(
        "daily.html",
        report=report,
        figures=report.figures(),
        share=_share,
        blocked=report.day.by_decision.get("BLOCK", CountAndAmount()),
        by_outcome=[(name, name, count) for name in outcomes],
        amounts_by_outcome=[(f"worth of {name}", f"{name}_amount", money) for name in outcomes],
        rates=_rates(report),
        reasons=[[reason.name, count(reason.count), reason.example] for reason in report.reasons],
        rules=[[rule.name, *map(count, (rule.count, rule.stopped, rule.before, rule.mean))] for rule in report.rules],
        pictures=_pictures(report),
        charts=not missing(["train"]),
        **_drift(report.drift or DayDrift()),
    )


def _share(value: float | None) -> str:
    return percent(value, 2)


def _rates(report: DailyReport) -> list[list[str]]:
    spans = [rates_of(days) for days in ([report.day], [report.before], report.days[:-1])]
    return [[title, *(said(rates[name]) for rates in spans)] for name, title in _RATES.items()]


def _drift(drift: DayDrift) -> dict[str, Any]:
    return {
        "findings": [[each.text, each.advice, each.because] for each in drift.findings],
        "columns": [[name, f"{psi:.3f}", f"{limit:.3f}"] for name, (psi, limit) in drift.columns.items()],
    }


# ---------------------------------------------------------------- pictures


def _pictures(report: DailyReport) -> dict[str, str]:
    """The SVG of each picture that has something to show; else an empty text. Without what draws, all are empty."""
    drawn = dict.fromkeys(("scores", "week", "stopped"), "")
    if missing(["train"]):
        return drawn
    if report.scores:
        drawn["scores"] = picture("scores", "Decisions by score", _draw_scores, report)
    if any(day.decided.count for day in report.days):
        drawn["week"] = picture("week", "Decisions by day", _draw_week, report, height=2.8)
        drawn["stopped"] = picture("stopped", "Share that is no approval, by day", _draw_stopped, report, height=2.8)
    return drawn


def _draw_scores(axes: "Axes", report: DailyReport) -> None:
    places = range(len(report.scores))
    kinds = (("approved", COLOURS[0], -0.27), ("stopped", COLOURS[1], 0.0), ("frauds", COLOURS[4], 0.27))
    for name, colour, side in kinds:
        counts = [getattr(each, name) for each in report.scores]
        axes.bar([at + side for at in places], counts, width=0.27, color=colour, label=name)
    axes.set_axisbelow(True)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_xticks(list(places), [f"{each.high:g}" for each in report.scores], rotation=60, fontsize=8)
    axes.set(xlabel="score up to", ylabel="decisions")
    axes.minorticks_off()
    axes.legend(fontsize=8.5)


def _names(days: Sequence[DayFigures]) -> list[str]:
    return [f"{day.date:%a %-d}" for day in days]


def _draw_week(axes: "Axes", report: DailyReport) -> None:
    below = [0] * len(report.days)
    for name in OUTCOMES[::-1]:
        counts = [day.by_decision.get(name, CountAndAmount()).count for day in report.days]
        if any(counts):
            axes.bar(_names(report.days), counts, bottom=below, color=_OUTCOME_COLOURS[name], width=0.7, label=name.lower())
        below = [low + count for low, count in zip(below, counts, strict=True)]
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylim(0, 1.28 * max(below))
    axes.legend(fontsize=8, ncols=4, loc="upper center")


def _draw_stopped(axes: "Axes", report: DailyReport) -> None:
    shares = [100 * (day.stopped_share or 0.0) for day in report.days]
    axes.plot(_names(report.days), shares, "o-", color=COLOURS[0], lw=2, ms=4)
    axes.set_ylim(0, max(1.15 * max(shares), _DRAWN_FROM))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylabel("%")
