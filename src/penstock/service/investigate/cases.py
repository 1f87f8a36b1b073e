"""`/cases`: review queues, case locking and verdicts."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from msgspec import Meta

from penstock.cases.analysts import Analyst, analysts
from penstock.cases.attachments import attachments
from penstock.cases.case import REASONS, Case, CaseMember, EntityKey
from penstock.cases.members import members
from penstock.cases.policy import PRIORITIES
from penstock.cases.queues import CurrencySum, Filter, Queue, Skipped, queues, sweep
from penstock.cases.queues import page as page_of
from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.errors import NotFound, PenstockError
from penstock.identity.roles import Actor, Right
from penstock.messages import Decision, NamedField
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import printable
from penstock.service.http.requests import actor_of, filled, json_answer, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.service.investigate.verdicts import VerdictSubmission
from penstock.service.records.decisions import RecordedDecision
from penstock.service.records.personal import PersonalFields, Unmasking, as_kept
from penstock.service.records.profiles import KeyDecisions, KeyLabels, LookedThrough
from penstock.service.records.verification import found_at
from penstock.stream.cases import case_by_hand

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Verdict = Literal["fraud", "good", "unsure"]
Priority = Literal["low", "normal", "high", "urgent"]
Order = Literal["priority", "expected_loss", "due", "newest", "oldest"]


class KnownForm(msgspec.Struct):
    """External outcomes of the transaction: a chargeback, a dispute."""

    fraud: bool
    source: str
    known_at: str


class OpinionForm(msgspec.Struct):
    """A second opinion that `by` asks of a colleague, or of a role as `role:NAME`, and what they said first themselves."""

    of: str
    by: str
    verdict: str | None
    reason: str | None


class CaseForm(msgspec.Struct):
    """A case: one transaction, or several of one subject. origin: `review`, `sample` for a random one, with its propensity,
    or `manual` where a person opened it. state: open, taken (by `owner`, until `locked_until`), escalated or decided.
    transaction_id, event_time, named: of its first transaction. expected_loss: probability times amount, of all
    transactions, as `amount` is. decision, fraud_probability, reason: of the transaction with the highest score. version:
    grows with every change; a verdict may name the version it is based on.
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
    named: Annotated[list[NamedField], Meta(description="Who pays, who is paid, and further fields of the headline.")]
    transactions: Annotated[int, Meta(description="How many transactions the case has.")]
    subject: Annotated[
        EntityKey | None, Meta(description="The key whose case it is; null for a case of one transaction alone.")
    ]
    assignee: Annotated[str | None, Meta(description="Who is to decide it.")]
    due_at: Annotated[str | None, Meta(description="Until when it is to be decided; null where its queue has no due time.")]
    priority: Priority
    tags: list[str]
    opinion: OpinionForm | None
    undo_by: Annotated[str | None, Meta(description="Who gave the last verdict and may undo it, until `undo_until`.")]
    undo_until: str | None


class MemberForm(msgspec.Struct):
    """One transaction of a case. own: its verdict was given to it alone, not to the case."""

    transaction_id: str
    origin: str
    decision: str
    fraud_probability: float | None
    amount: float | None
    currency: str | None
    expected_loss: float
    reason: str | None
    event_time: str
    added_at: str
    verdict: str | None
    reason_code: str | None
    decided_by: str | None
    decided_at: str | None
    own: bool
    known: KnownForm | None
    named: list[NamedField]


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


class AttachmentForm(msgspec.Struct):
    """A file of a case."""

    id: str
    name: Annotated[str, Meta(description="The name that it was sent with.")]
    size: Annotated[int, Meta(description="Its bytes.")]
    sha256: Annotated[str, Meta(description="The SHA-256 hash of its content, in hexadecimal digits.")]
    added_by: str
    added_at: str


class CaseDetail(msgspec.Struct):
    """A case with its transactions, the recorded decision about the first one, data about the same customer, card, device
    or address, its history and its files.
    """

    case: CaseForm
    decision: RecordedDecision | None
    personal: PersonalFields | None
    links: list[LinkForm]
    history: list[LineForm]
    transactions: list[MemberForm]
    attachments: Annotated[list[AttachmentForm], Meta(description="The files of the case, oldest first.")]


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
    overdue: Annotated[int, Meta(description="Cases that nobody decided until they were due.")]
    due_minutes: Annotated[int | None, Meta(description="Within how many minutes new cases are due; null for never.")]


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


class OpenCase(msgspec.Struct, forbid_unknown_fields=True):
    """The transaction of which a case is opened, and a first note. detector: needed where several have the transaction."""

    transaction_id: str
    detector: str | None = None
    note: str | None = None


class GiveNote(msgspec.Struct, forbid_unknown_fields=True):
    """A note."""

    text: str


class GiveVerdict(msgspec.Struct, forbid_unknown_fields=True):
    """A verdict. version: of the case that it is based on; required to correct a verdict. transactions: those that it is
    about; all without a verdict of their own unless given. seen: the number of transactions that the case had.
    """

    verdict: Verdict
    reason: str | None = None
    note: str | None = None
    version: int | None = None
    transactions: list[str] | None = None
    seen: int | None = None


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


