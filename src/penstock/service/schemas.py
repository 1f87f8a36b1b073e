"""Request and response schemas of labels, sessions, statistics, decisions, backtests and replays."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from penstock.messages import Decision, Reason
from penstock.service.http.problems import Problem
from penstock.service.insights.insight_schemas import SomeDecisions, Truths


class Label(msgspec.Struct):
    """A label: the true outcome of a transaction, and when it became known."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_at: str | int | float | None = None
    source: str | None = None


class LabelAnswer(msgspec.Struct):
    """An accepted label."""

    transaction_id: str
    fraud: bool
    known_at: str
    accepted: bool


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    """Name and password of a user."""

    name: Annotated[str, Meta(max_length=100)]
    password: Annotated[str, Meta(max_length=1024)]


class SignInWays(msgspec.Struct, frozen=True):
    """The available ways to sign in."""

    needed: Annotated[bool, Meta(description="Nothing more is answered until somebody signs in or shows a key.")]
    password: Annotated[bool, Meta(description="With name and password: `POST /session`.")]
    oidc: Annotated[bool, Meta(description="At an identity provider: let the browser go to `/session/oidc`.")]


class Session(msgspec.Struct, frozen=True):
    """The current user and their rights."""

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
    """A refused informing event: its place in the request, and the error."""

    index: int
    problem: Problem


class EventAnswer(msgspec.Struct):
    """How many informing events were accepted."""

    accepted: int
    refused: list[Refused]


class Percentiles(msgspec.Struct):
    """Latencies in milliseconds, as callers saw them."""

    p50: float | None
    p95: float | None
    p99: float | None


class Stats(msgspec.Struct, kw_only=True):
    """Decisions so far, and known outcomes of those of the last 30 days."""

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
    """Statistics, with counts and money over time."""

    series: "OverTime"


class Period(msgspec.Struct):
    """Decisions in the minute or hour that began at this instant."""

    at: str
    approve: int
    challenge: int
    review: int
    block: int
    amount: float
    amount_blocked: float


class OverTime(msgspec.Struct):
    """The last 60 minutes and the last 24 hours, oldest first, including the current one; nothing before `since` is counted."""

    minutes: list[Period]
    hours: list[Period]
    since: str


class Answered(msgspec.Struct):
    """The fallback decision that the caller got because the decision was late."""

    decision: str
    degraded: str
    answered_at: str


class ErasedBy(msgspec.Struct):
    """The time and actor of an erasure."""

    at: str
    by: str


class PersonalFields(msgspec.Struct):
    """Personal fields: original values, or why they are not shown: `[hidden]`, `[erased]`, `[not kept]`."""

    fields: dict[str, str | None]
    erased: ErasedBy | None


class RecordedDecision(Decision, kw_only=True):
    """A recorded decision, with the fallback decision that the caller got, if any."""

    answered: Answered | UnsetType = UNSET
    personal: PersonalFields | UnsetType = UNSET


class AskErasure(msgspec.Struct, forbid_unknown_fields=True):
    """The person to erase. key: as it was sent, or as it is stored; reason: for the audit log."""

    entity: Annotated[str, Meta(min_length=1, max_length=200)]
    key: Annotated[str, Meta(min_length=1, max_length=1000)]
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class Erased(msgspec.Struct):
    """The erased person. values: number of personal values destroyed; cases: number of cases whose notes were erased."""

    detector: str
    entity: str
    values: int
    cases: int
    erased_at: str
    erased_by: str


class Accepted(msgspec.Struct):
    """A transaction that was accepted and will be decided."""

    transaction_id: str
    status: Literal["accepted"]


class Pending(msgspec.Struct):
    """A transaction that is unknown yet."""

    transaction_id: str
    status: Literal["pending"]


class Processed(msgspec.Struct, kw_only=True):
    """The outcome of a transaction. amount, type, origin, destination: null or absent if the detector has no such field."""

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
    """A condition to try on recorded decisions. then, hard, override: its action. days: the newest days with decisions.
    rule: the rule of which it would be a version; what that caught counts as new.
    """

    when: Annotated[str, Meta(max_length=4000)]
    then: Literal["allow", "challenge", "review", "block"] = "block"
    hard: bool = False
    override: bool = False
    days: Annotated[int, Meta(ge=1, le=3660)] = 30
    rule: Annotated[str, Meta(max_length=63)] | None = None


class StreamRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A replay. detector: the first one that has the source unless given. source: `simulator`, or a name among the setting
    `replays`. count: the maximum of transactions. tps: how many a second; as fast as they are decided unless given.
    """

    detector: str | None = None
    source: str = "simulator"
    count: Annotated[int, Meta(ge=1, le=100_000)] = 100
    tps: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class StreamAnswer(msgspec.Struct):
    """A replay that runs in the background, and the ids of its transactions, in order."""

    status: Literal["queued"]
    detector: str
    source: str
    transaction_ids: list[str]


class AlertList(msgspec.Struct):
    """The newest alerts, newest first."""

    alerts: list[dict[str, Any]]


class KeyDecisions(msgspec.Struct):
    """Counts by decision, the highest score, and the times of the first and last event."""

    total: int
    approve: int
    challenge: int
    review: int
    block: int
    highest_score: float | None
    first_seen: str | None
    last_seen: str | None


class KnownLabel(msgspec.Struct):
    """A known outcome of one transaction."""

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
    """The decisions these counts cover: number, start, and whether they are all there are."""

    decisions: int
    since: str | None
    complete: bool


class RiskProfile(msgspec.Struct):
    """The risk profile of one key. features: current ones; null if no event of it is in state."""

    entity: str
    key: str
    detector: str
    as_of: str | None
    features: dict[str, Any] | None
    decisions: KeyDecisions
    labels: KeyLabels
    recent: list[Decision]
    counted: LookedThrough
