"""Guards: check candidates several times a second, and roll back those that exceed a limit."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.alerts import Alert
from penstock.clock import iso
from penstock.config import Settings
from penstock.database import Database
from penstock.decision.guard import HARMFUL_UNSEEN, Guard, TrialFigures, guards_of
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.engine.trials.challenger import MODEL
from penstock.engine.trials.shadow import candidates
from penstock.governance.challengers import Challengers
from penstock.governance.model_trials import ModelTrial
from penstock.governance.rules import RuleStore
from penstock.governance.stored_detector import rule_store
from penstock.ledger import Ledger
from penstock.ledger.archive import Archive
from penstock.offline.registry import Registry
from penstock.offline.trial import Question, seen

GUARD = "guard"
"""The author of rollbacks in the audit log."""

LABELS_EVERY_S = 60.0
"""Seconds between two reads of the ledger, for guards that wait for labels."""

_MOST_WAITING = 1000
_log = logging.getLogger("penstock.guards")


class Announcements:
    """A queue of alerts raised outside the ledger's records, for the alert sink. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: deque[Alert] = deque(maxlen=_MOST_WAITING)

    def announce(self, alert: Alert) -> None:
        """Raise an alert."""
        self._waiting.append(alert)

    def take(self) -> list[Alert]:
        """New alerts; each is returned once."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A candidate: its recorded name and version, since when it runs, its guards, and what ends it."""

    trial: str
    version: str
    model: bool
    since_us: int | None
    acts: bool
    guards: Sequence[Guard]
    stop: Callable[[str], bool]


class GuardMonitor:
    """The guards of one detector. One thread at a time, of the deciding process, calls `look` periodically.

    Every guard compares the candidate with what the champion would have decided on the same events. Ending a trial is a
    compare-and-set in the office, so several processes may guard the same.

    Args:
        database, registry: of the office, and of models.
        detector: as its file declares it.
        on_alert: called with every rollback.
    """

    def __init__(
        self, database: Database, detector: Detector, registry: Registry, settings: Settings, on_alert: Callable[[Alert], None]
    ) -> None:
        self._challengers = Challengers(database, detector, registry)
        self._store: RuleStore = rule_store(database, detector)
        self._detector, self._settings, self._on_alert = detector, settings, on_alert
        self._archives: dict[Ledger, Archive] = {}
        self._asked_s: dict[tuple[str, Ledger], float] = {}
        self._lock = threading.Lock()

    def look(self, engine: Engine) -> None:
        """Roll back candidates that breach a guard."""
        if engine.pipeline.trying is None:
            return
        with self._lock:
            for candidate in [*self._models(engine), *self._rules(engine)]:
                self._recall(engine, candidate)
                reason = self._breach(engine, candidate)
                if reason is not None and candidate.stop(reason):
                    self._announce(engine, candidate, reason)

    def _models(self, engine: Engine) -> list[_Candidate]:
        tried = {each.version: each for each in engine.pipeline.challengers}
        found = []
        for trial in self._challengers.trials.running() if tried else ():
            challenger = tried.get(trial.version)
            if challenger is None:
                continue

            def stop(reason: str, trial: ModelTrial = trial) -> bool:
                return self._challengers.stop(trial, who=GUARD, why=reason)

            guards = self._detector.policy.guards if trial.guards is None else guards_of(trial.guards)
            acts = challenger.share is not None
            found.append(_Candidate(challenger.trial, trial.version, True, trial.at_us, acts, guards, stop))
        return found

    def _rules(self, engine: Engine) -> list[_Candidate]:
        found = []
        for rule in candidates(list(engine.detector.plan.rules)):
            share = rule.rule.share
            if share is None:
                continue
            name, version = share.seed, int(rule.name.rpartition("_v")[2])

            def stop(reason: str, name: str = name, version: int = version) -> bool:
                return self._store.stop(name, version, who=GUARD, why=reason)

            given = self._store.guards(name, version)
            guards = self._detector.policy.guards if given is None else guards_of(given)
            found.append(_Candidate(rule.name, rule.name, False, None, not share.watches, guards, stop))
        return found

    def _recall(self, engine: Engine, candidate: _Candidate) -> None:
        """Count earlier decisions from the ledger, as far back as the guards look."""
        windows = [guard.window_us for guard in candidate.guards if not guard.needs_labels]
        if windows:
            engine.trials.recall(candidate.trial, max(windows), engine.ledger, engine.detector.name)

    def _breach(self, engine: Engine, candidate: _Candidate) -> str | None:
        mature: TrialFigures | None = None
        for guard in candidate.guards:
            if not candidate.acts and guard.figure not in HARMFUL_UNSEEN:
                continue
            if guard.needs_labels:
                mature = mature or self._mature(engine, candidate)
                found = mature
            else:
                found = engine.trials.figures(candidate.trial, guard.window_us)
            reason = guard.breach(found)
            if reason is not None:
                return reason
        return None

    def _mature(self, engine: Engine, candidate: _Candidate) -> TrialFigures:
        """Known outcomes from labels; read from the ledger periodically."""
        ledger = engine.ledger  # differs by shard, and after a takeover
        if time.monotonic() - self._asked_s.get((candidate.trial, ledger), -LABELS_EVERY_S) < LABELS_EVERY_S:
            return TrialFigures(0)
        self._asked_s[candidate.trial, ledger] = time.monotonic()
        if ledger not in self._archives:
            self._archives[ledger] = Archive(ledger, self._settings.data / "archive")
        name, version = (MODEL, candidate.version) if candidate.model else (candidate.trial, None)
        question = Question(name, version, days=90, since_us=candidate.since_us)
        return seen(self._archives[ledger], engine.detector, question, now_us=engine.clock())

    def _announce(self, engine: Engine, candidate: _Candidate, reason: str) -> None:
        what = f"model version {candidate.version}" if candidate.model else f"rule {candidate.trial}"
        text = f"{what} was rolled back: {reason}"
        _log.warning("%s: %s", self._detector.name, text)
        engine.totals.meter.rolled_back(MODEL if candidate.model else "rule")
        now = iso(engine.clock())
        self._on_alert(
            Alert(
                key=f"guard:{self._detector.name}:{candidate.version}:{now}",
                rule=GUARD,
                detector=self._detector.name,
                severity="critical",
                at=now,
                text=text,
                about={"trial": MODEL if candidate.model else candidate.trial, "version": candidate.version},
            )
        )

    def close(self) -> None:
        """Release what was read."""
        with self._lock:
            for archive in self._archives.values():
                archive.close()
            self._archives.clear()
