"""The daily report as a self-contained HTML page: no scripts, no external resources."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from penstock.offline.daily.day import OUTCOMES, Control, Counted, Day, DayDrift, Report, Share, rates_of
from penstock.offline.report.markup import ABSENT, card, document, figure, money_of, percent, table
from penstock.offline.report.plots import COLOURS, picture
from penstock.outcomes import LEAST_KNOWN, said

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OUTCOME_COLOURS = dict(zip(OUTCOMES, ("#56B4E9", "#009E73", "#E69F00", "#D55E00"), strict=True))
_DRAWN_FROM = 1e-3


def page(report: Report) -> str:
    """The whole page as HTML."""
    sections = {
        "Decisions": _decisions(report),
        "Fraud": _fraud(report),
        "Reasons and rules": _reasons(report),
        "Scores": _scores(report),
        **({} if report.drift is None else {"Drift": _drift(report.drift)}),
        "Running": _running(report),
        "The week": _week(report),
    }
    title = f"{report.detector}, {report.date:%A, %-d %B %Y}"
    return document(title, _lead(report), _cards(report), sections)


# ---------------------------------------------------------------- at the top


def _lead(report: Report) -> str:
    made = report.made_at[:16].replace("T", " ")
    versions = ", ".join(f"{escape(name)} ({count:,})" for name, count in report.versions.items())
    models = f" Decided by {versions}." if versions else ""
    day = "on which they were made" if report.by == "decided" else "of their event"
    return f"Decisions by the day {day} (UTC), as known on {made} UTC.{models}"


def _cards(report: Report) -> str:
    day, figures = report.day, report.figures()
    blocked = day.by_decision.get("BLOCK", Share())
    shown = [
        card(f"{day.decided.count:,}", "decisions", _usually(figures["decisions"][2], _count)),
        card(percent(day.stopped_share, 2), "were no approvals", _usually(figures["stopped_share"][2], _share_of)),
        card(f"{blocked.count:,}", "blocked", _worth(blocked)),
        card(f"{day.truth.prevented.count:,}", "frauds prevented: blocked, and known", _worth(day.truth.prevented)),
        card(f"{day.blocked_unknown.count:,}", "blocked, outcome unknown", _worth(day.blocked_unknown)),
        card(f"{day.truth.caught.count:,}", "frauds caught, as far as known", _worth(day.truth.caught)),
        card(f"{day.truth.missed.count:,}", "frauds missed, as far as known", _worth(day.truth.missed)),
        card(_ms(day.latency_ms["p99"]), "p99 of a decision", _usually(figures["latency_ms_p99"][2], _ms)),
    ]
    return "".join(shown)


def _worth(share: Share) -> str:
    return "" if share.amount is None else f"worth {money_of(share.amount)}"


def _usually(mean: float | None, show: Callable[[float | None], str]) -> str:
    """The mean of the week before, if there was one."""
    return "" if mean is None else f"{show(mean)} a day in the week before"


def _ms(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f} ms"


# ---------------------------------------------------------------- sections


def _compared(report: Report, rows: Sequence[tuple[str, str, Callable[[float | None], str]]]) -> str:
    """A table of figures: the day, the day before, the mean of the week before."""
    figures = report.figures()
    lines = [[title, *(show(value) for value in figures[name])] for title, name, show in rows]
    return table(["", f"{report.date:%a %-d %b}", f"{report.before.date:%a %-d %b}", "mean of 7 days before"], lines)


def _count(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _share_of(value: float | None) -> str:
    return percent(value, 2)


def _decisions(report: Report) -> str:
    rows: list[tuple[str, str, Callable[[float | None], str]]] = [("decisions", "decisions", _count)]
    seen = [name for name in OUTCOMES if any(name in day.by_decision for day in report.days)]
    rows += [(name.lower(), name.lower(), _count) for name in seen]
    rows.append(("share that is no approval", "stopped_share", _share_of))
    if report.day.decided.amount is not None:
        rows.append(("worth of all", "amount", money_of))
        rows += [(f"worth of {name.lower()}", f"{name.lower()}_amount", money_of) for name in seen]
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in report.notes)
    return notes + _compared(report, rows)


def _fraud(report: Report) -> str:
    day, truth, decided = report.day, report.day.truth, report.day.decided.count
    share = percent(truth.known / decided if decided else None)
    told = (
        f"The outcome is known of {truth.known:,} of {decided:,} decisions ({share}); what nobody has labelled is not"
        " taken for good, and a block is not taken for fraud."
    )
    rows: list[tuple[str, str, Callable[[float | None], str]]] = [
        ("outcomes known", "labels_known", _count),
        ("frauds known", "frauds_known", _count),
        ("frauds caught (not approved)", "caught", _count),
        ("frauds missed (approved)", "missed", _count),
        ("false positives (good, not approved)", "false_alarms", _count),
        ("frauds prevented (blocked)", "prevented", _count),
        ("good ones blocked", "blocked_good", _count),
        ("blocked, outcome unknown", "blocked_unknown", _count),
    ]
    if report.day.decided.amount is not None:
        rows += [
            ("worth of frauds caught", "caught_amount", money_of),
            ("worth of frauds missed", "missed_amount", money_of),
            ("worth of frauds prevented", "prevented_amount", money_of),
            ("worth of blocks of unknown outcome", "blocked_unknown_amount", money_of),
        ]
    sentences = [_scored(day), *([] if report.control is None else [_control(report.control)])]
    estimates = "".join(f"<p>{escape(each)}</p>" for each in sentences if each)
    return f"<p>{escape(told)}</p>" + _compared(report, rows) + _rates(report) + estimates


_RATES = {
    "fraud_rate_known": "share of fraud",
    "recall_known": "recall: frauds that were not approved",
    "precision_known": "precision of what was not approved",
    "precision_of_blocks_known": "precision of blocks",
    "false_positive_rate_known": "false positive rate: good ones not approved",
}


def _rates(report: Report) -> str:
    spans = [rates_of(days) for days in ([report.day], [report.before], report.days[:-1])]
    rows = [[title, *(said(rates[name]) for rates in spans)] for name, title in _RATES.items()]
    head = ["of known outcomes", f"{report.date:%a %-d %b}", f"{report.before.date:%a %-d %b}", "the 7 days before"]
    return table(head, rows, caption=f"With Wilson's 95 % interval; no rate below {LEAST_KNOWN} known outcomes")


def _scored(day: Day) -> str:
    """The share of fraud among the blocks, as estimated by the scores."""
    found = day.estimate
    if found is None:
        return ""
    money = "" if found.amount is None else f", worth {money_of(found.amount)}"
    if found.amount_low is not None:
        money += f" ({money_of(found.amount_low)} to {money_of(found.amount_high)})"
    return (
        f"Estimated by calibrated scores: {found.count:,.1f} ({found.count_low:,.1f} to {found.count_high:,.1f}) of"
        f" {found.of:,} blocks with a score are fraud{money}. It holds as long as scores are calibrated."
    )


def _control(control: Control) -> str:
    """The value of blocks, and the basis of the estimate."""
    found = control.blocks
    told = (
        f"In the {control.days} days up to this one {found.blocked:,} were blocked, and {found.let_through:,} that would have"
        f" been were let through by chance, as the control share. Of {found.known:,} of these the truth is known by now:"
        f" {found.fraud:,} are fraud. "
    )
    rate = found.precision
    if rate.value is None:
        return told + f"That is too little to say how many of the blocked ones are: {LEAST_KNOWN} are needed."
    told += (
        f"Estimated by the control share: {percent(rate.value)} of what is blocked is fraud, between {percent(rate.low)} and"
        f" {percent(rate.high)} in 95 of 100 cases"
    )
    money = found.fraud_prevented
    if money is None:
        return told + "."
    return told + f"; prevented so {money_of(money.value)} ({money_of(money.low)} to {money_of(money.high)})."


def _reasons(report: Report) -> str:
    html = ""
    if report.reasons:
        rows = [[reason.name, f"{reason.count:,}", reason.example] for reason in report.reasons]
        html += table(
            ["reason", "decisions", "for instance"], rows, caption="Why decisions were no approvals; one may have several"
        )
    else:
        html += "<p>There was no decision but approvals, or its reasons are no longer in the log.</p>"
    if report.rules:
        head = ["rule", "fired", "of these stopped", f"{report.before.date:%a %-d %b}", "mean of 7 days before"]
        html += table(head, [_rule(rule) for rule in report.rules], caption="Rules that fired, whatever was decided then")
    return html


def _rule(rule: Counted) -> list[str]:
    return [rule.name, f"{rule.count:,}", f"{rule.stopped:,}", f"{rule.before:,}", _count(rule.mean)]


def _scores(report: Report) -> str:
    if not report.scores:
        return "<p>No model scored on this day.</p>"
    svg = picture("scores", "Decisions by score", _draw_scores, report)
    caption = "Decisions by score, on a scale that shows the rare ones; frauds as far as they are known."
    return figure(svg, caption, "narrow")


def _drift(drift: DayDrift) -> str:
    if drift.missing is not None:
        return f"<p>{escape(drift.missing)}</p>"
    if not drift.judged:
        return "<p>There was too little of the day to hold it against what the models were trained on.</p>"
    html = "<p>Nothing has drifted from what the models were trained on.</p>"
    if drift.findings:
        rows = [[each.text, each.advice, each.because] for each in drift.findings]
        html = table(["what", "what to do", "why that"], rows, caption="The day against what the models were trained on")
    rows = [[name, f"{psi:.3f}", f"{limit:.3f}"] for name, (psi, limit) in drift.columns.items()]
    return html + table(["column", "PSI", "limit"], rows, caption="What lies furthest from training, as its limit measures it")


def _running(report: Report) -> str:
    return _compared(
        report,
        [
            ("p50 of a decision", "latency_ms_p50", _ms),
            ("p95 of a decision", "latency_ms_p95", _ms),
            ("p99 of a decision", "latency_ms_p99", _ms),
            ("degraded decisions", "degraded", _count),
            ("events in quarantine, by the day received", "quarantined", _count),
        ],
    )


def _week(report: Report) -> str:
    if not any(day.decided.count for day in report.days):
        return "<p>Nothing was decided in this week.</p>"
    drawn = {
        "week": ("Decisions by day", _draw_week, "Decisions by day: how many, and what they were."),
        "stopped": ("Share that is no approval, by day", _draw_stopped, "The share of decisions that were no approvals."),
    }
    figures = "".join(
        figure(picture(name, title, draw, report, height=2.8), caption) for name, (title, draw, caption) in drawn.items()
    )
    return f"<div class=pictures>{figures}</div>"


# ---------------------------------------------------------------- pictures


def _draw_scores(axes: "Axes", report: Report) -> None:
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


def _names(days: Sequence[Day]) -> list[str]:
    return [f"{day.date:%a %-d}" for day in days]


def _draw_week(axes: "Axes", report: Report) -> None:
    below = [0] * len(report.days)
    for name in OUTCOMES[::-1]:
        counts = [day.by_decision.get(name, Share()).count for day in report.days]
        if any(counts):
            axes.bar(_names(report.days), counts, bottom=below, color=_OUTCOME_COLOURS[name], width=0.7, label=name.lower())
        below = [low + count for low, count in zip(below, counts, strict=True)]
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylim(0, 1.28 * max(below))
    axes.legend(fontsize=8, ncols=4, loc="upper center")


def _draw_stopped(axes: "Axes", report: Report) -> None:
    shares = [100 * (day.stopped_share or 0.0) for day in report.days]
    axes.plot(_names(report.days), shares, "o-", color=COLOURS[0], lw=2, ms=4)
    axes.set_ylim(0, max(1.15 * max(shares), _DRAWN_FROM))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_ylabel("%")
