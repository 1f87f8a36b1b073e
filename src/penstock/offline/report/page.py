"""The training report as a self-contained HTML page: no scripts, no external resources, light and dark, wide and narrow."""

from collections.abc import Mapping
from html import escape
from typing import Any

from penstock.offline.report.findings import Findings
from penstock.offline.report.markup import ABSENT, card, document, figure, interval, money_of, number, percent, table
from penstock.offline.report.plots import plots
from penstock.offline.trained import Figures, Report
from penstock.outcomes import LEAST_KNOWN, Rate, said

NAMES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "recall_at_fpr_0.001": "recall at 0.1 % false positives",
    "recall_at_fpr_0.01": "recall at 1 % false positives",
    "recall_at_fpr_0.05": "recall at 5 % false positives",
    "card_precision_at_100": "card precision@100",
    "value_detection_rate": "value detection rate",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "expected calibration error",
}
"""How figures are called, in their order."""

COMPARED = ("average_precision", "roc_auc", "recall_at_fpr_0.01", "card_precision_at_100", "brier", "ece")
"""Figures by which alternatives are compared."""

SMALL_IS_GOOD = ("brier", "ece")

_CAPTIONS = {
    "roc": "The axis below is stretched near zero, where reviewers work.",
    "precision_recall": "How pure what is flagged is, as more of the fraud is found.",
    "calibration": "Bins with at least ten events. On the dashed line a score of 10 % means fraud in 10 % of cases.",
    "scores": "Each kind's own share by score, on a scale that shows the rare ones.",
}


def page(findings: Findings, pictures: Mapping[str, str] | None = None) -> str:
    """The whole page as HTML; pictures: where they have been drawn already."""
    pictures = plots(findings) if pictures is None else pictures
    report = findings.report
    title = f"Training of {report.detector}" + (f", version {report.model_version}" if report.model_version else "")
    sections = {
        "Data and split": _data(findings),
        "Figures": _figures(findings),
        "Curves": _curves(pictures),
        "Thresholds and money": _money(findings, pictures),
        "Importance": _importance(pictures),
        "Members and alternatives": _alternatives(findings),
        "Costly mistakes": _mistakes(findings),
        "How it came about": _origin(findings),
    }
    return document(title, _first_sentence(findings), _cards(findings), sections)


# ---------------------------------------------------------------- at the top


def _first_sentence(findings: Findings) -> str:
    report = findings.report
    rows, frauds = report.rows["test"], report.fraud["test"]
    members = ", ".join(f"{escape(name)} {percent(share)}" for name, share in report.weights.items())
    return (
        f"Measured on {rows:,} later events of {escape(findings.data)} with {frauds:,} frauds "
        f"({percent(frauds / max(rows, 1), 2)}), none of which the models had seen. Members and their shares: {members}."
    )


def _cards(findings: Findings) -> str:
    report, decided = findings.report, findings.report.decided
    shown = [
        (number(report.test.get(name)), NAMES[name], interval(findings.intervals.get(name)))
        for name in ("average_precision", "roc_auc", "recall_at_fpr_0.01")
    ]
    rates = report.decided_rates
    shown.append((percent(decided.get("recall")), "of frauds stopped by the thresholds", _counted(rates, "recall")))
    shown.append(
        (percent(decided.get("false_positive_rate"), 2), "of good ones stopped", _counted(rates, "false_positive_rate"))
    )
    if findings.amounts:
        shown.append((money_of(decided.get("saved")), "saved, after reviews and annoyance", "in the currency of the amounts"))
    return "".join(card(*each) for each in shown)


def _counted(rates: Mapping[str, Rate], name: str) -> str:
    return said(rates[name]) if name in rates else ""


# ---------------------------------------------------------------- sections


def _data(findings: Findings) -> str:
    report = findings.report
    periods = report.periods.as_json()
    rows = []
    for part, count in report.rows.items():
        span = periods.get(part)
        when = (
            " to ".join(str(each)[:16].replace("T", " ") for each in span) if span else "folds of the training, in time order"
        )
        frauds = report.fraud[part]
        prevalence = percent(frauds / count, 2) if count else ABSENT
        rows.append([part, when, f"{count:,}", f"{frauds:,}", prevalence, f"{report.unknown.get(part, 0):,}"])
    head = ["", "from, to (UTC)", "events", "frauds", "prevalence", "not known in time"]
    days = periods["label_delay_s"] / 86400
    gap = f"Between the parts lie {days:g} days, in which labels become known. " if days else "No time lies between the parts. "
    refused = f"{report.refused:,} rows of the file were no events. " if report.refused else ""
    known = f"An event whose truth nobody knew in time counts for nothing. {refused}"
    return _leaks(report) + f"<p>{gap}{known}The models read {len(report.features)} features.</p>" + table(head, rows)


