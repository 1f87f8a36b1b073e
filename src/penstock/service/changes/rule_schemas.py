"""Request and response schemas of the rules API, and the conversion of versions into them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.decision import Guard
from penstock.governance.approvals import Request, Stage
from penstock.governance.features import StoredFeature
from penstock.governance.rules import RuleBody, RuleState, StoredRule, difference
from penstock.governance.versions import CANDIDATE, in_state
from penstock.offline.backtest.fires import Fires
from penstock.rules.checks import RuleFinding
from penstock.rules.comparisons import Comparisons
from penstock.service.http.computed import Computed
from penstock.service.http.requests import filled
from penstock.service.records.snoozes import SnoozeForm

Note = Annotated[str, Meta(max_length=2000)]
Name = Annotated[str, Meta(min_length=1, max_length=63)]
Condition = Annotated[str, Meta(max_length=4000)]
Number = Annotated[int, Meta(ge=1)]
Then = Literal["allow", "challenge", "review", "block"]


class NewRule(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a rule, as a draft."""

    name: Name
    when: Condition
    then: Then = "review"
    reason: Annotated[str, Meta(max_length=1000)] | None = None
    code: Annotated[str, Meta(max_length=63)] = ""
    hard: bool = False
    override: bool = False
    note: Note = ""

    @property
    def body(self) -> RuleBody:
        """The rule's definition."""
        asked = {name: getattr(self, name) for name in RuleBody.__struct_fields__}
        return RuleBody(**asked)


class TryCondition(msgspec.Struct, forbid_unknown_fields=True):
    """A condition to check. name: the rule of which it would be a version. event: a transaction, or transaction_id: a
    recorded one, to evaluate the condition on.
    """

    when: Condition
    then: Then = "review"
    reason: Annotated[str, Meta(max_length=1000)] | None = None
    hard: bool = False
    override: bool = False
    name: Name | None = None
    event: dict[str, Any] | None = None
    transaction_id: str | None = None


class ShadowRule(msgspec.Struct, forbid_unknown_fields=True):
    """The version to run in shadow."""

    version: Number
    note: Note = ""


class RolloutRule(msgspec.Struct, forbid_unknown_fields=True):
    """The version to roll out to a share of the keys of a field. guards: replace those of the policy."""

    version: Number
    percent: Annotated[float, Meta(gt=0, le=100)]
    of: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Note = ""
    guards: list[Guard] | None = None


class PromoteRule(msgspec.Struct, forbid_unknown_fields=True):
    """The version to promote; the candidate unless given."""

    version: Number | None = None
    note: Note = ""


class AskForRule(msgspec.Struct, forbid_unknown_fields=True):
    """The requested change: promote a version, or roll it out to a share of the keys of a field."""

    version: Number
    action: Literal["promote", "rollout"] = "promote"
    percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    of: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class GiveReason(msgspec.Struct, forbid_unknown_fields=True):
    """The reason."""

    note: Note = ""


class NewSnooze(msgspec.Struct, forbid_unknown_fields=True):
    """A key of an entity on which a rule is not to act for a time."""

    entity: Annotated[str, Meta(min_length=1, max_length=200, description="What the key identifies, such as `customer`.")]
    key: Annotated[str, Meta(min_length=1, max_length=500, description="A personal one as its token, or in clear.")]
    lasts: Annotated[str, Meta(max_length=20, description="How long, such as `12h` or `7d`; at most 90 days.")] = "7d"
    reason: Note = ""


class EndSnooze(msgspec.Struct, forbid_unknown_fields=True):
    """A key of an entity on which a rule is to act again."""

    entity: Annotated[str, Meta(min_length=1, max_length=200)]
    key: Annotated[str, Meta(min_length=1, max_length=500)]
    note: Note = ""


# ---------------------------------------------------------------- answers


class SnoozeList(msgspec.Struct):
    """The snoozes of a rule in force, those that end first at the top."""

    snoozes: Annotated[list[SnoozeForm], Meta(description="By whom, why, and until when.")]


class VersionInfo(msgspec.Struct, kw_only=True):
    """A version: its number, author, time and reason; its state, since when, and who changed it."""

    version: int
    since: str
    changed_by: str
    author: str
    written_at: str
    note: str


def version_info(version: StoredRule | StoredFeature) -> dict[str, Any]:
    """The fields of `VersionInfo`."""
    return {
        "version": version.version,
        "since": iso(version.changed_us),
        "changed_by": version.changed_by,
        "author": version.author,
        "written_at": iso(version.at_us),
        "note": version.note,
    }


class RolloutForm(msgspec.Struct):
    """The rollout of a version to a share of the keys of a field."""

    percent: float
    of: str | None


class RuleVersion(VersionInfo):
    """One version of a rule, with its state, since when, and who changed it. changed: differences from the version before,
    by field as [before, after]; null in the first.
    """

    rule: str
    state: RuleState
    when: str
    then: str
    reason: str | None
    code: str
    hard: bool
    override: bool
    rollout: RolloutForm | None
    changed: dict[str, tuple[Any, Any]] | None


class FindingForm(msgspec.Struct):
    """A lint finding about a rule. kind: unreadable, never_true, always_true, same_as, never_reached, not_told. other: the
    rule that it conflicts with.
    """

    rule: str
    kind: str
    sentence: str
    place: str
    other: str | None


class FiresForm(msgspec.Struct):
    """How often a rule acted within the counted days, and when last; watched: the same for the condition of the candidate,
    whether it acted or not.
    """

    count: int
    last_at: str | None
    watched: int
    watched_last_at: str | None


