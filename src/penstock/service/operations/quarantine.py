"""`/quarantine`: refused events, to be inspected, corrected and sent again, or dismissed."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI, Query, Request, Response

from penstock.config import Settings
from penstock.database.sqlite import Database
from penstock.engine import Engine
from penstock.errors import NotFound
from penstock.governance.quarantine_actions import QuarantineActions
from penstock.ledger import Quarantined, Tables
from penstock.messages import Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http import bodies
from penstock.service.http.merged_cursor import MergedCursor, is_number, tables_of
from penstock.service.http.openapi import answers, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import json_answer, parse_body, who
from penstock.service.operations.quarantine_schemas import (
    DismissEvent,
    QuarantinePage,
    RefusedEvent,
    Resubmitted,
    id_of,
    refused_form,
)
from penstock.service.port import Serving
from penstock.service.records.decisions import DetectorName

_REFUSED = (400, 404, 408, 409, 413, 415)
_AT_ONCE = 200
_LABEL = "label: "
"""Prefix of the cause of a label that a worker refused."""

State = Literal["waiting", "resubmitted", "dismissed"]


class _Known(msgspec.Struct):
    """Fields read from a corrected event, or from its decision."""

    transaction_id: str | int | None = None
    type: str | None = None


def add_routes(routes: FastAPI, desks: DetectorRouter, office: Database, settings: Settings) -> None:
    """Add the routes."""
    quarantine = Quarantine(desks, office)
    again = Again(desks, quarantine)

    @routes.get("/quarantine", tags=["operations"], responses=answers("QuarantinePage", 404))
    async def page(
        limit: Annotated[int, Query(ge=1, le=200, description="Events per page.")] = 50,
        before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
        detector: DetectorName = None,
        state: Annotated[State | None, Query(description="Only events in this state; all unless given.")] = None,
    ) -> Response:
        """Refused events, newest first, with their errors."""
        return json_answer(await asyncio.to_thread(quarantine.page, desks.chosen(detector), limit, before, detector, state))

    @routes.get("/quarantine/{event_id}", tags=["operations"], responses=answers("RefusedEvent", 404))
    async def one(event_id: str) -> Response:
        """One refused event."""
        return json_answer(await asyncio.to_thread(quarantine.one, event_id))

    @routes.post(
        "/quarantine/{event_id}/resubmit",
        tags=["operations"],
        responses=answers("Resubmitted", *_REFUSED),
        openapi_extra=requires("CorrectedEvent"),
    )
    async def resubmit(event_id: str, request: Request) -> Response:
        """Send the corrected event again: it is decided like any other; if it is refused again, the errors are returned and
        it stays.
        """
        bodies.check_encoding(request.headers.raw)
        body = await bodies.read_body(request.scope, request.receive, settings.max_body_bytes)
        return json_answer(await again.send(event_id, body, who(request)))

    @routes.post(
        "/quarantine/{event_id}/dismiss",
        tags=["operations"],
        responses=answers("RefusedEvent", *_REFUSED),
        openapi_extra=requires("DismissEvent"),
    )
    async def dismiss(event_id: str, request: Request) -> Response:
        """Dismiss an event, with a reason."""
        reason = (await parse_body(request, DismissEvent, settings.max_body_bytes)).reason

        def dismissed() -> RefusedEvent:
            event = quarantine.waiting(event_id)
            told = {"detector": event.detector, "cause": event.cause}
            return refused_form(event, quarantine.handled.put(event_id, who(request), "dismissed", reason=reason, details=told))

        return json_answer(await asyncio.to_thread(dismissed))


class Quarantine:
    """Reads refused events and their handling. Methods wait for databases."""

    def __init__(self, desks: DetectorRouter, office: Database) -> None:
        self.handled = QuarantineActions(office)
        self._desks = desks

    def page(
        self, among: Sequence[Serving], limit: int, before: str | None, detector: str | None, state: State | None
    ) -> QuarantinePage:
        """One page.

        Raises:
            RequestRefused: `before` is no cursor of this list.
        """

        def fetch(tables: Tables, most: int, below: int | None) -> list[Quarantined]:
            return tables.quarantined(detector, limit=most, before=below)

        places = MergedCursor(tables_of(among), before)
        shown: list[RefusedEvent] = []
        while len(shown) < limit and (events := places.next(fetch, _received_us, min(_AT_ONCE, limit - len(shown)))):
            handled = self.handled.of(sorted({id_of(event) for event in events}))
            forms = [refused_form(event, handled.get(id_of(event))) for event in events]
            shown += [form for form in forms if state is None or form.state == state]
        kept = sum(tables.quarantine_count(detector) for tables in places.tables)
        engines = (desk.engine for desk in among if desk.not_ready is None)
        lost = sum(engine.totals.quarantine_lost for engine in engines if isinstance(engine, Engine))
        return QuarantinePage(shown, places.following(fetch), kept, lost)

    def one(self, event: str) -> RefusedEvent:
        """One event.

        Raises:
            NotFound: there is no event with this id, or no longer.
        """
        return refused_form(self._find(event), self.handled.of([event]).get(event))

    def waiting(self, event: str) -> Quarantined:
        """An event that has not been handled.

        Raises:
            NotFound: there is no event with this id, or no longer.
            RequestRefused: 409, it has been handled.
        """
        found, handled = self._find(event), self.handled.of([event]).get(event)
        if handled is not None:
            raise RequestRefused(409, f"{handled.who} has {handled.outcome} this event")
        return found

    def _find(self, event: str) -> Quarantined:
        name, received_us = _parts(event)
        for tables in tables_of([*self._desks.values()]) if received_us is not None else ():
            for found in tables.quarantined(name, received_us=received_us, limit=1000):
                if id_of(found) == event:
                    return found
        raise NotFound(f"there is no refused event {event[:200]!r}, or it is no longer kept")


class Again:
    """Sends corrected events again, by the path of the refused ones."""

    def __init__(self, desks: DetectorRouter, quarantine: Quarantine) -> None:
        self._desks, self._quarantine = desks, quarantine

    async def send(self, event: str, body: bytes, who: str) -> Resubmitted:
        """Send one event.

        Raises:
            NotFound: there is no such event.
            RequestRefused: the corrected event is refused too, or the event has been handled.
        """
        refused = await asyncio.to_thread(self._quarantine.waiting, event)
        desk = self._desk(refused, body)
        outcome, transaction_id, decision = await self._sent(desk, refused, body)
        told = {"detector": desk.name, "cause": refused.cause}

        def kept() -> RefusedEvent:
            put = self._quarantine.handled.put(event, who, "resubmitted", transaction_id=transaction_id, details=told)
            return refused_form(refused, put)

        return Resubmitted(await asyncio.to_thread(kept), outcome, transaction_id, decision)

    def _desk(self, refused: Quarantined, body: bytes) -> Serving:
        if refused.detector:
            return self._desks.named(refused.detector)
        found: Serving = _taken(self._desks.taking(body))
        return found

    async def _sent(self, desk: Serving, refused: Quarantined, body: bytes) -> tuple[str, str | None, Any]:
        """The result: decided, informed or labelled; its id; the decision."""
        if refused.cause.startswith(_LABEL):
            [told] = await desk.label(body)
            return "labelled", _taken(told)["transaction_id"], None
        wrong = desk.engine.check_json(body)
        if wrong is not None:
            raise RequestRefused(wrong.status, wrong.detail, wrong.errors)
        known = msgspec.json.decode(body, type=_Known)
        if known.type in desk.engine.informs:
            for refusal in await desk.inform([body]):
                if refusal is not None:
                    _taken(refusal)
            return "informed", None if known.transaction_id is None else str(known.transaction_id), None
        [decided] = await desk.decide([body])
        decision = _taken(decided)
        return "decided", str(msgspec.json.decode(decision, type=_Known).transaction_id), msgspec.Raw(decision)


def _received_us(event: Quarantined) -> int:
    return event.received_us


def _parts(event: str) -> tuple[str, int | None]:
    """The detector and the instant in an id."""
    name, _, rest = event.rpartition(":")[0].rpartition(":")
    return name, int(rest) if is_number(rest) else None


def _taken(given: Any) -> Any:
    """The accepted value; raises its refusal."""
    if isinstance(given, Refusal):
        raise RequestRefused(given.status, given.detail, given.errors)
    return given