def _leaks(report: Report) -> str:
    """The suspected data leaks."""
    if not report.leaks:
        return ""
    said = "".join(f"<li>{escape(leak.text)}</li>" for leak in report.leaks)
    return f"<p><b>These figures may be too good to be true:</b></p><ul>{said}</ul>"


def _figures(findings: Findings) -> str:
    report = findings.report
    head = ["on the test", "ensemble", "95 % interval", *report.members]
    rows = []
    for name in report.test:
        alone = [number(figures.get(name)) for figures in report.members.values()]
        rows.append(
            [NAMES.get(name, name), f"<b>{number(report.test[name])}</b>", interval(findings.intervals.get(name)), *alone]
        )
    text = (
        "<p>Precision, recall, F1 and the value detection rate are taken where reviews begin, at "
        f"{report.in_force['review_at']:.4g}; below {LEAST_KNOWN} known outcomes there is none. "
        + "".join(f"{name.capitalize()}: {said(rate)}. " for name, rate in report.rates.items())
        + "Their intervals are Wilson's. Those of the others draw customers, not events: the ten frauds of one stolen card are"
        " one chance.</p>"
    )
    return text + table(head, rows, raw=True)


def _curves(pictures: Mapping[str, str]) -> str:
    return "<div class=pictures>" + "".join(figure(pictures[name], text) for name, text in _CAPTIONS.items()) + "</div>"


def _money(findings: Findings, pictures: Mapping[str, str]) -> str:
    report, costs = findings.report, findings.costs
    by = {"fpr": "a rate of false positives", "capacity": "what people can review", "cost": "what mistakes cost"}
    chosen, force = report.thresholds, report.in_force
    text = (
        f"<p>Chosen on the validation by {by.get(str(report.choice.get('by')), 'hand')}: {_from(chosen)}. "
        f"In force: {_from(force)}. "
        f"Money counts a fraud that is approved at {costs.loss:g} times its amount, a review at {costs.review:g}, "
        f"a good customer who is blocked at {costs.annoyance:g}.</p>"
    )
    if not findings.amounts:
        text += "<p class=note>These events have no amounts, so every fraud counts 1: believe no sum of money here.</p>"
    validation = report.choice.get("on", {})
    wanted = {
        "recall": "frauds stopped",
        "value_detection_rate": "of their value",
        "false_positive_rate": "good ones stopped",
        "precision": "of those stopped, fraud",
        "reviews_per_day": "reviews a day",
        "blocked_per_day": "blocked a day",
        "cost": "cost",
        "saved": "saved, of known outcomes",
    }
    share = ("recall", "value_detection_rate", "false_positive_rate", "precision")
    rows = []
    for name, word in wanted.items():
        cells = [
            percent(each, 2) if name in share else money_of(each) for each in (validation.get(name), report.decided.get(name))
        ]
        rows.append([word, *cells])
    text += "".join(
        f"<p>In force, on the test: {name.replace('_', ' ')} {said(rate)}.</p>" for name, rate in report.decided_rates.items()
    )
    caption = "What would have been saved by beginning reviews elsewhere; what is blocked stays blocked."
    head = ["", "chosen, on the validation", "in force, on the test"]
    return text + f"<div class=pictures>{figure(pictures['money'], caption)}{table(head, rows)}</div>"


def _from(thresholds: Mapping[str, float]) -> str:
    return f"review from {thresholds['review_at']:.4g}, block from {thresholds['block_at']:.4g}"


def _importance(pictures: Mapping[str, str]) -> str:
    caption = "Exact contributions of each feature to the ensemble's log-odds, their sizes averaged over events of the test."
    return figure(pictures["importance"], caption, "narrow")


def _alternatives(findings: Findings) -> str:
    report = findings.report
    members = {"ensemble": report.test, **report.members}
    shares = {"ensemble": "", **{name: percent(share) for name, share in report.weights.items()}}
    html = _compared("What each member is worth alone, and all together", members, shares)
    for name, treatments in report.treatments.items():
        html += _compared(f"{name}, by treatment of the imbalance, each trained alone", treatments)
    if report.treatments:
        best = [max(each, key=lambda name: each[name].get("average_precision") or 0) for each in report.treatments.values()]
        raised = [name for name, treatment in zip(report.treatments, best, strict=True) if treatment != "none"]
        told = (
            f"A treatment raised average precision for {', '.join(raised)}."
            if raised
            else "No treatment raised average precision."
        )
        html += f"<p>{escape(told)} Treatments change the training rows alone; validation and test are as they happened.</p>"
    else:
        html += "<p class=soft>Treatments of the imbalance were not compared: <code>--compare-imbalance</code> does that.</p>"
    return html


