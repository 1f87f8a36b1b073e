"""Trials of models: versions in shadow or rollout, since when and by whom, and their result.

    shadow ──> rollout ──> promoted / rolled back
    only scores    decides for a share of the keys

A detector may run several trials, at most one of them a rollout. Callers name the trial that they end, so that of two
who end the same one, the second changes nothing.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from penstock.database.sqlite import TableSchema
from penstock.errors import Conflict, MalformedEvent
from penstock.governance.approvals import Request
from penstock.governance.versions import Transition, VersionChanges, VersionKind, VersionStore, checked_percent

TrialState = Literal["shadow", "rollout", "promoted", "rolled_back", "withdrawn"]
RUNNING = ("shadow", "rollout")
"""The states of a running trial."""

MOST = 4
"""Maximum of concurrent trials of a detector's models."""

REGISTRY = "registry"
"""The author of trials of versions that became challenger by alias alone, as after a retraining."""

SCHEMA = TableSchema(
    "model_trials",
    [
        [
            """CREATE TABLE model_trials (id TEXT PRIMARY KEY, detector TEXT NOT NULL, version TEXT NOT NULL, champion TEXT,
            state TEXT NOT NULL, percent DOUBLE PRECISION NOT NULL, share_of TEXT, guards TEXT, who TEXT NOT NULL,
            note TEXT NOT NULL, at_us BIGINT NOT NULL, ended_us BIGINT, ended_by TEXT, reason TEXT)""",
            "CREATE INDEX model_trials_by_detector ON model_trials (detector, at_us)",
            "CREATE TABLE model_revisions (detector TEXT PRIMARY KEY, revision BIGINT NOT NULL)",
        ]
    ],
)


class Beginning(msgspec.Struct, frozen=True):
    """A trial to start: its version, the current champion, kind, author and reason. guards: None for the policy's."""

    version: str
    champion: str | None
    who: str
    why: str = ""
    guards: Sequence[dict[str, Any]] | None = None
    state: TrialState = "shadow"
    percent: float = 0.0
    share_of: str | None = None


class ModelTrial(msgspec.Struct, frozen=True):
    """One trial. champion: the version that decided when it began. percent, share_of: of a rollout. guards: given with it,
    as JSON values; None if those of the detector's policy apply.
    """

    id: str
    version: str
    champion: str | None
    state: TrialState
    percent: float
    share_of: str | None
    guards: list[dict[str, Any]] | None
    who: str
    note: str
    at_us: int
    ended_us: int | None = None
    ended_by: str | None = None
    reason: str | None = None

    @property
    def name(self) -> str:
        """The version that is tried; a model has no other name."""
        return self.version

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state in RUNNING


MODEL = VersionKind(
    name="model",
    struct=ModelTrial,
    table="model_trials",
    key=("id",),
    subject="models/{0.version}",
    resets={},
    audited=(),
    json=("guards",),
    order="at_us DESC, id",
    revisions=("model_revisions",),
    schemas=(SCHEMA,),
    transitions={
        "shadow": Transition(RUNNING, "shadow"),
        "rollout": Transition(RUNNING, "rollout"),
        "promote": Transition(RUNNING, "promoted"),
        "return": Transition(RUNNING, "promoted"),
        "rollback": Transition(RUNNING, "rolled_back"),
    },
)


class ModelTrials(VersionStore[ModelTrial]):
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

    kind = MODEL

    def running(self) -> list[ModelTrial]:
        """The running trials, oldest first."""
        return running(self.versions())

    def all(self, limit: int = 100) -> list[ModelTrial]:
        """Trials, newest first."""
        return self.versions()[:limit]

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
        with self._changes() as changes:
            return _begin(changes, Beginning(version, champion, who, why, guards))

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
        beginning = Beginning(version, champion, who, why, guards, "rollout", checked_percent(percent), share_of)
        with self._changes() as changes:
            details = {"percent": beginning.percent, "of": share_of, "guards": None if guards is None else list(guards)}
            return self._waits(changes, version, "rollout", details, who, why) or _begin(changes, beginning)

    def adopt(self, version: str, *, champion: str | None) -> bool:
        """Start a shadow trial of a version that became challenger by its alias alone, unless it was tried before, or there
        is no room.
        """
        with self._changes() as changes:
            tried = any(trial.version == version for trial in changes.versions)
            if version == champion or tried or len(running(changes.versions)) >= MOST:
                return False
            _insert(changes, Beginning(version, champion, REGISTRY, "is the challenger"))
            return True

    def promote(self, version: str, *, who: str, why: str = "", then: Callable[[], None]) -> Request | None:
        """Promote a version: `then` makes it the champion; its exception rolls the change back. The version's trial ends.

        Returns:
            None, or with four eyes, for the person who began the trial, a request that waits.
        """
        with self._changes() as changes:
            request = self._waits(changes, version, "promote", {}, who, why)
            if request is None:
                _make_champion(changes, "promote", version, who, why)
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
            details["percent"] = checked_percent(details.get("percent") or 0.0)
        with self._changes() as changes:
            return self._ask_for(changes, version, action, details, who, why)

    def approve(self, id: str, *, champion: str | None, who: str, why: str = "", then: Callable[[str], None]) -> Request:
        """Approve a request and apply it: `then` makes a version the champion; its exception rolls the change back.

        Raises:
            NotFound: there is no such request.
            Conflict: it was settled before, the approver is its author, or it is no longer possible.
        """
        with self._changes() as changes:
            request = self.approvals.waiting(changes.transaction, id)
            settled = self.approvals.settle(changes.transaction, request, "approved", who=who, why=why)
            if request.action == "promote":
                _make_champion(changes, "promote", request.name, who, why)
                then(request.name)
                return settled
            details = request.details
            beginning = Beginning(request.name, champion, request.author, request.note, details.get("guards"), "rollout")
            share = {"percent": float(details["percent"]), "share_of": str(details["of"])}
            _begin(changes, msgspec.structs.replace(beginning, **share))
            return settled

    def rolled_back(self, version: str, *, who: str, why: str = "", then: Callable[[], None]) -> None:
        """Return to an earlier champion: `then` makes it so; its exception rolls the change back."""
        with self._changes() as changes:
            _make_champion(changes, "return", version, who, why)
            then()

    def stop(self, id: str, *, who: str, why: str) -> bool:
        """Roll a trial back if it still runs; returns whether it did."""
        with self._changes() as changes:
            trial = next((each for each in running(changes.versions) if each.id == id), None)
            if trial is not None:
                _end(changes, "rollback", trial, who, why)
            return trial is not None

    # ------------------------------------------------------------ inside a transaction

    def _waits(
        self, changes: VersionChanges[ModelTrial], version: str, action: str, details: dict[str, Any], who: str, why: str
    ) -> Request | None:
        """A request, if the actor may not make the change alone."""
        if not self.four_eyes or _author(changes, version, who) != who:
            return None
        return self._ask_for(changes, version, action, details, who, why)

    def _ask_for(
        self, changes: VersionChanges[ModelTrial], version: str, action: str, details: dict[str, Any], who: str, why: str
    ) -> Request:
        return self._ask(changes, version, action, details, author=_author(changes, version, who), who=who, why=why)


