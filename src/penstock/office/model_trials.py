"""Trials of models: which version is tried beside the champion, since when and by whom, and how that ended.

    shadow ──> rollout ──> promoted / rolled back
    what scores    decides for a share of the keys

A detector has at most one trial that runs. Whoever ends one says which, so that of two who do, the second changes nothing.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from penstock.clock import Clock, system_clock
from penstock.errors import Conflict, MalformedEvent
from penstock.office.audit import AuditLog, note
from penstock.office.database import Database, Row, Schema, Transaction

State = Literal["shadow", "rollout", "promoted", "rolled_back", "withdrawn"]
RUNNING = ("shadow", "rollout")
"""The states of a trial that runs."""

REGISTRY = "registry"
"""Who began a trial of what became the challenger by its alias alone, as a retraining makes it."""

_COLUMNS = "id, version, champion, state, percent, share_of, guards, who, note, at_us, ended_us, ended_by, reason"

SCHEMA = Schema(
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

_INSERT = (
    f"INSERT INTO model_trials (detector, {_COLUMNS}) VALUES (:detector, {', '.join(f':{c}' for c in _COLUMNS.split(', '))})"  # noqa: S608  constants
)
_UPDATE = """UPDATE model_trials SET state = :state, percent = :percent, share_of = :share_of, guards = :guards,
    ended_us = :ended_us, ended_by = :ended_by, reason = :reason WHERE id = :id"""


class ModelTrial(msgspec.Struct, frozen=True):
    """One trial. champion: the version that decided when it began. percent, share_of: of a rollout. guards: given with it, as
    JSON holds them; None where those of the detector's policy count.
    """

    id: str
    version: str
    champion: str | None
    state: State
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
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.state in RUNNING


class ModelTrials:
    """The trials of one detector's models. Every change is noted in the audit log with it.

    >>> from penstock.office.database import SqliteDatabase
    >>> trials = ModelTrials(SqliteDatabase(), "banking", clock=lambda: 1)
    >>> trials.shadow("v2", champion="v1", who="ann").state
    'shadow'
    >>> trials.rollout("v2", champion="v1", percent=10, share_of="customer_id", who="ann").percent
    10.0
    >>> trials.stop(trials.running().id, who="guard", why="too many blocks"), trials.running()
    (True, None)
    """

    def __init__(self, database: Database, detector: str, clock: Clock = system_clock) -> None:
        AuditLog(database)
        database.prepare(SCHEMA)
        self._database, self._detector, self._clock = database, detector, clock

    # ------------------------------------------------------------ looking

    def revision(self) -> int:
        """Grows with every change: asked often, by everybody who follows."""
        sql = "SELECT revision FROM model_revisions WHERE detector = :detector"
        rows = self._database.read(sql, {"detector": self._detector})
        return int(rows[0][0]) if rows else 0

    def running(self) -> ModelTrial | None:
        """The trial that runs."""
        return next((trial for trial in self.all() if trial.running), None)

    def all(self, limit: int = 100) -> list[ModelTrial]:
        """Trials, the newest first."""
        return self._read(self._database.read, limit)

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
            Conflict: it is the champion.
        """
        return self._begin(version, "shadow", champion, 0.0, None, who, why, guards)

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
    ) -> ModelTrial:
        """Let a version decide for a share of the keys of a field; the champion goes on for the others.

        Raises:
            MalformedEvent: a percentage beyond 100, or none.
            Conflict: it is the champion.
        """
        if not 0 < percent <= 100:
            raise MalformedEvent(f"a rollout to {percent:g} per cent cannot be; more than 0, and at most 100", "percent")
        return self._begin(version, "rollout", champion, float(percent), share_of, who, why, guards)

    def adopt(self, version: str, *, champion: str | None) -> bool:
        """Watch what became the challenger by its alias alone, unless something is tried already, or this was before."""
        with self._database.write() as transaction:
            known = self._read(transaction.run)
            if version == champion or any(trial.running or trial.version == version for trial in known):
                return False
            self._insert(transaction, self._new(version, "shadow", champion, 0.0, None, REGISTRY, "is the challenger", None))
            return True

    def promote(self, version: str, *, who: str, why: str = "", then: Callable[[], None], four_eyes: bool = False) -> None:
        """Let a version be the champion: `then` makes it so; what it raises undoes the change here. Its trial ends with that.

        Raises:
            Conflict: four eyes are asked for, and whoever began the trial would end it so.
        """
        with self._database.write() as transaction:
            trial = self._running(transaction)
            if trial is not None and trial.version == version:
                if four_eyes and trial.who == who:
                    raise Conflict(f"the trial of {version} is by {who}: another person has to promote it (four eyes)")
                self._end(transaction, trial, "promoted", who, why)
            else:
                self._note(transaction, version, "model.promote", who, {"note": why})
                self._turn(transaction)
            then()

    def rolled_back(self, version: str, *, who: str, why: str = "", then: Callable[[], None]) -> None:
        """Return to an earlier champion: `then` makes it so; what it raises undoes the change here."""
        with self._database.write() as transaction:
            self._note(transaction, version, "model.return", who, {"note": why})
            self._turn(transaction)
            then()

    def stop(self, id: str, *, who: str, why: str) -> bool:
        """Roll a trial back if it still runs; whether it did."""
        with self._database.write() as transaction:
            trial = self._running(transaction)
            if trial is None or trial.id != id:
                return False
            self._end(transaction, trial, "rolled_back", who, why)
            return True

    # ------------------------------------------------------------ inside a transaction

    def _begin(
        self,
        version: str,
        state: State,
        champion: str | None,
        percent: float,
        share_of: str | None,
        who: str,
        why: str,
        guards: Sequence[dict[str, Any]] | None,
    ) -> ModelTrial:
        if version == champion:
            raise Conflict(f"version {version} decides already, so there is nothing to try; name another one")
        with self._database.write() as transaction:
            trial = self._running(transaction)
            fresh = self._new(version, state, champion, percent, share_of, who, why, guards)
            if trial is None or trial.version != version:
                if trial is not None:
                    self._end(transaction, trial, "withdrawn", who, f"{version} is tried in its place")
                self._insert(transaction, fresh)
                return fresh
            given = trial.guards if guards is None else list(guards)
            changed = msgspec.structs.replace(trial, state=state, percent=percent, share_of=share_of, guards=given)
            self._update(transaction, changed)
            self._note(transaction, version, f"model.{state}", who, _told(changed) | {"from": trial.state, "note": why})
            return changed

    def _new(
        self,
        version: str,
        state: State,
        champion: str | None,
        percent: float,
        share_of: str | None,
        who: str,
        why: str,
        guards: Sequence[dict[str, Any]] | None,
    ) -> ModelTrial:
        given = None if guards is None else list(guards)
        return ModelTrial(
            f"m{secrets.token_hex(6)}", version, champion, state, percent, share_of, given, who, why, self._clock()
        )

    def _insert(self, transaction: Transaction, trial: ModelTrial) -> None:
        transaction.run(_INSERT, self._values(trial))
        self._note(transaction, trial.version, f"model.{trial.state}", trial.who, _told(trial) | {"note": trial.note})
        self._turn(transaction)

    def _update(self, transaction: Transaction, trial: ModelTrial) -> None:
        values = self._values(trial)
        names = ("state", "percent", "share_of", "guards", "ended_us", "ended_by", "reason", "id")
        transaction.run(_UPDATE, {name: values[name] for name in names})
        self._turn(transaction)

    def _end(self, transaction: Transaction, trial: ModelTrial, state: State, who: str, why: str) -> None:
        ended = msgspec.structs.replace(trial, state=state, ended_us=self._clock(), ended_by=who, reason=why)
        self._update(transaction, ended)
        verbs = {"promoted": "promote", "rolled_back": "rollback", "withdrawn": "withdraw"}
        self._note(transaction, trial.version, f"model.{verbs[state]}", who, _told(trial) | {"from": trial.state, "why": why})

    def _values(self, trial: ModelTrial) -> dict[str, Any]:
        guards = None if trial.guards is None else msgspec.json.encode(trial.guards).decode()
        return msgspec.structs.asdict(trial) | {"detector": self._detector, "guards": guards}

    def _note(self, transaction: Transaction, version: str, action: str, who: str, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/models/{version}"
        note(transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())

    def _turn(self, transaction: Transaction) -> None:
        transaction.run(
            "INSERT INTO model_revisions (detector, revision) VALUES (:detector, 1)"
            " ON CONFLICT (detector) DO UPDATE SET revision = model_revisions.revision + 1",
            {"detector": self._detector},
        )

    def _running(self, transaction: Transaction) -> ModelTrial | None:
        return next((trial for trial in self._read(transaction.run) if trial.running), None)

    def _read(self, read: Callable[..., list[Row]], limit: int = 1000) -> list[ModelTrial]:
        sql = f"SELECT {_COLUMNS} FROM model_trials WHERE detector = :detector ORDER BY at_us DESC, id LIMIT :limit"  # noqa: S608  constants
        return [_trial(row) for row in read(sql, {"detector": self._detector, "limit": limit})]


def _told(trial: ModelTrial) -> dict[str, Any]:
    """What the audit log tells of a trial."""
    return {
        "trial": trial.id,
        "champion": trial.champion,
        "percent": trial.percent,
        "of": trial.share_of,
        "guards": trial.guards,
    }


def _trial(row: Row) -> ModelTrial:
    fields: list[Any] = [*row[:6], None if row[6] is None else msgspec.json.decode(row[6]), *row[7:]]
    return ModelTrial(*fields)
