"""`/cases`: review queues, case locking and verdicts."""

import asyncio
import logging
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from msgspec import Meta

from penstock.cases.analysts import Analyst, analysts
from penstock.cases.case import REASONS, SOURCE, Case, PendingVerdict
from penstock.cases.queues import CurrencySum, Filter, Queue, Skipped, queues, sweep
from penstock.cases.queues import page as page_of
from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.errors import NotFound, PenstockError
from penstock.identity.roles import Actor, Right
from penstock.messages import Decision, NamedField, Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import printable
from penstock.service.http.requests import actor_of, filled, json_answer, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.service.records.decisions import RecordedDecision
from penstock.service.records.personal import PersonalFields, Unmasking, as_kept
from penstock.service.records.profiles import KeyDecisions, KeyLabels, LookedThrough
from penstock.service.records.verification import found_at
from penstock.stream.cases import case_by_hand

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Verdict = Literal["fraud", "good", "unsure"]


class KnownForm(msgspec.Struct):
    """External outcomes of the transaction: a chargeback, a dispute."""

    fraud: bool
    source: str
    known_at: str


class CaseForm(msgspec.Struct):
    """A case. origin: `review`, `sample` for a random one, with its propensity, or
    `manual` where a person opened it. state: open, taken (by `owner`, until
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
    named: Annotated[list[NamedField], Meta(description="Who pays, who is paid, and further fields of the headline.")]


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


class OpenCase(msgspec.Struct, forbid_unknown_fields=True):
    """The transaction of which a case is opened, and a first note. detector: needed where several have the transaction."""

    transaction_id: str
    detector: str | None = None
    note: str | None = None


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
    return filled(CaseForm, case, fraud_probability=case.score, event_time=iso(case.event_us), known=known)


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
    }


log = logging.getLogger("penstock.service")

LOOK_EVERY_S = 5.0
"""Seconds between polls for verdicts given elsewhere (by a command), or whose label could not be submitted."""


class Verdicts:
    """Submits verdicts as labels. A verdict is stored first and submitted afterwards; pending ones are retried.

    A label becomes known when it is submitted, like one posted without a time. Submitting it twice changes nothing.
    """

    def __init__(self, cases: Cases, router: DetectorRouter) -> None:
        self._cases, self._router = cases, router
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Submit pending verdicts until the task is cancelled."""
        while True:
            await self.submit()
            await asyncio.sleep(LOOK_EVERY_S)

    async def submit(self) -> None:
        """Submit pending verdicts to every ready detector; failures are retried later."""
        async with self._lock:
            for served in self._router.values():
                if served.not_ready is None:
                    try:
                        await self._submit_for(served)
                    except PenstockError as error:
                        log.warning("%s: verdicts are not labels yet: %s", served.name, error)

    async def _submit_for(self, served: ServedDetector) -> None:
        while waiting := await asyncio.to_thread(self._cases.pending_verdicts, served.name):
            answers = await served.label(msgspec.json.encode([_label(each) for each in waiting]))
            for each, answer in zip(waiting, answers, strict=True):
                if isinstance(answer, Refusal):
                    log.error("the verdict on case %s is no label: %s", each.case_id, answer.detail)
            await asyncio.to_thread(self._cases.mark_submitted, waiting)


def _label(verdict: PendingVerdict) -> dict[str, object]:
    return {"transaction_id": verdict.transaction_id, "fraud": verdict.fraud, "kind": verdict.kind, "source": SOURCE}


# ---------------------------------------------------------------- routes

route = Routes("cases")

_Text = Annotated[str | None, Query(max_length=1000)]
_NOTHING = {204: {"description": "Nothing waits."}}


@route("GET", "/cases", Right.READ, answers=CaseList)
async def listed(
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
    order: Annotated[str, Query(pattern="^(expected_loss|newest|oldest)$", description="What comes first.")] = "expected_loss",
    limit: Annotated[int, Query(ge=1, le=1000, description="Cases per page.")] = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
) -> CaseList:
    """Cases, those with the highest expected loss first unless ordered otherwise."""
    if entity is not None and key is not None:
        key = as_kept(list(router.values()), entity, key, actor_of(request))
    chosen = Filter(queue=queue, state=state, detector=detector, owner=owner, entity=entity, key=key)
    found, following = await asyncio.to_thread(page_of, cases, chosen, order=order, limit=limit, before=before)
    return CaseList([case_form(case) for case in found], following)