def running(trials: Sequence[ModelTrial]) -> list[ModelTrial]:
    """The running ones, oldest first."""
    return sorted((trial for trial in trials if trial.running), key=lambda trial: trial.at_us)


def _of(changes: VersionChanges[ModelTrial], version: str) -> ModelTrial | None:
    """The running trial of a version, if any."""
    return next((trial for trial in running(changes.versions) if trial.version == version), None)


def _author(changes: VersionChanges[ModelTrial], version: str, who: str) -> str:
    """The person who must not approve: who began the trial, or the requester if no person did."""
    trial = _of(changes, version)
    return who if trial is None or trial.who == REGISTRY else trial.who


def _begin(changes: VersionChanges[ModelTrial], asked: Beginning) -> ModelTrial:
    """Start a trial of a version, or change its kind.

    Raises:
        Conflict: it is the champion, or conflicts with other trials.
    """
    if asked.version == asked.champion:
        raise Conflict(f"version {asked.version} decides already, so there is nothing to try; name another one")
    _refuse_concurrent([trial for trial in running(changes.versions) if trial.version != asked.version], asked)
    trial = _of(changes, asked.version)
    if trial is None:
        return _insert(changes, asked)
    guards = trial.guards if asked.guards is None else list(asked.guards)
    fields: dict[str, Any] = {"percent": asked.percent, "share_of": asked.share_of, "guards": guards}
    details = _details(msgspec.structs.replace(trial, **fields)) | {"from": trial.state, "note": asked.why}
    changed = changes.apply(asked.state, trial, who=asked.who, details=details, **fields)
    changes.bump_revision()
    return changed


def _insert(changes: VersionChanges[ModelTrial], asked: Beginning) -> ModelTrial:
    """Insert a new trial."""
    guards = None if asked.guards is None else list(asked.guards)
    share = asked.state, asked.percent, asked.share_of
    number, now = f"m{secrets.token_hex(6)}", changes.clock()
    trial = ModelTrial(number, asked.version, asked.champion, *share, guards, asked.who, asked.why, now)
    changes.insert(trial, trial.who, f"model.{trial.state}", _details(trial) | {"note": trial.note})
    changes.bump_revision()
    return trial


def _make_champion(changes: VersionChanges[ModelTrial], action: str, version: str, who: str, why: str) -> None:
    """Record that a version is the champion; its trial ends."""
    trial = _of(changes, version)
    if trial is not None:
        return _end(changes, action, trial, who, why)
    changes.note(who, f"model.{action}", f"models/{version}", {"note": why})
    changes.bump_revision()
    return None


def _end(changes: VersionChanges[ModelTrial], action: str, trial: ModelTrial, who: str, why: str) -> None:
    details = _details(trial) | {"from": trial.state, "why": why}
    changes.apply(action, trial, who=who, details=details, ended_us=changes.clock(), ended_by=who, reason=why)
    changes.bump_revision()


def _refuse_concurrent(others: Sequence[ModelTrial], asked: Beginning) -> None:
    """Raises Conflict if this trial conflicts with the others."""
    rolled = [trial.version for trial in others if trial.state == "rollout"]
    if asked.state == "rollout" and rolled:
        raise Conflict(
            f"version {rolled[0]} is rolled out, and only one can be at a time; promote it or roll it back first, or let"
            f" {asked.version} watch in shadow"
        )
    if len(others) >= MOST:
        names = ", ".join(trial.version for trial in others)
        raise Conflict(f"{MOST} versions are tried already ({names}); roll one of them back first")


def _details(trial: ModelTrial) -> dict[str, Any]:
    """The audit details of a trial."""
    return {
        "trial": trial.id,
        "champion": trial.champion,
        "percent": trial.percent,
        "of": trial.share_of,
        "guards": trial.guards,
    }
