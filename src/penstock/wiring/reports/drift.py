"""Drift reports, from the settings and a ledger; once, or periodically in a service or worker."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from penstock.clock import Clock, from_us, system_clock
from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.errors import BundleError, DataError, PenstockError
from penstock.ledger import Ledger
from penstock.ledger.archive import Archive
from penstock.messages import Record
from penstock.offline import measure
from penstock.offline.daily.day import By, DayFigures
from penstock.offline.daily.history import History
from penstock.offline.drift.report import Reporter
from penstock.offline.drift.result import DriftReport
from penstock.offline.drift.sketch import DAY_US, HOUR_US
from penstock.offline.drift.watch import KEPT_D, Pause, Watch, hours_of
from penstock.wiring.registries import open_registry
from penstock.wiring.reports.references import champion_version, reference_for
from penstock.wiring.stores import ledger_to_read

_REST = 4.0
"""Rest after a measurement in a service, as a multiple of its duration: at most a fifth of a core."""

_FIRST_LOOK_S = 30.0

_log = logging.getLogger("penstock.drift")


# ---------------------------------------------------------------- one detector


class Drift:
    """The drift of one detector's decisions in a ledger; each measurement reads only new decisions.

    version: of the models that decide. since_us: older decisions are not read. by: the time by which they are counted.

    Raises:
        BundleError: there is no reference.
    """

    def __init__(
        self,
        detector: Detector,
        settings: Settings,
        ledger: Ledger,
        version: str | None,
        *,
        since_us: int | None = None,
        by: By = "event",
    ) -> None:
        reference, ensemble = reference_for(settings, detector, version)
        review_at = 1.0 if ensemble is None else measure.in_force(detector, ensemble)["review_at"]
        self.version = version
        self._detector = detector
        self._reporter = Reporter(detector, reference, ensemble)
        self._watch = Watch(ledger, detector.name, reference, version=version, review_at=review_at, since_us=since_us, by=by)

    def look(
        self,
        archive: Archive | None,
        *,
        now_us: int,
        pause: Pause = lambda _seconds: None,
        last_us: int = DAY_US,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> DriftReport:
        """The report as of now.

        Args:
            archive: for label outcomes, which are omitted without it.
            now_us: labels known by this time count.
            pause: see `Watch.catch_up`.
            last_us: length of the window, if no beginning is given.
            since_us: the hour with which it begins.
            until_us: the hour before which it ends; that after the newest decision unless given.

        Raises:
            DataError: it begins before the counted decisions.
        """
        self._watch.catch_up(pause)
        span = self._watch.sketch.span
        if since_us is not None and span is not None and since_us // HOUR_US < span[1] - KEPT_D * 24:
            kept = from_us((span[1] - KEPT_D * 24) * HOUR_US)
            raise DataError(
                f"decisions are counted for {KEPT_D} days back from the newest: ask for a time after {kept:%Y-%m-%d}"
            )
        stop = span[1] if until_us is None and span is not None else None if until_us is None else until_us // HOUR_US
        begin = None if since_us is None else since_us // HOUR_US
        first = begin if begin is not None or stop is None else stop - hours_of(last_us)
        days = [] if archive is None or span is None else self._days(archive, (span[1] - 1) // 24, now_us)
        return self._reporter.report(
            self._watch.sketch, now_us=now_us, begun_us=self._watch.begun_us, days=days, first=first, stop=stop
        )

    def _days(self, archive: Archive, last: int, now_us: int) -> list[DayFigures]:
        newest = from_us(last * DAY_US).date()
        return History(archive, self._detector.name, self._detector.schema.amount, now_us, by="event").days(newest, KEPT_D)


def drift_report(
    settings: Settings,
    detector: Detector,
    *,
    last_us: int = DAY_US,
    since_us: int | None = None,
    until_us: int | None = None,
    clock: Clock = system_clock,
) -> DriftReport:
    """The drift of a data folder's decisions, also while a service owns it.

    Raises:
        ConfigurationError: there is no ledger. BundleError: there is no reference. DataError: there are no decisions.
    """
    version = champion_version(settings, detector)
    if version is not None:
        open_registry(settings).fetch(detector.name, version)
    with ledger_to_read(settings, detector.name) as ledger, Archive(ledger, settings.data / "archive") as archive:
        if next(iter(ledger.recent(detector.name, limit=1)), None) is None:
            raise DataError(f"detector {detector.name!r} has decided nothing here; name another data folder or detector")
        drift = Drift(detector, settings, ledger, version)
        return drift.look(archive, now_us=clock(), last_us=last_us, since_us=since_us, until_us=until_us)


def drift_of_day(
    settings: Settings, detector: Detector, ledger: Ledger, day: date, *, now_us: int, by: By = "decided"
) -> tuple[DriftReport | None, str | None]:
    """The drift as of the end of a day, or why it is unknown."""
    start_us = (day - date(1970, 1, 1)) // timedelta(microseconds=1)
    try:
        version = champion_version(settings, detector)
        drift = Drift(detector, settings, ledger, version, since_us=start_us - 8 * DAY_US, by=by)
        return drift.look(None, now_us=now_us, since_us=start_us, until_us=start_us + DAY_US), None
    except PenstockError as error:
        return None, str(error)


# ---------------------------------------------------------------- in a service


class DriftWork:
    """Measures the drift of running engines, resting most of the time.

    One thread measures at a time; results may be read from any: `reports`, and reasons for missing ones in `troubles`,
    by detector.
    """

    def __init__(self, settings: Settings, *, clock: Clock = system_clock) -> None:
        self._settings, self._clock = settings, clock
        self._watched: dict[str, Drift] = {}
        self._closed = threading.Event()
        self.reports: dict[str, DriftReport] = {}
        self.troubles: dict[str, str] = {}

    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """The figure `drift` by detector: the number of findings severe enough for an alert."""
        return {name: {"drift": float(len(report.alarms))} for name, report in list(self.reports.items())}

    def stop(self) -> None:
        """Cancel a running measurement; no other begins."""
        self._closed.set()

    def run(self, engines: Callable[[], Sequence[Engine]]) -> None:
        """Measure soon, and then periodically, until `stop`."""
        wait_s = min(_FIRST_LOOK_S, self._settings.drift_every_s)
        while not self._closed.wait(wait_s):
            self.look(engines())
            wait_s = self._settings.drift_every_s

    def look(self, engines: Sequence[Engine]) -> None:
        """Measure each of these engines once."""
        for engine in engines:
            name = engine.detector.name
            try:
                self.reports[name] = self._look(name, engine)
                self.troubles.pop(name, None)
            except _MeasurementStopped:
                return
            except PenstockError as error:
                if self.troubles.get(name) != str(error):
                    _log.warning("drift of %s is not watched: %s", name, error)
                self.troubles[name] = str(error)
                self.reports.pop(name, None)

    def _look(self, name: str, engine: Engine) -> DriftReport:
        version = engine.model_version
        if engine.detector.models and version is None:
            raise BundleError(f"{name!r} has no models yet")
        drift = self._watched.get(name)
        if drift is None or drift.version != version:
            drift = self._watched[name] = Drift(engine.detector, self._settings, engine.ledger, version)
        with Archive(engine.ledger, self._settings.data / "archive") as archive:
            report = drift.look(archive, now_us=self._clock(), pause=self._rest)
        if report.alarms:
            first, *others = report.alarms
            more = f" (and {len(others)} more: penstock drift {name})" if others else ""
            _log.warning("drift of %s: %s; %s%s", name, first.text, first.advice, more)
        return report

    def _rest(self, seconds: float) -> None:
        if self._closed.wait(_REST * seconds):
            raise _MeasurementStopped


class DriftSink:
    """Measures the drift of a worker's decisions while it owns the detector: a `penstock.stream.port.Sink` that stores
    nothing. Its figures are for alerts.
    """

    name = "drift"

    def __init__(self, engine: Engine, work: DriftWork) -> None:
        self._engine, self._work = engine, work
        self._thread: threading.Thread | None = None

    def begin(self, fence: int) -> int:  # noqa: ARG002 - the owner looks
        """Start measuring; nothing is stored, so there is no position."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work.run, args=(lambda: [self._engine],), name="penstock-drift", daemon=True
            )
            self._thread.start()
        return self._engine.ledger.durable_position

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Ignore the records: measurements read the ledger."""

    def close(self) -> None:
        """Stop measuring; idempotent."""
        self._work.stop()
        if self._thread is not None:
            self._thread.join()


class _MeasurementStopped(Exception):
    """The service ends: cancels a running measurement."""


# ---------------------------------------------------------------- in a trainer


def drift_asks(settings: Settings, detector: Detector, *, clock: Clock = system_clock) -> Callable[[], str | None]:
    """For a trainer: returns why drift requires a training, once for every model version; None while it does not.

    settings: name the data folder or ledger of the service that decides.
    """
    asked: set[str | None] = set()
    due_us = 0

    def ask() -> str | None:
        nonlocal due_us
        if clock() < due_us:
            return None
        due_us = clock() + round(settings.drift_every_s * 1e6)
        try:
            report = drift_report(settings, detector, clock=clock)
        except PenstockError as error:
            _log.warning("drift of %s cannot be looked at: %s", detector.name, error)
            return None
        if not report.retrain or report.model_version in asked:
            return None
        asked.add(report.model_version)
        return "drift of " + ", ".join(str(each.column) for each in report.alarms if each.advice == "retrain")

    return ask