@route("GET", "/cases/queues", Right.READ, answers=QueueList)
async def queue_list(cases: Cases, /) -> dict[str, Any]:
    """Queues: how many cases wait, since when, and who holds which; and the reasons for each verdict."""
    found = await asyncio.to_thread(queues, cases)
    return {"queues": [queue_form(queue, cases.clock()) for queue in found], "reasons": REASONS}


@route("GET", "/cases/{case_id}", Right.READ, answers=CaseDetail, refuses=(404,))
async def one(cases: Cases, router: DetectorRouter, personal: Unmasking, /, case_id: str, request: Request) -> dict[str, Any]:
    """One case, with its decision, data about the same customer, card, device or address, and its history."""
    return await asyncio.to_thread(_detail, cases, router, case_id, personal, actor_of(request))


@route("GET", "/analysts", Right.READ)
async def analyst_list(
    cases: Cases,
    /,
    days: Annotated[float, Query(gt=0, le=3660, description="Verdicts of so many last days.")] = 30.0,
) -> AnalystList:
    """Per analyst: cases handled, agreement with others and with known outcomes, and overturned verdicts."""
    return AnalystList(days, await asyncio.to_thread(analysts, cases, days))


@route("POST", "/cases", Right.LABEL, refuses=CHANGING)
async def open_one(cases: Cases, router: DetectorRouter, /, request: Request, body: Body[OpenCase]) -> CaseForm:
    """Open a case of a recorded transaction, or find the one that it has; with a note where one is given."""
    given = await body
    served, engine = found_at(router, given.detector, printable(given.transaction_id))
    found = engine.ledger.find(served.name, given.transaction_id)
    if found is None:
        raise NotFound(f"there is no transaction {given.transaction_id[:200]!r}")
    new = case_by_hand(engine, *found)
    return case_form(await asyncio.to_thread(cases.open, new, who(request), given.note))


@route("POST", "/cases/next", Right.LABEL, answers=CaseForm, refuses=CHANGING, responses=_NOTHING)
async def take_next(cases: Cases, /, request: Request, body: Body[TakeNext]) -> Response:
    """Take the waiting case with the highest expected loss."""
    queue = (await body).queue
    case = await asyncio.to_thread(cases.take_next, who(request), queue)
    return Response(status_code=204) if case is None else json_answer(case_form(case))


@route("POST", "/cases/{case_id}/take", Right.LABEL, refuses=(404, 409))
async def take(cases: Cases, /, case_id: str, request: Request) -> CaseForm:
    """Take a case that nobody else holds, or extend the lock of your own."""
    return case_form(await asyncio.to_thread(cases.take, case_id, who(request)))


@route("POST", "/cases/{case_id}/release", Right.LABEL, refuses=(404, 409))
async def release(cases: Cases, /, case_id: str, request: Request) -> CaseForm:
    """Return a case to its queue."""
    return case_form(await asyncio.to_thread(cases.release, case_id, who(request)))


@route("POST", "/cases/verdicts", Right.LABEL, answers=VerdictsAnswer, refuses=CHANGING)
async def give_many(cases: Cases, verdicts: Verdicts, /, request: Request, body: Body[GiveVerdicts]) -> Any:
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
    )
    await verdicts.submit()
    return found


@route("POST", "/cases/{case_id}/note", Right.LABEL, refuses=CHANGING)
async def note(cases: Cases, /, case_id: str, request: Request, body: Body[GiveNote]) -> CaseForm:
    """Add a note."""
    text = (await body).text

    def written() -> Case:
        cases.note(case_id, who(request), text)
        return cases.case(case_id)

    return case_form(await asyncio.to_thread(written))


@route("POST", "/cases/{case_id}/verdict", Right.LABEL, refuses=CHANGING)
async def give(cases: Cases, verdicts: Verdicts, /, case_id: str, request: Request, body: Body[GiveVerdict]) -> CaseForm:
    """Give a verdict; fraud and good become a label. To correct one, name the version that it is based on."""
    given = await body
    by, why = who(request), {"reason": given.reason, "note": given.note}
    case = await asyncio.to_thread(cases.decide, case_id, by, given.verdict, **why, version=given.version)
    await verdicts.submit()
    return case_form(case)


@route("POST", "/cases/{case_id}/escalate", Right.LABEL, refuses=CHANGING)
async def escalate(cases: Cases, /, case_id: str, request: Request, body: Body[Escalate]) -> CaseForm:
    """Escalate a case to another queue."""
    given = await body
    return case_form(await asyncio.to_thread(cases.escalate, case_id, who(request), given.queue, given.note))
