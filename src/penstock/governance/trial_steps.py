"""Model trials as rows, and single transitions."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from penstock.clock import Clock
from penstock.database.sqlite import Row, Schema, Transaction
from penstock.errors import Conflict
from penstock.governance.audit import note

State = Literal["shadow", "rollout", "promoted", "rolled_back", "withdrawn"]
RUNNING = ("shadow", "rollout")
"""The states of a running trial."""

MOST = 4
"""Maximum of concurrent trials of a detector's models."""

REGISTRY = "registry"
"""The author of trials of versions that became challenger by alias alone, as after a retraining."""

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


class Beginning(msgspec.Struct, frozen=True):
    """A trial to start: its version, the current champion, kind, author and reason. guards: None for the policy's."""

    version: str
    champion: str | None
    who: str
    why: str = ""
    guards: Sequence[dict[str, Any]] | None = None
    state: State = "shadow"
    percent: float = 0.0
    share_of: str | None = None


class ModelTrial(msgspec.Struct, frozen=True):
    """One trial. champion: the version that decided when it began. percent, share_of: of a rollout. guards: given with it,
    as JSON values; None if those of the detector's policy apply.
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


class TrialSteps:
    """Single transitions of trials, in one transaction: each is audited with it."""

    def __init__(self, transaction: Transaction, detector: str, clock: Clock) -> None:
        self.transaction, self._detector, self._clock = transaction, detector, clock

    def all(self) -> list[ModelTrial]:
        """Trials, newest first."""
        return read_trials(self.transaction.run, self._detector)

    def of(self, version: str) -> ModelTrial | None:
        """The running trial of a version, if any."""
        return next((trial for trial in running(self.all()) if trial.version == version), None)

    def begin(self, asked: Beginning) -> ModelTrial:
        """Start a trial of a version, or change its kind.

        Raises:
            Conflict: it is the champion, or conflicts with other trials.
        """
        if asked.version == asked.champion:
            raise Conflict(f"version {asked.version} decides already, so there is nothing to try; name another one")
        _refuse_beside([trial for trial in running(self.all()) if trial.version != asked.version], asked)
        trial = self.of(asked.version)
        if trial is None:
            return self.insert(asked)
        given = trial.guards if asked.guards is None else list(asked.guards)
        changed = msgspec.structs.replace(
            trial, guards=given, state=asked.state, percent=asked.percent, share_of=asked.share_of
        )
        self._update(changed)
        self._note(
            changed.version, f"model.{changed.state}", asked.who, _told(changed) | {"from": trial.state, "note": asked.why}
        )
        return changed

    def insert(self, asked: Beginning) -> ModelTrial:
        """Insert a new trial."""
        given = None if asked.guards is None else list(asked.guards)
        share = asked.state, asked.percent, asked.share_of
        number, now = f"m{secrets.token_hex(6)}", self._clock()
        trial = ModelTrial(number, asked.version, asked.champion, *share, given, asked.who, asked.why, now)
        self.transaction.run(_INSERT, self._values(trial))
        self._note(trial.version, f"model.{trial.state}", trial.who, _told(trial) | {"note": trial.note})
        self.bump_revision()
        return trial

    def crown(self, version: str, who: str, why: str, *, action: str) -> None:
        """Record that a version is the champion; its trial ends."""
        trial = self.of(version)
        if trial is not None:
            self.end(trial, "promoted", who, why, action=action)
        else:
            self._note(version, action, who, {"note": why})
            self.bump_revision()

    def end(self, trial: ModelTrial, state: State, who: str, why: str, *, action: str = "model.rollback") -> None:
        """End a trial."""
        ended = msgspec.structs.replace(trial, state=state, ended_us=self._clock(), ended_by=who, reason=why)
        self._update(ended)
        self._note(trial.version, action, who, _told(trial) | {"from": trial.state, "why": why})

    def bump_revision(self) -> None:
        """Bump the revision so that followers reload."""
        self.transaction.run(
            "INSERT INTO model_revisions (detector, revision) VALUES (:detector, 1)"
            " ON CONFLICT (detector) DO UPDATE SET revision = model_revisions.revision + 1",
            {"detector": self._detector},
        )

    def _update(self, trial: ModelTrial) -> None:
        values = self._values(trial)
        names = ("state", "percent", "share_of", "guards", "ended_us", "ended_by", "reason", "id")
        self.transaction.run(_UPDATE, {name: values[name] for name in names})
        self.bump_revision()

    def _values(self, trial: ModelTrial) -> dict[str, Any]:
        guards = None if trial.guards is None else msgspec.json.encode(trial.guards).decode()
        return msgspec.structs.asdict(trial) | {"detector": self._detector, "guards": guards}

    def _note(self, version: str, action: str, who: str, details: dict[str, Any]) -> None:
        subject = f"{self._detector}/models/{version}"
        note(self.transaction, who=who, action=action, subject=subject, details=details, at_us=self._clock())


def read_trials(read: Callable[..., list[Row]], detector: str, limit: int = 1000) -> list[ModelTrial]:
    """The trials of a detector's models, newest first."""
    sql = f"SELECT {_COLUMNS} FROM model_trials WHERE detector = :detector ORDER BY at_us DESC, id LIMIT :limit"  # noqa: S608  constants
    return [_trial(row) for row in read(sql, {"detector": detector, "limit": limit})]


def running(trials: Sequence[ModelTrial]) -> list[ModelTrial]:
    """The running ones, oldest first."""
    return sorted((trial for trial in trials if trial.running), key=lambda trial: trial.at_us)


def _refuse_beside(others: Sequence[ModelTrial], asked: Beginning) -> None:
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


def _told(trial: ModelTrial) -> dict[str, Any]:
    """The audit details of a trial."""
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