class RuleForm(msgspec.Struct):
    """A rule. state: of its active version, else of its candidate, else of its newest. active, candidate: the acting
    version, and the one in trial. newest: the last one written. pending: ids of requests that wait. fires: as counted last,
    in the background; null until then.
    """

    name: str
    state: RuleState
    since: str
    changed_by: str
    author: str
    versions: int
    active: RuleVersion | None
    candidate: RuleVersion | None
    newest: RuleVersion
    warnings: list[FindingForm]
    fires: FiresForm | None
    pending: list[str]


class RuleList(msgspec.Struct):
    """The rules of a detector. in_force, lists: what decisions name now as `versions.rules` and `versions.lists`, where the
    engine is here. fires_days: the number of days counted in `fires`; fires_at: as of when, null until they are counted.
    """

    detector: str
    revision: int
    four_eyes: bool
    in_force: str | None
    lists: str | None
    fires_days: float
    fires_at: str | None
    rules: list[RuleForm]


class RuleHistory(msgspec.Struct):
    """A rule with all versions, newest first, and its requests."""

    rule: RuleForm
    versions: list[RuleVersion]
    requests: list["RequestForm"]


class RuleDiff(msgspec.Struct):
    """The differences between two versions, by field, before and after."""

    rule: str
    before: int
    after: int
    changed: dict[str, tuple[Any, Any]]


class RequestForm(msgspec.Struct):
    """A request for approval. kind: `rule` or `list`; name: of it. author: the person who cannot approve it."""

    id: str
    kind: str
    name: str
    action: str
    details: dict[str, Any]
    author: str
    asked_by: str
    asked_at: str
    note: str
    stage: Stage
    settled_by: str | None
    settled_at: str | None
    settled_note: str | None


class RequestList(msgspec.Struct):
    """Requests, the newest first."""

    requests: list[RequestForm]


class LoweringForm(msgspec.Struct):
    """How many recorded outcomes a rule would have lowered, within the newest days with decisions, and how many a day."""

    count: int
    per_day: float
    days: int


class RuleChanged(msgspec.Struct):
    """The result of a change. request: the request that waits for another person; nothing has changed yet (202). lowers:
    for a version that is promoted, rolled out or asked for; null for a rule that cannot lower outcomes, or if unknown.
    """

    rule: RuleForm
    version: RuleVersion | None
    request: RequestForm | None
    warnings: list[FindingForm]
    lowers: LoweringForm | None


class RulesImported(msgspec.Struct):
    """The drafts that were added; rules equal to existing ones were skipped."""

    added: list[RuleVersion]


class RuleTested(msgspec.Struct):
    """A valid condition: its canonical text, what it reads, and lint findings. event: its result on the given event.
    comparisons: the same condition as rows; null where it says more than rows can.
    """

    condition: str
    reads: list[str]
    lists: list[str]
    warnings: list[FindingForm]
    event: "EventTested | None"
    comparisons: Comparisons | None


class EventTested(msgspec.Struct):
    """The result on one event. fired: null if unknown, because a value that it reads is missing. decision: the recorded
    one, or that without the rule.
    """

    transaction_id: str
    fired: bool | None
    values: dict[str, Any]
    sentence: str | None
    decision: str


def version_form(version: StoredRule, before: StoredRule | None = None) -> RuleVersion:
    """The response form of a version; before: the version before it."""
    body = version.body
    return RuleVersion(
        **version_info(version),
        rule=version.name,
        state=version.state,
        when=body.when,
        then=body.then,
        reason=body.reason,
        code=body.code or version.name,
        hard=body.hard,
        override=body.override,
        rollout=RolloutForm(version.percent, version.share_of) if version.state == "rollout" else None,
        changed=None if before is None else difference(before.body, body),
    )


def version_forms(known: Sequence[StoredRule]) -> dict[int, RuleVersion]:
    """All versions of a rule by number, each compared with the one before it."""
    before = [None, *known]
    return {version.version: version_form(version, old) for old, version in zip(before, known, strict=False)}


def rule_form(
    known: Sequence[StoredRule],
    findings: Sequence[RuleFinding] = (),
    fired: Computed[Mapping[str, Fires]] | None = None,
    pending: Sequence[Request] = (),
) -> RuleForm:
    """The response form of a rule, from all its versions."""
    forms = version_forms(known)
    active, newest = in_state(known, "active"), known[-1]
    tried = next((version for version in known if version.state in CANDIDATE), None)
    shown = active or tried or newest
    return RuleForm(
        name=newest.name,
        state=shown.state,
        since=iso(shown.changed_us),
        changed_by=shown.changed_by,
        author=shown.author,
        versions=len(known),
        active=None if active is None else forms[active.version],
        candidate=None if tried is None else forms[tried.version],
        newest=forms[newest.version],
        warnings=[filled(FindingForm, each) for each in findings],
        fires=None if fired is None else _fires(newest.name, tried, fired.value),
        pending=[request.id for request in pending if request.kind == "rule" and request.name == newest.name],
    )


def _fires(name: str, tried: StoredRule | None, fired: Mapping[str, Fires]) -> FiresForm:
    nothing = Fires(0, None)
    candidate = f"{name}_v{tried.version}" if tried is not None else None
    acted = [fired.get(f"rule_{each}", nothing) for each in (name, candidate) if each]
    watched = [fired.get(f"watch_{each}", nothing) for each in (name, candidate) if each]
    last, watched_last = (max((each.last for each in some if each.last), default=None) for some in (acted, watched))
    return FiresForm(
        sum(each.count for each in acted),
        None if last is None else last.isoformat(),
        sum(each.count for each in watched),
        None if watched_last is None else watched_last.isoformat(),
    )
