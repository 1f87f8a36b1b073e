"""Trials in a service or worker: challenger sources, guards and comparisons."""

from collections.abc import Callable, Sequence
from pathlib import Path

from penstock.alerts import Alert, alert_json
from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.governance.challengers import Challengers, ChallengerSource
from penstock.governance.guards import Announcements, GuardMonitor
from penstock.ledger.archive import Archive
from penstock.offline.registry import Registry
from penstock.offline.trial import Compared, Question, compare

OnAlert = Callable[[str, bytes], None]
"""Called with the detector's name and an alert as JSON, from any thread."""


class TrialWork:
    """The trials of the detectors of one process.

    newer: by detector, the source of newer challengers. guards: by detector, the guard monitor. challengers: by
    detector, the trial administration. announcements: alerts of guards, for the alert sink.

    Args:
        database: of the office; closed by its opener, after this.
        registry: of models.
        alerted: whether an alert sink takes the announcements; without one, viewers get them at once.
    """

    def __init__(
        self,
        database: Database,
        detectors: Sequence[Detector],
        registry: Registry,
        settings: Settings,
        *,
        alerted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._alerted, self._folder = alerted, Path(settings.data) / "archive"
        self._on_alert: OnAlert = lambda _detector, _body: None
        self._archives: dict[str, Archive] = {}
        self.announcements = Announcements()
        self.guards = {each.name: GuardMonitor(database, each, registry, settings, self.announce) for each in detectors}
        self.challengers = {
            detector.name: Challengers(database, detector, registry, four_eyes=settings.four_eyes)
            for detector in detectors
            if detector.models
        }
        self.newer = {name: ChallengerSource(each, settings.follow_every_s).newer for name, each in self.challengers.items()}

    def listen(self, on_alert: OnAlert) -> None:
        """Register a callback for rollbacks, for live viewers."""
        self._on_alert = on_alert

    def announce(self, alert: Alert) -> None:
        """Raise an alert that follows from no record: through the alert sink, or without one, to viewers."""
        if self._alerted():
            self.announcements.announce(alert)
        else:
            self._on_alert(alert.detector, alert_json(alert))

    def compare(self, engine: Engine, question: Question) -> Compared:
        """Compare champion and candidate from this engine's records. May take seconds, in any thread.

        Raises:
            DataError: no such trial is recorded.
        """
        name = engine.detector.name
        if name not in self._archives:
            self._archives[name] = Archive(engine.ledger, self._folder)
        return compare(self._archives[name], engine.detector, question, now_us=engine.clock())

    def close(self) -> None:
        """Release what was read; idempotent."""
        for guards in self.guards.values():
            guards.close()
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()
