"""The drift report as a self-contained HTML page: no scripts, no external resources."""

from collections.abc import Sequence
from html import escape

from penstock.offline.drift.result import Bin, ColumnDrift, Daily, DriftReport, Finding
from penstock.offline.report.markup import ABSENT, card, document, number, percent, table
from penstock.outcomes import known_rate, said

_TREND, _BARS = (100, 26), (130, 34)
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
    sections = {
        "Findings": findings(report),
        "Without labels": _estimate(report),
        "With labels": _truth(report),
        "Columns": _columns(report.columns),
    }
    until = f", {report.until:%Y-%m-%d %H:%M} UTC" if report.until else ""
    return document(f"Drift of {report.detector}{until}", _lead(report), _cards(report), sections)


def _lead(report: DriftReport) -> str:
    first, last = report.reference_days
    window = f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M}" if report.since and report.until else "no time"
    return (
        f"{report.rows:,} decisions of {window} (UTC), held against {escape(report.reference)} of {first} to {last},"
        f" which models {escape(report.model_version or 'none')} were trained on."
    )


def _cards(report: DriftReport) -> str:
    drifted = sum(column.state == "drifted" for column in report.columns)
    live, training = report.estimate["live"], report.estimate["training"]
    shown = [
        card(f"{len(report.alarms)}", "alarms", "" if report.judged else "nothing is judged yet"),
        card(f"{drifted}", "columns have drifted", f"of {len(report.columns)}"),
        card(
            percent(live.get("fraud_rate"), 2),
            "fraud, estimated by scores",
            f"{percent(training.get('fraud_rate'), 2)} in training",
        ),
        card(number(live.get("roc_auc")), "expected AUC", f"{number(training.get('roc_auc'))} in training"),
    ]
    return "".join(shown)


def findings(report: DriftReport) -> str:
    """The findings as a table, with caveats."""
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in report.notes)
    if not report.findings:
        return notes + ("<p>Nothing has drifted.</p>" if report.judged else "<p>Nothing can be said yet.</p>")
    return notes + "".join(_finding(each) for each in report.findings)


def _finding(finding: Finding) -> str:
    alarm = "" if finding.alarm else " (no alarm)"
    todo = f"<b>{escape(finding.advice.capitalize())}</b>{alarm}: {escape(finding.because)}."
    return f"<p>{escape(finding.text)}.<br>{todo} Touches {escape(_touched(finding))}.</p>"


def _touched(finding: Finding) -> str:
    models = [f"{name} ({percent(share)})" for name, share in finding.models.items()]
    return ", ".join([*models, *(f"rule {rule}" for rule in finding.rules)]) or "nothing"


def _estimate(report: DriftReport) -> str:
    live, training = report.estimate["live"], report.estimate["training"]
    about = (
        "Estimated by calibrated scores, without labels: of decisions with a score of 0.2, a fifth are frauds. It holds as"
        " long as the same payments are as often fraud as they were; where that changes, only labels tell."
    )
    rows = [[name, number(live.get(key)), number(training.get(key))] for key, name in _FIGURES.items()]
    return f"<p>{escape(about)}</p>" + table(["estimated", "now", "in training"], rows)


def _truth(report: DriftReport) -> str:
    if not report.truth:
        return "<p>Nothing is known of what was decided.</p>"
    head = ["day", "decisions", "labels", "frauds", "the scores say", "share of fraud", "precision of what was stopped", ""]
    rows = [
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
    caption = "Share of fraud and precision of known outcomes, with Wilson's 95 % interval, by day of the event"
    return table(head, rows, caption=caption)


def _columns(columns: Sequence[ColumnDrift]) -> str:
    head = ["column", "state", "PSI", "limit", "KS", "JS", "missing", "importance", "bins", "PSI by day"]
    rows = [
        [
            escape(column.name),
            column.state,
            f"{column.psi:.3f}",
            f"{column.limit:.3f}",
            ABSENT if column.ks is None else f"{column.ks:.3f}",
            f"{column.js:.3f}",
            f"{percent(column.missing[0])} ({percent(column.missing[1])})",
            percent(max(column.importance.values(), default=None)),
            _bars(column.bins),
            _trend(column.days, column.limit),
        ]
        for column in columns
    ]
    caption = "Missing: now (in training). Bins: training pale, live dark. By day: the dashed line is the limit."
    return table(head, rows, raw=True, caption=caption)


def _bars(bins: Sequence[Bin]) -> str:
    """Two bars for each bin."""
    width, height = _BARS
    highest = max((max(each.training, each.live) for each in bins), default=0.0) or 1.0
    step = width / max(len(bins), 1)
    drawn = []
    for at, each in enumerate(bins):
        title = f"<title>{escape(each.label)}: {percent(each.live)}, in training {percent(each.training)}</title>"
        for share, side, opacity in ((each.training, 0.08, 0.3), (each.live, 0.5, 0.85)):
            tall = height * share / highest
            drawn.append(
                f'<rect x="{step * (at + side):.1f}" y="{height - tall:.1f}" width="{step * 0.4:.1f}" height="{tall:.1f}"'
                f' fill="currentColor" fill-opacity="{opacity}">{title}</rect>'
            )
    return f'<svg role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{"".join(drawn)}</svg>'


def _trend(days: Sequence[Daily], limit: float) -> str:
    """The index day by day."""
    if len(days) < 2:
        return ABSENT
    width, height = _TREND
    highest = max(limit, *(day.psi for day in days))
    step = width / (len(days) - 1)
    line = " ".join(f"{step * at:.1f},{height - height * day.psi / highest:.1f}" for at, day in enumerate(days))
    at_limit = height - height * limit / highest
    return (
        f'<svg role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<line x1="0" x2="{width}" y1="{at_limit:.1f}" y2="{at_limit:.1f}" stroke="currentColor" stroke-dasharray="3 3"'
        f' stroke-opacity="0.5"/><polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
