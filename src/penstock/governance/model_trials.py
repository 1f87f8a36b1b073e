"""Trials of models: which versions are tried beside the champion, since when and by whom, and how that ended.

    shadow ──> rollout ──> promoted / rolled back
    what scores    decides for a share of the keys

A detector has several trials that run, at most one of them a rollout. Whoever ends one says which, so that of two who do, the
second changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database
from penstock.errors import MalformedEvent
from penstock.governance.approvals import Approvals, Request
from penstock.governance.audit import AuditLog
from penstock.governance.trial_steps import MOST, SCHEMA, Beginning, ModelTrial, TrialSteps, read_trials, running

REGISTRY = "registry"
"""Who began a trial of what became the challenger by its alias alone, as a retraining makes it."""


class ModelTrials:
    """The trials of one detector's models. Every change is noted in the audit log with it.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> trials = ModelTrials(SqliteDatabase(), "banking", clock=lambda: 1)
    >>> trials.shadow("v2", champion="v1", who="ann").state
    'shadow'
    >>> trials.rollout("v2", champion="v1", percent=10, share_of="customer_id", who="ann").percent
    10.0
    >>> [trial.version for trial in trials.running()]
    ['v2']
    >>> trials.stop(trials.running()[0].id, who="guard", why="too many blocks"), trials.running()
    (True, [])

    Args:
        database: of the office; its tables are made where they are missing.
        detector: the detector's name.
        four_eyes: two people let a version decide: what whoever began its trial asks for waits for another.
    """

    def __init__(self, database: Database, detector: str, clock: Clock = system_clock, *, four_eyes: bool = False) -> None:
        AuditLog(database)
        database.prepare(SCHEMA)
        self._database, self._detector, self._clock, self.four_eyes = database, detector, clock, four_eyes
        self.approvals = Approvals(database, detector, clock)

    # ------------------------------------------------------------ looking

    def revision(self) -> int:
        """Grows with every change: asked often, by everybody who follows."""
        sql = "SELECT revision FROM model_revisions WHERE detector = :detector"
        rows = self._database.read(sql, {"detector": self._detector})
        return int(rows[0][0]) if rows else 0

    def running(self) -> list[ModelTrial]:
        """The trials that run, the one that began first being the first."""
        return running(self.all())

    def all(self, limit: int = 100) -> list[ModelTrial]:
        """Trials, the newest first."""
        return read_trials(self._database.read, self._detector, limit)

    # ------------------------------------------------------------ changing

    def shadow(
        self,
        version: str,
        *,
        champion: str | None,
        who: str,
        why: str = "",
        guards: Sequence[dict[str, Any]] | None = None,
    ) -> ModelTrial:
        """Let a version score beside the champion, and decide nothing.

        Raises:
            Conflict: it is the champion, or as many are tried as can be.
        """
        with self._steps() as steps:
            return steps.begin(Beginning(version, champion, who, why, guards))

    def rollout(
        self,
        version: str,
        *,
        champion: str | None,
        percent: float,
        share_of: str,
        who: str,
        why: str = "",
        guards: Sequence[dict[str, Any]] | None = None,
    ) -> ModelTrial | Request:
        """Let a version decide for a share of the keys of a field; the champion goes on for the others.

        Returns:
            the trial, or where four eyes are asked for and it is of whoever asks a request that waits.

        Raises:
            MalformedEvent: a percentage beyond 100, or none.
            Conflict: it is the champion, as many are tried as can be, or another version is rolled out.
        """
        beginning = Beginning(version, champion, who, why, guards, "rollout", _percent(percent), share_of)
        with self._steps() as steps:
            told = {"percent": beginning.percent, "of": share_of, "guards": None if guards is None else list(guards)}
            waits = self._waits(steps, version, "rollout", told, who, why)
            return waits or steps.begin(beginning)

    def adopt(self, version: str, *, champion: str | None) -> bool:
        """Watch what became the challenger by its alias alone, unless it was tried before, or there is no room."""
        with self._steps() as steps:
            known = steps.all()
            tried = any(trial.version == version for trial in known)
            if version == champion or tried or len(running(known)) >= MOST:
                return False
            steps.insert(Beginning(version, champion, REGISTRY, "is the challenger"))
            return True

    def promote(self, version: str, *, who: str, why: str = "", then: Callable[[], None]) -> Request | None:
        """Let a version be the champion: `then` makes it so; what it raises undoes the change here. Its trial ends with that.

        Returns:
            None, or where four eyes are asked for and the trial is of whoever asks a request that waits.
        """
        with self._steps() as steps:
            request = self._waits(steps, version, "promote", {}, who, why)
            if request is None:
                steps.crown(version, who, why, action="model.promote")
                then()
            return request

    def ask(self, version: str, action: str, *, who: str, why: str = "", **details: Any) -> Request:
        """Ask others to promote a version, or to roll it out: for those who may not do it themselves.

        Raises:
            MalformedEvent: the action is neither, or the percentage is none.
        """
        if action not in ("promote", "rollout"):
            raise MalformedEvent(f"{action!r} cannot be asked for; promote and rollout can", "action")
        if action == "rollout":
            details["percent"] = _percent(details.get("percent") or 0.0)
        with self._steps() as steps:
            return self._ask(steps, version, action, details, who, why)

    def approve(self, id: str, *, champion: str | None, who: str, why: str = "", then: Callable[[str], None]) -> Request:
        """Do what was asked for: `then` makes a version the champion; what it raises undoes the change here.

        Raises:
            NotFound: there is no such request.
            Conflict: it was settled before, is who approves's own, or cannot be done by now.
        """
        with self._steps() as steps:
            request = self.approvals.waiting(steps.transaction, id)
            settled = self.approvals.settle(steps.transaction, request, "approved", who=who, why=why)
            if request.action == "promote":
                steps.crown(request.name, who, why, action="model.promote")
                then(request.name)
                return settled
            told = request.details
            beginning = Beginning(request.name, champion, request.author, request.note, told.get("guards"), "rollout")
            share = {"percent": float(told["percent"]), "share_of": str(told["of"])}
            steps.begin(msgspec.structs.replace(beginning, **share))
            return settled

    def rolled_back(self, version: str, *, who: str, why: str = "", then: Callable[[], None]) -> None:
        """Return to an earlier champion: `then` makes it so; what it raises undoes the change here."""
        with self._steps() as steps:
            steps.crown(version, who, why, action="model.return")
            then()

    def stop(self, id: str, *, who: str, why: str) -> bool:
        """Roll a trial back if it still runs; whether it did."""
        with self._steps() as steps:
            trial = next((each for each in running(steps.all()) if each.id == id), None)
            if trial is not None:
                steps.end(trial, "rolled_back", who, why)
            return trial is not None

    # ------------------------------------------------------------ inside a transaction

    @contextmanager
    def _steps(self) -> Iterator[TrialSteps]:
        with self._database.write() as transaction:
            yield TrialSteps(transaction, self._detector, self._clock)

    def _waits(
        self, steps: TrialSteps, version: str, action: str, details: dict[str, Any], who: str, why: str
    ) -> Request | None:
        """A request, where the one who acts may not do it alone."""
        if not self.four_eyes or _author(steps.of(version), who) != who:
            return None
        return self._ask(steps, version, action, details, who, why)

    def _ask(self, steps: TrialSteps, version: str, action: str, details: dict[str, Any], who: str, why: str) -> Request:
        author = _author(steps.of(version), who)
        return self.approvals.ask(steps.transaction, "model", version, action, details, author=author, who=who, why=why)


def _author(trial: ModelTrial | None, who: str) -> str:
    """Who must not be the one to approve: who began the trial, or asks where no person did."""
    return who if trial is None or trial.who == REGISTRY else trial.who


def _percent(percent: float) -> float:
    if not 0 < percent <= 100:
        raise MalformedEvent(f"a rollout to {percent:g} per cent cannot be; more than 0, and at most 100", "percent")
    return float(percent)
