"""Trials of models: versions in shadow or rollout, since when and by whom, and their result.

    shadow ──> rollout ──> promoted / rolled back
    only scores    decides for a share of the keys

A detector may run several trials, at most one of them a rollout. Callers name the trial that they end, so that of two
who end the same one, the second changes nothing.
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
"""The author of trials of versions that became challenger by alias alone, as after a retraining."""


class ModelTrials:
    """The trials of one detector's models. Every change is audited in the same transaction.

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
        database: of the office; missing tables are created.
        detector: the detector's name.
        four_eyes: who began a trial cannot let its version decide: their request waits for another person.
    """

    def __init__(self, database: Database, detector: str, clock: Clock = system_clock, *, four_eyes: bool = False) -> None:
        AuditLog(database)
        database.prepare(SCHEMA)
        self._database, self._detector, self._clock, self.four_eyes = database, detector, clock, four_eyes
        self.approvals = Approvals(database, detector, clock)

    # ------------------------------------------------------------ reading

    def revision(self) -> int:
        """Grows with every change; polled often, by every follower."""
        sql = "SELECT revision FROM model_revisions WHERE detector = :detector"
        rows = self._database.read(sql, {"detector": self._detector})
        return int(rows[0][0]) if rows else 0

    def running(self) -> list[ModelTrial]:
        """The running trials, oldest first."""
        return running(self.all())

    def all(self, limit: int = 100) -> list[ModelTrial]:
        """Trials, newest first."""
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
        """Start a shadow trial: the version scores the same events as the champion, and decides nothing.

        Raises:
            Conflict: it is the champion, or too many trials run.
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
        """Start a rollout: the version decides for a share of the keys of a field; the champion decides the others.

        Returns:
            the trial, or with four eyes, for the person who began it, a request that waits.

        Raises:
            MalformedEvent: an invalid percentage.
            Conflict: it is the champion, too many trials run, or another version is rolled out.
        """
        beginning = Beginning(version, champion, who, why, guards, "rollout", _percent(percent), share_of)
        with self._steps() as steps:
            told = {"percent": beginning.percent, "of": share_of, "guards": None if guards is None else list(guards)}
            waits = self._waits(steps, version, "rollout", told, who, why)
            return waits or steps.begin(beginning)

    def adopt(self, version: str, *, champion: str | None) -> bool:
        """Start a shadow trial of a version that became challenger by its alias alone, unless it was tried before, or there
        is no room.
        """
        with self._steps() as steps:
            known = steps.all()
            tried = any(trial.version == version for trial in known)
            if version == champion or tried or len(running(known)) >= MOST:
                return False
            steps.insert(Beginning(version, champion, REGISTRY, "is the challenger"))
            return True

    def promote(self, version: str, *, who: str, why: str = "", then: Callable[[], None]) -> Request | None:
        """Promote a version: `then` makes it the champion; its exception rolls the change back. The version's trial ends.

        Returns:
            None, or with four eyes, for the person who began the trial, a request that waits.
        """
        with self._steps() as steps:
            request = self._waits(steps, version, "promote", {}, who, why)
            if request is None:
                steps.crown(version, who, why, action="model.promote")
                then()
            return request

    def ask(self, version: str, action: str, *, who: str, why: str = "", **details: Any) -> Request:
        """Request a promotion or rollout, for those who may not make it themselves.

        Raises:
            MalformedEvent: another action, or an invalid percentage.
        """
        if action not in ("promote", "rollout"):
            raise MalformedEvent(f"{action!r} cannot be asked for; promote and rollout can", "action")
        if action == "rollout":
            details["percent"] = _percent(details.get("percent") or 0.0)
        with self._steps() as steps:
            return self._ask(steps, version, action, details, who, why)

    def approve(self, id: str, *, champion: str | None, who: str, why: str = "", then: Callable[[str], None]) -> Request:
        """Approve a request and apply it: `then` makes a version the champion; its exception rolls the change back.

        Raises:
            NotFound: there is no such request.
            Conflict: it was settled before, the approver is its author, or it is no longer possible.
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
        """Return to an earlier champion: `then` makes it so; its exception rolls the change back."""
        with self._steps() as steps:
            steps.crown(version, who, why, action="model.return")
            then()

    def stop(self, id: str, *, who: str, why: str) -> bool:
        """Roll a trial back if it still runs; returns whether it did."""
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
        """A request, if the actor may not make the change alone."""
        if not self.four_eyes or _author(steps.of(version), who) != who:
            return None
        return self._ask(steps, version, action, details, who, why)

    def _ask(self, steps: TrialSteps, version: str, action: str, details: dict[str, Any], who: str, why: str) -> Request:
        author = _author(steps.of(version), who)
        return self.approvals.ask(steps.transaction, "model", version, action, details, author=author, who=who, why=why)


def _author(trial: ModelTrial | None, who: str) -> str:
    """The person who must not approve: who began the trial, or the requester if no person did."""
    return who if trial is None or trial.who == REGISTRY else trial.who


def _percent(percent: float) -> float:
    if not 0 < percent <= 100:
        raise MalformedEvent(f"a rollout to {percent:g} per cent cannot be; more than 0, and at most 100", "percent")
    return float(percent)
