"""Request and response schemas of models and their trials."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.decision import Guard
from penstock.governance.trial_steps import ModelTrial
from penstock.service.changes.rule_requests import Note
from penstock.service.changes.rule_schemas import RequestForm


class StartShadow(msgspec.Struct, forbid_unknown_fields=True):
    """The reason, and guards that replace those of the policy."""

    note: Note = ""
    guards: list[Guard] | None = None


class StartRollout(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rollout to a share of the keys of a text field or feature, with the reason, and guards that replace those of the
    policy.
    """

    percent: Annotated[float, Meta(gt=0, le=100)]
    of: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Note = ""
    guards: list[Guard] | None = None


class AskForModel(msgspec.Struct, forbid_unknown_fields=True):
    """The requested change: promote a version, or roll it out to a share of the keys of a field."""

    action: Literal["promote", "rollout"] = "promote"
    percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    of: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class GoBack(msgspec.Struct, forbid_unknown_fields=True):
    """The reason, and the version whose trial ends; the last step is undone unless given."""

    version: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """The reason."""

    note: Note = ""


class TrialForm(msgspec.Struct):
    """A trial of a model. state: shadow, rollout, promoted, rolled_back or withdrawn. champion: the version that decided at
    its start. guards: null where those of the policy apply. reason: why it ended.
    """

    id: str
    version: str
    champion: str | None
    state: str
    percent: float
    of: str | None
    guards: list[dict[str, Any]] | None
    who: str
    note: str
    since: str
    ended_at: str | None
    ended_by: str | None
    reason: str | None


class ModelVersion(msgspec.Struct):
    """One version, with its aliases and its test figures."""

    version: str
    created_at: str
    aliases: list[str]
    figures: dict[str, float | None]


class ModelList(msgspec.Struct):
    """The versions of a detector's models. champion: the version that decides. running: current trials, oldest first;
    trials: all trials, newest first. pending: requests that wait. most: the maximum of concurrent trials.
    """

    champion: str | None
    four_eyes: bool
    versions: list[ModelVersion]
    running: list[TrialForm]
    trials: list[TrialForm]
    pending: list[RequestForm]
    most: int


class Moved(msgspec.Struct):
    """The result of a promotion or rollback. champion: the version that decides now; version: the one promoted or rolled
    back.
    """

    action: str
    version: str
    champion: str | None


class LiveTrial(msgspec.Struct):
    """A running trial: `model` with its version, or a candidate rule. since: when counting began. matrix: number of
    decisions by outcome of the champion and of the candidate. scores: counts in twentieths; null for rules.
    """

    trial: str
    version: str | None
    since: str
    events: int
    errors: int
    agreement: float | None
    champion: dict[str, int]
    candidate: dict[str, int]
    matrix: dict[str, dict[str, int]]
    scores: dict[str, list[int]] | None
    latency_ms: dict[str, dict[str, float | None]] | None


class TrialList(msgspec.Struct):
    """The running trials."""

    trials: list[LiveTrial]


def trial_form(trial: ModelTrial) -> TrialForm:
    """The response form of a trial."""
    return TrialForm(
        id=trial.id,
        version=trial.version,
        champion=trial.champion,
        state=trial.state,
        percent=trial.percent,
        of=trial.share_of,
        guards=trial.guards,
        who=trial.who,
        note=trial.note,
        since=iso(trial.at_us),
        ended_at=None if trial.ended_us is None else iso(trial.ended_us),
        ended_by=trial.ended_by,
        reason=trial.reason,
    )
