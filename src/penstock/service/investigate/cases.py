"""`/cases`: review queues, case locking and verdicts."""

import asyncio
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from fastapi import FastAPI, Query, Request, Response

from penstock.cases.analysts import analysts
from penstock.cases.case import REASONS, Case
from penstock.cases.queues import Filter, page, queues, sweep
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.errors import PenstockError
from penstock.identity.roles import Actor
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http import bodies
from penstock.service.http.openapi import answers, may_take, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.investigate.case_schemas import (
    AnalystList,
    CaseDetail,
    CaseList,
    Escalate,
    GiveNote,
    GiveVerdict,
    GiveVerdicts,
    QueueList,
    TakeNext,
    case_form,
    line_form,
    queue_form,
)
from penstock.service.investigate.verdicts import Verdicts
from penstock.service.records.decisions import json_response
from penstock.service.records.personal import Unmasking, actor_of, as_kept

T = TypeVar("T", bound=msgspec.Struct)

_REFUSED = (400, 404, 408, 409, 413, 415)
_Text = Annotated[str | None, Query(max_length=1000)]


def add_routes(
    routes: FastAPI, cases: Cases, desks: DetectorRouter, verdicts: Verdicts, settings: Settings, personal: Unmasking
) -> None:
    """Add the routes."""
    _add_looking(routes, cases, desks, personal)
    asked = _asking(settings.max_body_bytes)
    _add_holding(routes, cases, asked)
    _add_saying(routes, cases, verdicts, asked)


def _add_looking(routes: FastAPI, cases: Cases, desks: DetectorRouter, personal: Unmasking) -> None:
    @routes.get("/cases", tags=["cases"], responses=answers(CaseList))
    async def listed(
        request: Request,
        *,
        queue: _Text = None,
        state: Annotated[str | None, Query(pattern="^(open|taken|escalated|decided|undecided)$")] = None,
        detector: _Text = None,
        owner: _Text = None,
        entity: Annotated[str | None, Query(max_length=200, description="An entity, together with `key`.")] = None,
        key: Annotated[str | None, Query(max_length=1000, description="Only cases about this key.")] = None,
        order: Annotated[str, Query(pattern="^(expected_loss|newest|oldest)$", description="What comes first.")] = (
            "expected_loss"
        ),
        limit: Annotated[int, Query(ge=1, le=1000, description="Cases per page.")] = 50,
        before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
    ) -> Response:
        """Cases, those with the highest expected loss first unless ordered otherwise."""
        if entity is not None and key is not None:
            key = as_kept(list(desks.values()), entity, key, actor_of(request))
        chosen = Filter(queue=queue, state=state, detector=detector, owner=owner, entity=entity, key=key)
        found, following = await asyncio.to_thread(page, cases, chosen, order=order, limit=limit, before=before)
        return _answer({"cases": [case_form(case) for case in found], "next": following})

    @routes.get("/cases/queues", tags=["cases"], responses=answers(QueueList))
    async def queue_list() -> Response:
        """Queues: how many cases wait, since when, and who holds which; and the reasons for each verdict."""
        found = await asyncio.to_thread(queues, cases)
        return _answer({"queues": [queue_form(queue, cases.clock()) for queue in found], "reasons": REASONS})

    @routes.get("/cases/{case_id}", tags=["cases"], responses=answers(CaseDetail, 404))
    async def one(case_id: str, request: Request) -> Response:
        """One case, with its decision, data about the same customer, card, device or address, and its history."""
        return _answer(await asyncio.to_thread(_detail, cases, desks, case_id, personal, actor_of(request)))

    @routes.get("/analysts", tags=["cases"], responses=answers(AnalystList))
    async def analyst_list(
        days: Annotated[float, Query(gt=0, le=3660, description="Verdicts of so many last days.")] = 30.0,
    ) -> Response:
        """Per analyst: cases handled, agreement with others and with known outcomes, and overturned verdicts."""
        return _answer({"days": days, "analysts": await asyncio.to_thread(analysts, cases, days)})


class _Asked(Protocol):
    """Parses request bodies."""

    async def __call__(self, request: Request, form: type[T], /) -> T: ...


def _asking(largest: int) -> _Asked:
    async def asked(request: Request, form: type[T]) -> T:
        bodies.check_encoding(request.headers.raw)
        return _read(await bodies.read_body(request.scope, request.receive, largest), form)

    return asked


