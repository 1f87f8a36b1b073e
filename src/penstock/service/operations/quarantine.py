"""`/quarantine`: refused events, to be inspected, corrected and sent again, or dismissed."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request
from msgspec import Meta

from penstock.clock import iso
from penstock.config import Settings
from penstock.database.sqlite import Database
from penstock.decoding import prepared
from penstock.errors import NotFound
from penstock.governance.quarantine_actions import QuarantineAction, QuarantineActions, event_id
from penstock.identity.roles import Right
from penstock.ingest.quarantine import LONGEST_KEPT
from penstock.ledger import Quarantined, Tables
from penstock.messages import Decision, Refusal
from penstock.service.decide.detectors import DetectorRouter, visible_detectors
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import DetectorName, filled, may, parse_instant, raw_body, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.service.records.pagination import MergedCursor, is_number, of_visible, tables_of

_AT_ONCE = 200
_NEWEST = 5000
"""The newest refused events, which are counted by cause and handled together."""

_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|[-+]?\d[\w.:+-]*")
_LABEL = "label: "
"""Prefix of the cause of a label that a worker refused."""

State = Literal["waiting", "resubmitted", "dismissed"]


class _EventFields(msgspec.Struct):
    """Fields read from a corrected event, or from its decision."""

    transaction_id: str | int | None = None
    type: str | None = None


Reason = Annotated[str, Meta(min_length=1, max_length=1000, description="For the log of changes.")]


class RefusedEvent(msgspec.Struct, frozen=True):
    """An event that was refused for its content."""

    id: Annotated[str, Meta(description="The same on every process.")]
    detector: Annotated[str | None, Meta(description="For which it was meant; null where none served here could be found.")]
    received_at: Annotated[str, Meta(description="When it was refused.")]
    cause: Annotated[str, Meta(description="Why, in words for the sender.")]
    field: Annotated[str | None, Meta(description="The first field at fault; null where it is the whole event.")]
    body: Annotated[str, Meta(description="What was sent: personal fields and what looks like a card number are masked.")]
    cut: Annotated[bool, Meta(description="The body was longer than what is kept of it, 4096 bytes.")]
    masked: Annotated[bool, Meta(description="Something in the body is masked: put it in again before sending it.")]
    state: Annotated[str, Meta(description="waiting, resubmitted or dismissed.")]
    handled_by: Annotated[str | None, Meta(description="Who resubmitted or dismissed it.")]
    handled_at: Annotated[str | None, Meta(description="When.")]
    reason: Annotated[str | None, Meta(description="Why it was dismissed.")]
    transaction_id: Annotated[str | None, Meta(description="Of the event that was sent in its place.")]


class QuarantinePage(msgspec.Struct, frozen=True):
    """One page of refused events, newest first."""

    events: Annotated[list[RefusedEvent], Meta(description="Newest first.")]
    next: Annotated[str | None, Meta(description="`before` of the next page; null where there is none.")]
    kept: Annotated[int, Meta(description="How many are kept, also those that were handled; of each detector the newest.")]
    lost: Annotated[int, Meta(description="Since the start of this process refused and not kept: they came too fast.")]


class DismissEvent(msgspec.Struct, forbid_unknown_fields=True):
    """The reason for dismissing an event."""

    reason: Reason


class Resubmitted(msgspec.Struct, frozen=True):
    """The result of sending a corrected event."""

    event: Annotated[RefusedEvent, Meta(description="The refused event, as it is now.")]
    outcome: Annotated[str, Meta(description="decided, informed (an event without a decision) or labelled.")]
    transaction_id: Annotated[str | None, Meta(description="The id of the corrected event.")]
    decision: Annotated[Decision | None, Meta(description="The decision, where there is one, and the caller may see it.")]


class RefusedCause(msgspec.Struct, frozen=True):
    """Waiting events that were refused for one cause, values aside."""

    detector: Annotated[str | None, Meta(description="For which they were meant.")]
    cause: Annotated[str, Meta(description="The cause, with `...` in the place of values.")]
    count: Annotated[int, Meta(description="How many of the newest 5,000 refused events wait for this cause.")]
    whole: Annotated[int, Meta(description="How many of them are neither masked nor cut, so that they can be sent again.")]
    newest_at: Annotated[str, Meta(description="When the newest was refused: `until` of a change of all of them.")]


class RefusedCauses(msgspec.Struct, frozen=True):
    """The causes of waiting events, the most frequent first."""

    causes: Annotated[list[RefusedCause], Meta(description="The most frequent first.")]


class EventsOfCause(msgspec.Struct, forbid_unknown_fields=True):
    """Waiting events of one cause, as `GET /quarantine/causes` lists it. until: later ones are left alone."""

    detector: Annotated[str | None, Meta(description="For which they were meant; null where none could be found.")]
    cause: Annotated[str, Meta(max_length=4000, description="As the list of causes has it.")]
    until: Annotated[str, Meta(description="The latest instant of refusal that counts: `newest_at` of the cause.")]
    reason: Reason


class CauseHandled(msgspec.Struct, frozen=True):
    """The result of a change of all events of a cause."""

    handled: Annotated[int, Meta(description="How many are resubmitted or dismissed now.")]
    refused: Annotated[int, Meta(description="How many were refused again, and wait on.")]
    skipped: Annotated[int, Meta(description="How many cannot be sent as they are kept, or were handled meanwhile.")]


_CUT, _MASKS = b"...[cut]", (b"[personal]", b"****")


def id_of(event: Quarantined) -> str:
    """The id of a refused event."""
    return event_id(event.detector, event.received_us, event.cause, event.body)


def cause_of(event: Quarantined) -> str:
    """The cause without the values that it names, by which events are grouped."""
    return _VALUE.sub("...", event.cause)


def _masked(event: Quarantined) -> bool:
    return any(mask in event.body for mask in _MASKS)


def _is_cut(event: Quarantined) -> bool:
    return len(event.body) >= LONGEST_KEPT and event.body.endswith(_CUT)


def _is_whole(event: Quarantined) -> bool:
    return not _masked(event) and not _is_cut(event)


def _refused(event: Quarantined, handled: QuarantineAction | None) -> RefusedEvent:
    """The response form of a refused event."""
    return filled(
        RefusedEvent,
        event,
        id=id_of(event),
        detector=event.detector or None,
        body=event.body.decode(errors="replace"),
        cut=_is_cut(event),
        masked=_masked(event),
        state="waiting" if handled is None else handled.outcome,
        handled_by=None if handled is None else handled.who,
        handled_at=None if handled is None else iso(handled.at_us),
        reason=None if handled is None else handled.reason,
        transaction_id=None if handled is None else handled.transaction_id,
    )


class Quarantine:
    """Reads refused events and their handling. Methods wait for databases."""

    def __init__(self, router: DetectorRouter, office: Database) -> None:
        self.handled = QuarantineActions(office)
        self._router = router

    def page(
        self, among: Sequence[ServedDetector], limit: int, before: str | None, detector: str | None, state: State | None
    ) -> QuarantinePage:
        """One page.

        Raises:
            RequestRefused: `before` is no cursor of this list.
        """
        fetch = _reader(detector)
        places = MergedCursor(tables_of(among), before)
        shown: list[RefusedEvent] = []
        while len(shown) < limit and (events := places.next(fetch, _received_us, min(_AT_ONCE, limit - len(shown)))):
            handled = self.handled.of(sorted({id_of(event) for event in events}))
            forms = [_refused(event, handled.get(id_of(event))) for event in events]
            shown += [form for form in forms if state is None or form.state == state]
        kept = sum(tables.quarantine_count(name) for tables in places.tables for name in _names(detector))
        lost = sum(served.engine.totals.quarantine_lost for served in among if served.not_ready is None)
        return QuarantinePage(shown, places.following(fetch), kept, lost)

    def causes(self, among: Sequence[ServedDetector], detector: str | None) -> list[RefusedCause]:
        """The causes of waiting events, the most frequent first."""
        by: dict[tuple[str, str], list[Quarantined]] = {}
        for event in self._waiting(among, detector):
            by.setdefault((event.detector, cause_of(event)), []).append(event)
        found = [
            RefusedCause(name or None, cause, len(some), sum(_is_whole(each) for each in some), iso(some[0].received_us))
            for (name, cause), some in by.items()
        ]
        return sorted(found, key=lambda each: (-each.count, each.detector or "", each.cause))

    def of_cause(self, among: Sequence[ServedDetector], chosen: EventsOfCause) -> list[Quarantined]:
        """The waiting events of a cause, newest first.

        Raises:
            RequestRefused: 422, `until` is no instant.
        """
        until_us, name = parse_instant(chosen.until, "until") or 0, chosen.detector or ""
        waiting = self._waiting(among, chosen.detector)
        return [
            each
            for each in waiting
            if each.received_us <= until_us and each.detector == name and cause_of(each) == chosen.cause
        ]

    def _waiting(self, among: Sequence[ServedDetector], detector: str | None) -> Iterator[Quarantined]:
        fetch = _reader(detector)
        places, seen = MergedCursor(tables_of(among), None), 0
        while seen < _NEWEST and (events := places.next(fetch, _received_us, _AT_ONCE)):
            seen += len(events)
            handled = self.handled.of(sorted({id_of(event) for event in events}))
            yield from (event for event in events if id_of(event) not in handled)

    def one(self, event: str) -> RefusedEvent:
        """One event.

        Raises:
            NotFound: there is no event with this id, or no longer.
        """
        return _refused(self._find(event), self.handled.of([event]).get(event))

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
        if name not in (visible_detectors() or {name}):
            received_us = None
        for tables in tables_of([*self._router.values()]) if received_us is not None else ():
            for found in tables.quarantined(name, received_us=received_us, limit=1000):
                if id_of(found) == event:
                    return found
        raise NotFound(f"there is no refused event {event[:200]!r}, or it is no longer kept")

    def dismiss(self, event: str, who: str, reason: str) -> RefusedEvent:
        """Dismiss a waiting event.

        Raises:
            NotFound: there is no such event.
            RequestRefused: it has been handled.
        """
        found = self.waiting(event)
        details = {"detector": found.detector, "cause": found.cause}
        return _refused(found, self.handled.put(event, who, "dismissed", reason=reason, details=details))

    def dismiss_all(self, events: Sequence[Quarantined], who: str, reason: str) -> CauseHandled:
        """Dismiss events, without those that are handled meanwhile."""
        handled = 0
        for event in events:
            try:
                self.dismiss(id_of(event), who, reason)
                handled += 1
            except RequestRefused:
                continue
        return CauseHandled(handled, 0, len(events) - handled)


class Resubmission:
    """Sends corrected events again, by the path of the refused ones."""

    def __init__(self, router: DetectorRouter, quarantine: Quarantine) -> None:
        self._router, self._quarantine = router, quarantine

    async def send(self, event: str, body: bytes, who: str) -> Resubmitted:
        """Send one event.

        Raises:
            NotFound: there is no such event.
            RequestRefused: the corrected event is refused too, or the event has been handled.
        """
        refused = await asyncio.to_thread(self._quarantine.waiting, event)
        served = self._served_by(refused, body)
        outcome, transaction_id, decision = await self._sent(served, refused, body)
        details = {"detector": served.name, "cause": refused.cause}

        def kept() -> RefusedEvent:
            put = self._quarantine.handled.put(event, who, "resubmitted", transaction_id=transaction_id, details=details)
            return _refused(refused, put)

        return Resubmitted(await asyncio.to_thread(kept), outcome, transaction_id, decision)

    async def send_all(self, events: Sequence[Quarantined], who: str) -> CauseHandled:
        """Send events as they are kept, the oldest first; those that are refused again, or handled meanwhile, stay."""
        handled = refused = skipped = 0
        for event in reversed(events):
            if not _is_whole(event):
                skipped += 1
                continue
            try:
                await self.send(id_of(event), event.body, who)
                handled += 1
            except RequestRefused:
                refused += 1
        return CauseHandled(handled, refused, skipped)

    def _served_by(self, refused: Quarantined, body: bytes) -> ServedDetector:
        if refused.detector:
            return self._router.named(refused.detector)
        found: ServedDetector = _taken(self._router.taking(body))
        return found

    async def _sent(self, served: ServedDetector, refused: Quarantined, body: bytes) -> tuple[str, str | None, Any]:
        """The result: decided, informed or labelled; its id; the decision."""
        if refused.cause.startswith(_LABEL):
            [details] = await served.label(body)
            return "labelled", _taken(details)["transaction_id"], None
        wrong = served.engine.check_json(body)
        if wrong is not None:
            raise RequestRefused(wrong.status, wrong.detail, wrong.errors)
        known = msgspec.json.decode(body, type=prepared(_EventFields))
        if known.type in served.engine.informs:
            for refusal in await served.inform([body]):
                if refusal is not None:
                    _taken(refusal)
            return "informed", None if known.transaction_id is None else str(known.transaction_id), None
        [decided] = await served.decide([body])
        decision = _taken(decided)
        return "decided", str(msgspec.json.decode(decision, type=prepared(_EventFields)).transaction_id), msgspec.Raw(decision)


def _names(detector: str | None) -> Sequence[str | None]:
    """The detectors whose events are meant; None: all, and events of none."""
    return [detector] if detector is not None else [*(visible_detectors() or [None])]


def _reader(detector: str | None) -> Callable[[Tables, int, int | None], list[Quarantined]]:
    def fetch(tables: Tables, most: int, below: int | None) -> list[Quarantined]:
        return of_visible(lambda name: tables.quarantined(name, limit=most, before=below), detector, most)

    return fetch


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


# ---------------------------------------------------------------- routes

route = Routes("operations", by_detector=True)


@route("GET", "/quarantine", Right.READ | Right.OPERATE, refuses=(404,))
async def list_refused_events(
    router: DetectorRouter,
    quarantine: Quarantine,
    /,
    limit: Annotated[int, Query(ge=1, le=200, description="Events per page.")] = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
    detector: DetectorName = None,
    state: Annotated[State | None, Query(description="Only events in this state; all unless given.")] = None,
) -> QuarantinePage:
    """Refused events, newest first, with their errors."""
    return await asyncio.to_thread(quarantine.page, router.chosen(detector), limit, before, detector, state)


@route("GET", "/quarantine/causes", Right.READ | Right.OPERATE, refuses=(404,))
async def list_refusal_causes(
    router: DetectorRouter, quarantine: Quarantine, /, detector: DetectorName = None
) -> RefusedCauses:
    """Waiting events by cause, the most frequent first."""
    return RefusedCauses(await asyncio.to_thread(quarantine.causes, router.chosen(detector), detector))


@route("POST", "/quarantine/resubmit", Right.DECIDE | Right.ADMINISTER | Right.OPERATE, refuses=CHANGING)
async def resubmit_refused_events(
    router: DetectorRouter, quarantine: Quarantine, resubmission: Resubmission, /, request: Request, body: Body[EventsOfCause]
) -> CauseHandled:
    """Send all waiting events of a cause again as they were, after what refused them was mended."""
    events = await asyncio.to_thread(quarantine.of_cause, [*router.values()], await body)
    return await resubmission.send_all(events, who(request))


@route("POST", "/quarantine/dismiss", Right.ADMINISTER | Right.OPERATE, refuses=CHANGING)
async def dismiss_refused_events(
    router: DetectorRouter, quarantine: Quarantine, /, request: Request, body: Body[EventsOfCause]
) -> CauseHandled:
    """Dismiss all waiting events of a cause, with one reason."""
    chosen, by = await body, who(request)

    def dismissed() -> CauseHandled:
        return quarantine.dismiss_all(quarantine.of_cause([*router.values()], chosen), by, chosen.reason)

    return await asyncio.to_thread(dismissed)


@route("GET", "/quarantine/{event_id}", Right.READ | Right.OPERATE, refuses=(404,))
async def get_refused_event(quarantine: Quarantine, /, event_id: str) -> RefusedEvent:
    """One refused event."""
    return await asyncio.to_thread(quarantine.one, event_id)


@route(
    "POST",
    "/quarantine/{event_id}/resubmit",
    Right.DECIDE | Right.ADMINISTER | Right.OPERATE,
    takes="CorrectedEvent",
    refuses=CHANGING,
)
async def resubmit_refused_event(
    resubmission: Resubmission, settings: Settings, /, event_id: str, request: Request
) -> Resubmitted:
    """Send the corrected event again: it is decided like any other; if it is refused again, the errors are returned and
    it stays. The decision is told to those who may read or send transactions.
    """
    found = await resubmission.send(event_id, await raw_body(request, settings.max_body_bytes), who(request))
    readable = may(request, Right.READ | Right.DECIDE, found.event.detector)
    return found if readable else msgspec.structs.replace(found, decision=None)


@route("POST", "/quarantine/{event_id}/dismiss", Right.ADMINISTER | Right.OPERATE, refuses=CHANGING)
async def dismiss_refused_event(
    quarantine: Quarantine, /, event_id: str, request: Request, body: Body[DismissEvent]
) -> RefusedEvent:
    """Dismiss an event, with a reason."""
    reason = (await body).reason
    return await asyncio.to_thread(quarantine.dismiss, event_id, who(request), reason)
