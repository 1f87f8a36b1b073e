"""The forms of what is sent and answered beside events and decisions, for the OpenAPI document."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from penstock.messages import Decision, Reason
from penstock.service.http.problems import Problem
from penstock.service.insights.insight_schemas import SomeDecisions, Truths


class Label(msgspec.Struct):
    """The truth about a transaction, from the moment somebody knew it."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_at: str | int | float | None = None
    source: str | None = None


class LabelAnswer(msgspec.Struct):
    """A label that was taken in."""

    transaction_id: str
    fraud: bool
    known_at: str
    accepted: bool


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password of a user."""

    name: Annotated[str, Meta(max_length=100)]
    password: Annotated[str, Meta(max_length=1024)]


class SignInWays(msgspec.Struct, frozen=True):
    """How one signs in."""

    needed: Annotated[bool, Meta(description="Nothing more is answered until somebody signs in or shows a key.")]
    password: Annotated[bool, Meta(description="With name and password: `POST /session`.")]
    oidc: Annotated[bool, Meta(description="At an identity provider: let the browser go to `/session/oidc`.")]


class Session(msgspec.Struct, frozen=True):
    """Who asks, and what they may do."""

    name: Annotated[str, Meta(description="Of the user or key; empty where nobody has signed in, `local` where open.")]
    roles: Annotated[list[str], Meta(description="Sorted: administrator, analyst, approver, decider, rule_author, viewer.")]
    rights: Annotated[
        list[str], Meta(description="Sorted, of all roles: administer, approve, author, decide, label, personal, read.")
    ]
    open: Annotated[bool, Meta(description="The service asks nobody who they are.")]
    sign_in: Annotated[SignInWays, Meta(description="How one signs in, and whether that is needed now.")]
    notice: Annotated[str | None, Meta(description="A warning to show, where everybody may do everything.")]


class TransactionList(msgspec.Struct):
    """One page of recorded decisions, newest first."""

    transactions: list[Decision]
    next: str | None


class Refused(msgspec.Struct):
    """An informing event that was not taken in: its place in the request, and why."""

    index: int
    problem: Problem


class EventAnswer(msgspec.Struct):
    """How many informing events were taken in."""

    accepted: int
    refused: list[Refused]


class Percentiles(msgspec.Struct):
    """Latencies in milliseconds, as callers saw them."""

    p50: float | None
    p95: float | None
    p99: float | None


class Stats(msgspec.Struct, kw_only=True):
    """What was decided so far, and what labels say of it by now: those of the last 30 days."""

    total: int
    approve: int
    challenge: int = 0
    review: int
    block: int
    fraud_rate: Annotated[float | None, Meta(description="The same as `intervention_rate`; deprecated.")]
    intervention_rate: Annotated[float | None, Meta(description="The share that was not approved.")]
    known_fraud_rate: Annotated[
        float | None, Meta(description="The share of fraud among known outcomes; null below 30 of these.")
    ]
    amount: Annotated[float | None, Meta(description="What they were worth; null where that is in several currencies.")]
    amount_blocked: Annotated[float | None, Meta(description="What the blocked ones were worth.")]
    currency: Annotated[str | None, Meta(description="Of all amounts; null where the detector declares none, or they differ.")]
    labels: Annotated[Truths, Meta(description="What is known of them.")]
    prevented: Annotated[SomeDecisions, Meta(description="Blocked, and known to be fraud.")]
    blocked_good: Annotated[SomeDecisions, Meta(description="Blocked, and known to be good: false positives.")]
    blocked_unknown: Annotated[SomeDecisions, Meta(description="Blocked, outcome unknown: not counted as prevented.")]
    per_second: float
    latency_ms: Percentiles
    since: str | None


class Overview(Stats):
    """The same, with counts and money over time."""

    series: "OverTime"


class Period(msgspec.Struct):
    """What was decided in the minute or hour that began at this instant."""

    at: str
    approve: int
    challenge: int
    review: int
    block: int
    amount: float
    amount_blocked: float


class OverTime(msgspec.Struct):
    """The last 60 minutes and the last 24 hours, oldest first, that of now the last; nothing before `since` is counted."""

    minutes: list[Period]
    hours: list[Period]
    since: str


class Answered(msgspec.Struct):
    """What the caller was told in place of the decision, because it did not come in time."""

    decision: str
    degraded: str
    answered_at: str


class ErasedBy(msgspec.Struct):
    """When and by whom somebody was erased."""

    at: str
    by: str


class PersonalFields(msgspec.Struct):
    """Personal fields: what they said, or why that is not shown: `[hidden]`, `[erased]`, `[not kept]`."""

    fields: dict[str, str | None]
    erased: ErasedBy | None


class RecordedDecision(Decision, kw_only=True):
    """A recorded decision; where the caller was told something else, that stands beside it."""

    answered: Answered | UnsetType = UNSET
    personal: PersonalFields | UnsetType = UNSET


class AskErasure(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to be erased. key: as it was sent, or as it is kept; reason: for the log of changes."""

    entity: Annotated[str, Meta(min_length=1, max_length=200)]
    key: Annotated[str, Meta(min_length=1, max_length=1000)]
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class Erased(msgspec.Struct):
    """Who was erased. values: of personal fields that were kept; cases: whose notes went."""

    detector: str
    entity: str
    values: int
    cases: int
    erased_at: str
    erased_by: str