def _known(of: Case | CaseMember) -> KnownForm | None:
    return None if of.known_fraud is None else KnownForm(of.known_fraud, of.known_source or "unknown", iso(of.known_us or 0))


def case_form(case: Case) -> CaseForm:
    """The response form of a case."""
    asked = case.opinion_of
    opinion = None if asked is None else OpinionForm(asked, case.opinion_by or "", case.opinion_verdict, case.opinion_reason)
    return filled(
        CaseForm,
        case,
        fraud_probability=case.score,
        event_time=iso(case.event_us),
        known=_known(case),
        priority=PRIORITIES[case.priority],
        opinion=opinion,
    )


def member_form(member: CaseMember) -> MemberForm:
    """The response form of a transaction of a case."""
    return filled(MemberForm, member, fraud_probability=member.score, event_time=iso(member.event_us), known=_known(member))


def queue_form(queue: Queue, now_us: int) -> QueueForm:
    """The response form of a queue."""
    return filled(QueueForm, queue, oldest_age_s=max(0, now_us - queue.oldest_us) / 1e6)


def _detail(cases: Cases, router: DetectorRouter, case_id: str, personal: Unmasking, who: Actor) -> dict[str, Any]:
    case = cases.case(case_id)
    served = router.get(case.detector)
    ready = served is not None and served.not_ready is None
    links: list[dict[str, Any]] = []
    if served is not None and ready:
        for key in cases.keys(case_id):
            try:
                found = served.engine.history.of_key(key.entity, key.key)
            except PenstockError:  # the detector has no such entity any more
                continue
            links.append({"entity": key.entity, "key": key.key, **found})
    decision = served.engine.queries.transaction(case.transaction_id) if served is not None and ready else None
    said = personal.of(served, case.transaction_id, who) if served is not None and ready else None
    return {
        "case": case_form(case),
        "decision": None if decision is None else msgspec.Raw(decision),
        "personal": said,
        "links": links,
        "history": [filled(LineForm, line) for line in cases.history(case_id)],
        "transactions": [member_form(member) for member in members(cases.database, case_id)],
        "attachments": [filled(AttachmentForm, each) for each in attachments(cases.database, case_id)],
    }


# ---------------------------------------------------------------- routes

route = Routes("cases", by_detector=True)

_Text = Annotated[str | None, Query(max_length=1000)]
_TOGETHER = {"ids": ["3fa9c1d2"], "verdict": "fraud", "reason": "confirmed_by_holder", "dry_run": False}
_NOTHING = {204: {"description": "Nothing waits."}}