def _compared(
    caption: str, figures: Mapping[str, Figures], shares: Mapping[str, str] | None = None, *, rivals: bool = True
) -> str:
    """A table with a line for each alternative; of rivals, the best of every column is set bold."""
    head = ["", *(["share"] if shares else []), *(NAMES[name] for name in COMPARED)]
    best = {}
    for name in COMPARED:
        known = [value for each in figures.values() if (value := each.get(name)) is not None]
        best[name] = (min if name in SMALL_IS_GOOD else max)(known) if known else None
    rows = []
    for alternative, each in figures.items():
        cells = []
        for name in COMPARED:
            value = each.get(name)
            text = number(value)
            wins = rivals and value is not None and value == best[name]
            cells.append(f"<span class=best>{text}</span>" if wins else text)
        rows.append([escape(alternative), *([shares[alternative]] if shares else []), *cells])
    return table(head, rows, raw=True, caption=caption)


def _mistakes(findings: Findings) -> str:
    found = findings.decided
    counts = [
        [name.lower(), f"{count['fraud']:,}", f"{count['good']:,}"]
        for name, count in found.counts.items()
        if sum(count.values())
    ]
    html = "<p>The recorded events, decided once more with these models, rules and policy included.</p>" + table(
        ["decided on the test", "frauds", "good ones"], counts
    )
    for title, mistakes in (("Frauds that were approved", found.missed), ("Good ones that were stopped", found.stopped)):
        html += f"<h3>{title}, the most costly first</h3>"
        html += "".join(map(_mistake, mistakes)) or "<p>None.</p>"
    return html


def _mistake(mistake: Mapping[str, Any]) -> str:
    members = ", ".join(f"{escape(name)} {score:.3f}" for name, score in mistake["members"].items())
    amount = "" if mistake["amount"] is None else f"<b>{mistake['amount']:,.2f}</b>"
    rules = f"<span>rules: {escape(', '.join(mistake['rules']))}</span>" if mistake["rules"] else ""
    time = str(mistake["time"])[:19].replace("T", " ")
    event = ", ".join(f"{escape(name)} = {escape(str(value))}" for name, value in mistake["event"].items() if value is not None)
    sides = "".join(
        f"<div>{word}<ul>{''.join(f'<li>{escape(each)}' for each in mistake[key])}</ul></div>"
        for key, word in (("for", "Spoke for fraud"), ("against", "Spoke against it"))
        if mistake[key]
    )
    decided = f"{escape(str(mistake['decision']).lower())}, score {mistake['score']:.3f}"
    which = f"<span class=soft>{escape(time)} <code>{escape(mistake['id'])}</code></span>"
    return (
        f"<article class=mistake><header>{amount}<span>{decided} <small class=soft>({members})</small></span>{rules}{which}"
        f"</header><div class=sides>{sides}</div><details><summary>the event</summary>{event}</details></article>"
    )


def _origin(findings: Findings) -> str:
    report = findings.report
    html = "".join(f"<p class=note>{escape(note)}</p>" for note in report.notes)
    if report.folds:
        folds = {fold["periods"]["test"][0][:10]: fold["test"] for fold in report.folds}
        html += _compared("Folds, by the first day of their test; everything above is about the last", folds, rivals=False)
    if report.apart is not None:
        html += _apart(report.apart)
    for name, tuned in report.tuning.items():
        best = ", ".join(f"{key} = {value:.4g}" for key, value in (tuned["best"] or {}).items())
        html += (
            f"<p>{escape(name)} was tuned with {len(tuned['trials'])} trials on the validation; the best: {escape(best)}.</p>"
        )
    return html or "<p>There is nothing to note.</p>"


def _apart(apart: Mapping[str, Any]) -> str:
    figures = {
        f"{title}, trained {how} it": found
        for key, title in (("hold_out", "hold-out"), ("cross_validation", "folds"), ("shuffled", "shuffled (no estimate)"))
        for how, found in apart[key].items()
        if found is not None
    }
    caption = f"{apart['name']}, before {apart['before'][:10]}: {apart['rows']:,} events with {apart['frauds']:,} frauds"
    return _compared(caption, figures, rivals=False)
