"""Assembly of the daily report."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from penstock.clock import from_us, iso, to_us
from penstock.decision.record import explanations_of
from penstock.decoding import prepared
from penstock.errors import DataError
from penstock.ledger import Ledger
from penstock.ledger.archive import Archive
from penstock.messages import Explanation, Record
from penstock.offline.daily.day import By, Counted, DailyReport
from penstock.offline.daily.history import History

MOST_READ = 5_000
"""Decisions whose reasons are read at most."""

SHOWN = 15

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2199, 12, 31)
"""Days that can have a report: on no other can an event or its decision lie."""

_explanation = msgspec.json.Decoder(prepared(Explanation))


def make_report(
    ledger: Ledger,
    archive: Archive,
    detector: str,
    *,
    now_us: int,
    date: date | None = None,
    by: By = "decided",
    amount: str | None = None,
    label_delay_us: int = 0,
) -> DailyReport:
    """The report of one day of a detector.

    Args:
        ledger: with the decisions; only read.
        archive: for SQL on it.
        detector: its name.
        now_us: the current time, up to which labels count.
        date: the day (UTC); the newest with decisions that is over unless given, or else today.
        by: whether a decision counts on the day it was made or on that of its event.
        amount: the field with the amount.
        label_delay_us: how long after an event its label usually becomes known.

    Raises:
        DataError: the detector has decided nothing at all, or the day lies outside 1970 to 2199.
    """
    if date is not None and not FIRST_DAY <= date <= LAST_DAY:
        raise DataError(f"there is no report of {date}; a day from {FIRST_DAY} to {LAST_DAY} can have one")
    history = History(archive, detector, amount, now_us, by=by)
    today = from_us(now_us).date()
    newest = history.newest(today)
    if newest is None:
        raise DataError(f"detector {detector!r} has decided nothing here; name another data folder or detector")
    day = date or _day_before(history, newest, today)
    known_from_us = to_us(datetime.combine(day + timedelta(days=1), time(), UTC)) + label_delay_us
    seqs, stopped = history.stopped_seqs(day, MOST_READ)
    reasons, read = _reasons(ledger, seqs, stopped)
    report = DailyReport(
        detector=detector,
        date=day,
        made_at=iso(now_us),
        finished=day < today,
        young=now_us < known_from_us,
        labels_known_from=iso(known_from_us),
        days=history.days(day),
        rules=history.rules(day),
        reasons=reasons,
        reasons_of=read,
        scores=history.scores(day),
        versions=history.versions(day),
        notes=[],
        by=by,
    )
    return msgspec.structs.replace(report, notes=_notes(report, history, stopped, read))


def _day_before(history: History, newest: date, today: date) -> date:
    """The newest complete day with decisions; today if there is none."""
    if newest < today:
        return newest
    yesterday = today - timedelta(days=1)
    return yesterday if history.days(yesterday, 1)[0].decided.count else newest


def _reasons(ledger: Ledger, seqs: list[int], stopped: int) -> tuple[list[Counted], int]:
    """Why decisions were no approvals: each reason by its code with an example, scaled up where only some were read."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    read = 0
    for explanation in _explanations(ledger, seqs):
        read += 1
        for reason in {reason.code: reason for reason in explanation.reasons}.values():
            counts[reason.code] += 1
            examples.setdefault(reason.code, reason.text)
    scale = stopped / read if read else 0.0
    found = [Counted(code, round(count * scale), 0, None, 0, examples[code]) for code, count in counts.most_common(SHOWN)]
    return found, read


def _explanations(ledger: Ledger, seqs: list[int]) -> "list[Explanation]":
    """The explanations of these rows, as far as the log still holds them; each record is read once."""
    found: list[Explanation] = []
    record: Record | None = None
    kept: dict[int, bytes] = {}
    for seq in seqs:
        if record is None or not record.first_seq <= seq < record.first_seq + len(record):
            held = ledger.record_of(seq)
            if held is None:
                continue
            record = held[0]
            kept = explanations_of(record) or {}
        body = kept.get(seq - record.first_seq)
        if body is not None:
            found.append(_explanation.decode(body))
    return found


def _notes(report: DailyReport, history: History, stopped: int, read: int) -> list[str]:
    """Caveats about the figures."""
    notes = []
    if not report.day.decided.count:
        notes.append("Nothing was decided on this day.")
    if not report.finished:
        notes.append("The day is not over: its figures grow, and cannot be compared with those of whole days.")
    if report.young:
        notes.append(
            f"Labels of this day become known until {report.labels_known_from[:10]}; until then frauds are missing among caught"
            " and missed alike."
        )
    if not history.amounts:
        notes.append("Events do not say what they are worth, so there are counts alone.")
    if read < stopped:
        notes.append(f"Reasons were read of {read:,} of {stopped:,} decisions that were not approved, and scaled up.")
    return notes