class Accepted(msgspec.Struct):
    """A transaction that was taken in and will be decided."""

    transaction_id: str
    status: Literal["accepted"]


class Pending(msgspec.Struct):
    """A transaction that nothing is known of yet."""

    transaction_id: str
    status: Literal["pending"]


class Processed(msgspec.Struct, kw_only=True):
    """What became of a transaction. amount, type, origin, destination: null or absent where the detector has no such field."""

    status: Literal["processed"]
    transaction_id: str
    detector: str
    decision: str
    fraud_probability: float | None
    fraud_score: Annotated[float, Meta(ge=0, le=100)] | None
    reasons: list[Reason]
    amount: float | UnsetType | None = UNSET
    type: str | UnsetType | None = UNSET
    origin: Any | UnsetType = UNSET
    destination: Any | UnsetType = UNSET
    processed_at: str


class BacktestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A condition to be tried over what was decided. then, hard, override: what it asks for. days: the newest days with
    decisions. rule: that of which it would be a version; what it caught counts as new.
    """

    when: Annotated[str, Meta(max_length=4000)]
    then: Literal["allow", "challenge", "review", "block"] = "block"
    hard: bool = False
    override: bool = False
    days: Annotated[int, Meta(ge=1, le=3660)] = 30
    rule: Annotated[str, Meta(max_length=63)] | None = None


class StreamRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be replayed. detector: the first one that has the source unless given. source: `simulator`, or a name among
    the setting `replays`. count: the most transactions. tps: how many a second; as fast as they are decided unless given.
    """

    detector: str | None = None
    source: str = "simulator"
    count: Annotated[int, Meta(ge=1, le=100_000)] = 100
    tps: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class StreamAnswer(msgspec.Struct):
    """A replay that runs in the background, and the ids of the transactions that it carries, in their order."""

    status: Literal["queued"]
    detector: str
    source: str
    transaction_ids: list[str]


class AlertList(msgspec.Struct):
    """The newest alerts, newest first."""

    alerts: list[dict[str, Any]]


class KeyDecisions(msgspec.Struct):
    """Counts by decision, the highest score, and when the first and the last of the events took place."""

    total: int
    approve: int
    challenge: int
    review: int
    block: int
    highest_score: float | None
    first_seen: str | None
    last_seen: str | None


class KnownLabel(msgspec.Struct):
    """What is known about one transaction."""

    transaction_id: str
    fraud: bool
    kind: str
    source: str
    known_at: str


class KeyLabels(msgspec.Struct):
    """How many of the transactions are known to be fraud or good, and the newest of these."""

    fraud: int
    good: int
    newest: list[KnownLabel]


class LookedThrough(msgspec.Struct):
    """Over which decisions of the detector was counted: how many, since when; complete: whether those are all there are."""

    decisions: int
    since: str | None
    complete: bool


class RiskProfile(msgspec.Struct):
    """What is known about one key. features: as of now; null where no event of it is in state."""

    entity: str
    key: str
    detector: str
    as_of: str | None
    features: dict[str, Any] | None
    decisions: KeyDecisions
    labels: KeyLabels
    recent: list[Decision]
    counted: LookedThrough
