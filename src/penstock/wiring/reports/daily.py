"""Daily reports, from the settings to files."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec

from penstock.clock import Clock, system_clock, to_us
from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.statistics.distribution import worth_of
from penstock.errors import DataError, did_you_mean
from penstock.ledger import Ledger
from penstock.ledger.archive import Archive
from penstock.offline.daily import By, DailyReport, make_report, page, table
from penstock.offline.daily.day import Control, DayDrift
from penstock.offline.daily.history import History
from penstock.offline.trial import blocks
from penstock.wiring.detectors import installed, load_detector
from penstock.wiring.reports.drift import drift_of_day
from penstock.wiring.stores import ledgers_to_read, several_logs

_FURTHEST = 8
_CONTROL_DAYS = 30  # a single day has few control decisions at most


def daily_reports(
    settings: Settings, reference: str | None, day: date | None, *, by: By = "decided", clock: Clock = system_clock
) -> dict[str, DailyReport]:
    """The report of a day for one detector, or for all with decisions; also while a service is running.

    Args:
        settings: name ledger and archive.
        reference: the DETECTOR; all in the ledger unless given.
        day: the day (UTC); the newest complete one unless given.
        by: whether a decision counts on the day it was made or on that of its event.
        clock: determines which labels are known.

    Raises:
        ConfigurationError: there is no ledger.
        DataError: there are no decisions of this detector.
    """
    with ledgers_to_read(settings) as ledgers, ExitStack() as opened:
        archives = {log: opened.enter_context(Archive(ledger, settings.data / "archive")) for log, ledger in ledgers.items()}
        logs: dict[str, list[str]] = {}
        for log, archive in archives.items():
            for name in archive.query("SELECT DISTINCT detector FROM decisions ORDER BY 1")["detector"]:
                logs.setdefault(name, []).append(log)
        reports = {}
        for name, detector in _chosen(reference, sorted(logs)).items():
            if len(logs[name]) > 1:
                raise several_logs(f"what {name!r} decided", logs[name])
            [log] = logs[name]
            reports[name] = _report(settings, ledgers[log], archives[log], name, detector, day, by, clock)
        return reports


def report_of(settings: Settings, engine: Engine, day: date, *, by: By = "decided", clock: Clock = system_clock) -> DailyReport:
    """The report of a day of a running engine or replica, from durable records and known labels.

    Raises:
        DataError: it has no decisions at all.
    """
    detector = engine.detector
    with Archive(engine.ledger, settings.data / "archive") as archive:
        return _report(settings, engine.ledger, archive, detector.name, detector, day, by, clock)


def decided_days(
    settings: Settings, engine: Engine, *, by: By = "decided", clock: Clock = system_clock
) -> list[tuple[date, int]]:
    """The days (UTC) up to today with decisions, newest first, each with their number."""
    with Archive(engine.ledger, settings.data / "archive") as archive:
        return History(archive, engine.detector.name, None, clock(), by=by).counts(clock())


def _report(
    settings: Settings,
    ledger: Ledger,
    archive: Archive,
    name: str,
    detector: Detector | None,
    day: date | None,
    by: By,
    clock: Clock,
) -> DailyReport:
    made = make_report(
        ledger,
        archive,
        name,
        now_us=clock(),
        date=day,
        by=by,
        amount=worth_of(detector)[0] if detector else None,
        label_delay_us=detector.label.delay_us if detector and detector.label else 0,
    )
    if detector is None:
        return made
    drift = _drift(settings, detector, ledger, made) if detector.models else None
    return msgspec.structs.replace(made, drift=drift, control=_control(archive, detector, made))


def _control(archive: Archive, detector: Detector, report: DailyReport) -> Control | None:
    """Control decisions up to the end of the day, with outcomes known at the time of the report."""
    end = datetime.combine(report.date + timedelta(days=1), time(), UTC)
    now_us = to_us(datetime.fromisoformat(report.made_at))
    found = blocks(archive, detector, days=_CONTROL_DAYS, now_us=now_us, until_us=to_us(end))
    return None if found is None else Control(_CONTROL_DAYS, found)


def _drift(settings: Settings, detector: Detector, ledger: Ledger, report: DailyReport) -> DayDrift:
    """The day's drift: the columns that drifted most, each by its own limit."""
    now_us = to_us(datetime.fromisoformat(report.made_at))
    found, missing = drift_of_day(settings, detector, ledger, report.date, by=report.by, now_us=now_us)
    if found is None:
        return DayDrift(missing=missing)
    furthest = sorted(found.columns, key=lambda column: -column.lasting / column.limit)[:_FURTHEST]
    return DayDrift(found.judged, found.findings, {column.name: (column.psi, column.limit) for column in furthest})


def _chosen(reference: str | None, known: list[str]) -> dict[str, Detector | None]:
    """The detectors by name; None for one that is not installed, of which only decisions are known."""
    if reference is None:
        if not known:
            raise DataError("nothing has been decided here yet; name another data folder with --data DIR")
        return {name: load_detector(name) if name in installed() else None for name in known}
    if reference in known and reference not in installed():
        return {reference: None}
    detector = load_detector(reference)
    if detector.name not in known:
        raise DataError(f"detector {detector.name!r} has decided nothing here.{did_you_mean(detector.name, known)}")
    return {detector.name: detector}


def write_reports(reports: Mapping[str, DailyReport], folder: Path) -> list[Path]:
    """Write each report as `daily-DETECTOR-DATE` .json, .csv and .html; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, report in reports.items():
        files = {"json": _json(report), "csv": table(report).encode(), "html": page(report).encode()}
        for ending, content in files.items():
            path = folder / f"daily-{name}-{report.date.isoformat()}.{ending}"
            fresh = path.with_name(path.name + ".new")
            fresh.write_bytes(content)
            fresh.replace(path)
            written.append(path)
    return written


def _json(report: DailyReport) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report.as_json()), indent=2) + b"\n"