@route("GET", "/cases", Right.READ, answers=CaseList)
async def list_cases(
    cases: Cases,
    router: DetectorRouter,
    /,
    request: Request,
    *,
    queue: _Text = None,
    state: Annotated[str | None, Query(pattern="^(open|taken|escalated|decided|undecided)$")] = None,
    detector: _Text = None,
    owner: _Text = None,
    entity: Annotated[str | None, Query(max_length=200, description="An entity, together with `key`.")] = None,
    key: Annotated[str | None, Query(max_length=1000, description="Only cases about this key.")] = None,
    assignee: Annotated[str | None, Query(max_length=200, description="Only undecided cases assigned to this person.")] = None,
    tag: Annotated[str | None, Query(max_length=40, description="Only cases with this tag.")] = None,
    priority: Annotated[Priority | None, Query(description="Only cases of this priority.")] = None,
    mentioned: Annotated[str | None, Query(max_length=200, description="Only cases whose notes mention this person.")] = None,
    overdue: Annotated[
        bool | None, Query(description="Only cases that are undecided after their due time, or the others.")
    ] = None,
    order: Annotated[Order, Query(description="What comes first.")] = "expected_loss",
    limit: Annotated[int, Query(ge=1, le=1000, description="Cases per page.")] = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> CaseList:
    """Cases, those with the highest expected loss first unless ordered otherwise."""
    if entity is not None and key is not None:
        key = as_kept(list(router.values()), entity, key, actor_of(request))
    chosen = Filter(
        queue=queue,
        state=state,
        detector=detector,
        owner=owner,
        entity=entity,
        key=key,
        assignee=assignee,
        tag=tag,
        priority=priority,
        mentioned=mentioned,
        overdue=overdue,
    )
    found, following = await asyncio.to_thread(page_of, cases, chosen, order=order, limit=limit, before=before)
    return CaseList([case_form(case) for case in found], following)


@route("GET", "/cases/queues", Right.READ, answers=QueueList)
async def list_queues(cases: Cases, /) -> dict[str, Any]:
    """Queues: how many cases wait, since when, and who holds which; and the reasons for each verdict."""
    found = await asyncio.to_thread(queues, cases)
    return {"queues": [queue_form(queue, cases.clock()) for queue in found], "reasons": REASONS}


@route("GET", "/cases/{case_id}", Right.READ, answers=CaseDetail, refuses=(404,))
async def get_case(
    cases: Cases, router: DetectorRouter, personal: Unmasking, /, case_id: str, request: Request
) -> dict[str, Any]:
    """One case, with its transactions, the decision about the first one, data about the same keys, and its history."""
    return await asyncio.to_thread(_detail, cases, router, case_id, personal, actor_of(request))


@route("GET", "/analysts", Right.READ)
async def list_analysts(
    cases: Cases,
    /,
    days: Annotated[float, Query(gt=0, le=3660, description="Verdicts of so many last days.")] = 30.0,
) -> AnalystList:
    """Per analyst: cases handled, agreement with others and with known outcomes, and overturned verdicts."""
    return AnalystList(days, await asyncio.to_thread(analysts, cases, days))


@route("POST", "/cases", Right.REVIEW, refuses=CHANGING)
async def create_case(cases: Cases, router: DetectorRouter, /, request: Request, body: Body[OpenCase]) -> CaseForm:
    """Put a recorded transaction into a case, or find the one that it is in; with a note where one is given."""
    given = await body
    served, engine = found_at(router, given.detector, printable(given.transaction_id))
    found = engine.ledger.find(served.name, given.transaction_id)
    if found is None:
        raise NotFound(f"there is no transaction {given.transaction_id[:200]!r}")
    new = case_by_hand(engine, *found)
    return case_form(await asyncio.to_thread(cases.open, new, who(request), given.note))


@route("POST", "/cases/next", Right.REVIEW, answers=CaseForm, refuses=CHANGING, responses=_NOTHING)
async def take_next_case(cases: Cases, /, request: Request, body: Body[TakeNext]) -> Response:
    """Take the waiting case with the highest priority, then expected loss, that is not assigned to somebody else."""
    queue = (await body).queue
    case = await asyncio.to_thread(cases.take_next, who(request), queue)
    return Response(status_code=204) if case is None else json_answer(case_form(case))


@route("POST", "/cases/{case_id}/take", Right.REVIEW, refuses=(404, 409))
async def take_case(cases: Cases, /, case_id: str, request: Request) -> CaseForm:
    """Take a case that nobody else holds, or extend the lock of your own."""
    return case_form(await asyncio.to_thread(cases.take, case_id, who(request)))


@route("POST", "/cases/{case_id}/release", Right.REVIEW, refuses=(404, 409))
async def release_case(cases: Cases, /, case_id: str, request: Request) -> CaseForm:
    """Return a case to its queue."""
    return case_form(await asyncio.to_thread(cases.release, case_id, who(request)))


@route("POST", "/cases/verdicts", Right.LABEL, answers=VerdictsAnswer, refuses=CHANGING, example=_TOGETHER)
async def give_verdicts(cases: Cases, verdicts: VerdictSubmission, /, request: Request, body: Body[GiveVerdicts]) -> Any:
    """One verdict for many cases, all or none; a dry run, which lists the affected cases, unless `dry_run` is false."""
    given = await body
    found = await asyncio.to_thread(
        sweep,
        cases,
        who(request),
        given.verdict,
        ids=given.ids,
        chosen=given.filter,
        reason=given.reason,
        note=given.note,
        dry_run=given.dry_run,
        expect=given.expect,
        roles=actor_of(request).roles,
    )
    await verdicts.submit()
    return found


@route("POST", "/cases/{case_id}/note", Right.REVIEW, refuses=CHANGING)
async def add_case_note(cases: Cases, /, case_id: str, request: Request, body: Body[GiveNote]) -> CaseForm:
    """Add a note."""
    text = (await body).text

    def written() -> Case:
        cases.note(case_id, who(request), text)
        return cases.case(case_id)

    return case_form(await asyncio.to_thread(written))


@route("POST", "/cases/{case_id}/verdict", Right.LABEL, refuses=CHANGING)
async def give_verdict(
    cases: Cases, verdicts: VerdictSubmission, /, case_id: str, request: Request, body: Body[GiveVerdict]
) -> CaseForm:
    """Give a verdict; fraud and good become a label. To correct one, name the version that it is based on."""
    given = await body
    actor = actor_of(request)
    case = await asyncio.to_thread(
        cases.decide,
        case_id,
        actor.name,
        given.verdict,
        reason=given.reason,
        note=given.note,
        version=given.version,
        transactions=given.transactions or (),
        seen=given.seen,
        roles=actor.roles,
    )
    await verdicts.submit()
    return case_form(case)


@route("POST", "/cases/{case_id}/escalate", Right.REVIEW, refuses=CHANGING)
async def escalate_case(cases: Cases, /, case_id: str, request: Request, body: Body[Escalate]) -> CaseForm:
    """Escalate a case to another queue."""
    given = await body
    return case_form(await asyncio.to_thread(cases.escalate, case_id, who(request), given.queue, given.note))