def _add_holding(routes: FastAPI, cases: Cases, asked: _Asked) -> None:
    none: dict[int | str, dict[str, Any]] = {204: {"description": "Nothing waits."}}

    @routes.post(
        "/cases/next", tags=["cases"], responses={**answers("CaseForm", *_REFUSED), **none}, openapi_extra=may_take("TakeNext")
    )
    async def take_next(request: Request) -> Response:
        """Take the waiting case with the highest expected loss."""
        queue = (await asked(request, TakeNext)).queue
        case = await asyncio.to_thread(cases.take_next, _who(request), queue)
        return Response(status_code=204) if case is None else _answer(case_form(case))

    @routes.post("/cases/{case_id}/take", tags=["cases"], responses=answers("CaseForm", 404, 409))
    async def take(case_id: str, request: Request) -> Response:
        """Take a case that nobody else holds, or extend the lock of your own."""
        return _answer(case_form(await asyncio.to_thread(cases.take, case_id, _who(request))))

    @routes.post("/cases/{case_id}/release", tags=["cases"], responses=answers("CaseForm", 404, 409))
    async def release(case_id: str, request: Request) -> Response:
        """Return a case to its queue."""
        return _answer(case_form(await asyncio.to_thread(cases.release, case_id, _who(request))))


def _add_saying(routes: FastAPI, cases: Cases, verdicts: Verdicts, asked: _Asked) -> None:
    @routes.post(
        "/cases/verdicts",
        tags=["cases"],
        responses=answers("VerdictsAnswer", *_REFUSED),
        openapi_extra=requires("GiveVerdicts"),
    )
    async def give_many(request: Request) -> Response:
        """One verdict for many cases, all or none; a dry run, which lists the affected cases, unless `dry_run` is false."""
        given = await asked(request, GiveVerdicts)
        found = await asyncio.to_thread(
            sweep,
            cases,
            _who(request),
            given.verdict,
            ids=given.ids,
            chosen=given.filter,
            reason=given.reason,
            note=given.note,
            dry_run=given.dry_run,
            expect=given.expect,
        )
        await verdicts.tell()
        return _answer(found)

    @routes.post(
        "/cases/{case_id}/note", tags=["cases"], responses=answers("CaseForm", *_REFUSED), openapi_extra=requires("GiveNote")
    )
    async def note(case_id: str, request: Request) -> Response:
        """Add a note."""
        text = (await asked(request, GiveNote)).text

        def written() -> Case:
            cases.note(case_id, _who(request), text)
            return cases.case(case_id)

        return _answer(case_form(await asyncio.to_thread(written)))

    @routes.post(
        "/cases/{case_id}/verdict",
        tags=["cases"],
        responses=answers("CaseForm", *_REFUSED),
        openapi_extra=requires("GiveVerdict"),
    )
    async def give(case_id: str, request: Request) -> Response:
        """Give a verdict; fraud and good become a label. To correct one, name the version that it is based on."""
        given = await asked(request, GiveVerdict)

        def decided() -> Case:
            return cases.decide(
                case_id, _who(request), given.verdict, reason=given.reason, note=given.note, version=given.version
            )

        case = await asyncio.to_thread(decided)
        await verdicts.tell()
        return _answer(case_form(case))

    @routes.post(
        "/cases/{case_id}/escalate",
        tags=["cases"],
        responses=answers("CaseForm", *_REFUSED),
        openapi_extra=requires("Escalate"),
    )
    async def escalate(case_id: str, request: Request) -> Response:
        """Escalate a case to another queue."""
        given = await asked(request, Escalate)
        found = await asyncio.to_thread(cases.escalate, case_id, _who(request), given.queue, given.note)
        return _answer(case_form(found))


def _who(request: Request) -> str:
    return actor_of(request).name


def _detail(cases: Cases, desks: DetectorRouter, case_id: str, personal: Unmasking, who: Actor) -> dict[str, Any]:
    case = cases.case(case_id)
    desk = desks.get(case.detector)
    served = desk is not None and desk.not_ready is None
    links: list[dict[str, Any]] = []
    if desk is not None and served:
        for key in cases.keys(case_id):
            try:
                found = desk.engine.history.of_key(key.entity, key.key)
            except PenstockError:  # the detector has no such entity any more
                continue
            links.append({"entity": key.entity, "key": key.key, **found})
    decision = desk.engine.queries.transaction(case.transaction_id) if desk is not None and served else None
    said = personal.of(desk, case.transaction_id, who) if desk is not None and served else None
    return {
        "case": case_form(case),
        "decision": None if decision is None else msgspec.Raw(decision),
        "personal": said,
        "links": links,
        "history": [line_form(line) for line in cases.history(case_id)],
    }


def _answer(found: Any) -> Response:
    return json_response(msgspec.json.encode(found))


def _read(body: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=form)
    except msgspec.ValidationError as error:
        path = str(error).rpartition("$.")[2].rstrip("`") if "$." in str(error) else None
        raise RequestRefused(422, f"this is not understood: {error}", [(path, str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bodies.not_json(error) from None
