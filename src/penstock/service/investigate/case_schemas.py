"""Request and response schemas of the cases API."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.cases.analysts import Analyst
from penstock.cases.case import Case, Happening
from penstock.cases.queues import CurrencySum, Filter, Queue, Skipped
from penstock.clock import iso
from penstock.messages import Decision
from penstock.service.schemas import KeyDecisions, KeyLabels, LookedThrough, PersonalFields, RecordedDecision

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Verdict = Literal["fraud", "good", "unsure"]


class KnownForm(msgspec.Struct):
    """External outcomes of the transaction: a chargeback, a dispute."""

    fraud: bool
    source: str
    known_at: str


class CaseForm(msgspec.Struct):
    """A case. origin: `review`, or `sample` for a random one, with its propensity. state: open, taken (by `owner`, until
    `locked_until`), escalated or decided. expected_loss: probability times amount. version: grows with every change; a
    verdict may name the version it is based on.
    """

    id: str
    detector: str
    transaction_id: str
    origin: str
    propensity: float
    queue: str
    state: str
    decision: str
    fraud_probability: float | None
    amount: float | None
    expected_loss: float
    reason: str | None
    event_time: str
    opened_at: str
    owner: str | None
    locked_until: str | None
    escalations: int
    verdict: str | None
    reason_code: str | None
    decided_by: str | None
    decided_at: str | None
    known: KnownForm | None
    version: int
    currency: Annotated[str | None, Meta(description="Of amount and expected_loss; null where the detector declares none.")]


class CaseList(msgspec.Struct):
    """One page of cases."""

    cases: list[CaseForm]
    next: str | None


class LinkForm(msgspec.Struct):
    """Decisions about one key of the transaction: counts, labels, the newest."""

    entity: str
    key: str
    decisions: KeyDecisions
    labels: KeyLabels
    recent: list[Decision]
    counted: LookedThrough


class LineForm(msgspec.Struct):
    """One line of a case's history."""

    at: str
    who: str
    action: str
    details: dict[str, Any]


class CaseDetail(msgspec.Struct):
    """A case with the recorded decision, data about the same customer, card, device or address, and its history."""

    case: CaseForm
    decision: RecordedDecision | None
    personal: PersonalFields | None
    links: list[LinkForm]
    history: list[LineForm]


class QueueForm(msgspec.Struct):
    """One queue: number of waiting and of held cases, by holder, and the age of the oldest of both."""

    queue: str
    waiting: int
    taken: int
    expected_loss: Annotated[float | None, Meta(description="Of all of them; null where it is in several currencies.")]
    oldest_at: str
    oldest_age_s: float
    held_by: dict[str, int]
    at_stake: Annotated[list[CurrencySum], Meta(description="The expected loss by currency.")]


class QueueList(msgspec.Struct):
    """The queues, sorted by name. reasons: the reason codes of each verdict."""

    queues: list[QueueForm]
    reasons: dict[Verdict, list[str]]


class AnalystList(msgspec.Struct):
    """Figures of analysts who gave verdicts within the given days."""

    days: float
    analysts: list[Analyst]


class TakeNext(msgspec.Struct, forbid_unknown_fields=True):
    """The queue to take from; any unless given."""

    queue: Name | None = None


class GiveNote(msgspec.Struct, forbid_unknown_fields=True):
    """A note."""

    text: str


class GiveVerdict(msgspec.Struct, forbid_unknown_fields=True):
    """A verdict. version: of the case that it is based on; required to correct a verdict."""

    verdict: Verdict
    reason: str | None = None
    note: str | None = None
    version: int | None = None


class Escalate(msgspec.Struct, forbid_unknown_fields=True):
    """The target queue."""

    queue: Name
    note: str | None = None


class GiveVerdicts(msgspec.Struct, forbid_unknown_fields=True):
    """One verdict for many cases: those of `ids`, or those that match `filter`. It is applied only with `dry_run` false;
    `expect` requires an exact number of matching cases.
    """

    verdict: Verdict
    ids: list[str] | None = None
    filter: Filter | None = None
    reason: str | None = None
    note: str | None = None
    dry_run: bool = True
    expect: int | None = None


class VerdictsAnswer(msgspec.Struct):
    """The cases that were, or would be, decided, and those skipped, with reasons. more: further cases match than one
    request may decide.
    """

    dry_run: bool
    count: int
    amount: Annotated[float | None, Meta(description="Of all of them; null where it is in several currencies.")]
    cases: list[str]
    skipped: list[Skipped]
    more: bool
    amounts: Annotated[list[CurrencySum], Meta(description="The same by currency; never added up across currencies.")]


def case_form(case: Case) -> CaseForm:
    """The response form of a case."""
    known = None
    if case.known_fraud is not None:
        known = KnownForm(case.known_fraud, case.known_source or "unknown", iso(case.known_us or 0))
    return CaseForm(
        id=case.id,
        detector=case.detector,
        transaction_id=case.transaction_id,
        origin=case.origin,
        propensity=case.propensity,
        queue=case.queue,
        state=case.state,
        decision=case.decision,
        fraud_probability=case.score,
        amount=case.amount,
        expected_loss=case.expected_loss,
        reason=case.reason,
        event_time=iso(case.event_us),
        opened_at=iso(case.opened_us),
        owner=case.owner,
        locked_until=_instant(case.locked_until_us),
        escalations=case.escalations,
        verdict=case.verdict,
        reason_code=case.reason_code,
        decided_by=case.decided_by,
        decided_at=_instant(case.decided_us),
        known=known,
        version=case.version,
        currency=case.currency,
    )


def line_form(line: Happening) -> LineForm:
    """The response form of a history line."""
    return LineForm(iso(line.at_us), line.who, line.action, line.details)


def queue_form(queue: Queue, now_us: int) -> QueueForm:
    """The response form of a queue."""
    age_s = max(0, now_us - queue.oldest_us) / 1e6
    oldest = iso(queue.oldest_us)
    waiting = queue.queue, queue.waiting, queue.taken
    return QueueForm(*waiting, queue.expected_loss, oldest, age_s, queue.held_by, queue.at_stake)


def _instant(us: int | None) -> str | None:
    return None if us is None else iso(us)
