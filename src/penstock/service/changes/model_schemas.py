"""Models and their trials as they are sent and answered."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.decision import Guard
from penstock.governance.trial_steps import ModelTrial
from penstock.service.changes.rule_requests import Note
from penstock.service.changes.rule_schemas import RequestForm


class StartShadow(msgspec.Struct, forbid_unknown_fields=True):
    """Why, and guards in place of those of the detector's policy."""

    note: Note = ""
    guards: list[Guard] | None = None


class StartRollout(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A share of the keys of a text field or feature; why, and guards in place of those of the detector's policy."""

    percent: Annotated[float, Meta(gt=0, le=100)]
    of: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Note = ""
    guards: list[Guard] | None = None


class AskForModel(msgspec.Struct, forbid_unknown_fields=True):
    """What others are asked to do: promote a version, or roll it out to a share of the keys of a field."""

    action: Literal["promote", "rollout"] = "promote"
    percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    of: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class GoBack(msgspec.Struct, forbid_unknown_fields=True):
    """Why, and the version whose trial is to end; the last step is undone unless given."""

    version: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """Why."""

    note: Note = ""


class TrialForm(msgspec.Struct):
    """A trial of a model. state: shadow, rollout, promoted, rolled_back or withdrawn. champion: which decided when it began.
    guards: null where those of the detector's policy count. reason: why it ended.
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
    """One version, with its aliases and its figures on its test."""

    version: str
    created_at: str
    aliases: list[str]
    figures: dict[str, float | None]


class ModelList(msgspec.Struct):
    """The versions of a detector's models. champion: decides. running: the trials that run, the one that began first being the
    first; trials: all there were, the newest first. pending: requests that wait. most: so many may run at a time.
    """

    champion: str | None
    four_eyes: bool
    versions: list[ModelVersion]
    running: list[TrialForm]
    trials: list[TrialForm]
    pending: list[RequestForm]
    most: int


class Moved(msgspec.Struct):
    """What a promotion or a way back did. champion: decides from now on; version: that was promoted or rolled back."""

    action: str
    version: str
    champion: str | None


class LiveTrial(msgspec.Struct):
    """A trial: `model` with its version, or a candidate rule. since: when it began to be counted. matrix: how many the champion
    decided as the first, the candidate as the second.
    scores: how many lie in each twentieth; null for rules.
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
    """What is tried now."""

    trials: list[LiveTrial]


def trial_form(trial: ModelTrial) -> TrialForm:
    """A trial as it is answered."""
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
