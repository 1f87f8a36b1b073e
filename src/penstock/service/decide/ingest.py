"""Routes for labels and informing events, answered when durable."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import Request

from penstock.cases.case import SOURCE
from penstock.config import Settings
from penstock.decoding import prepared
from penstock.errors import DataError
from penstock.identity.roles import Right
from penstock.ingest.label_rows import read_label_rows
from penstock.ingest.worded import worded
from penstock.messages import Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.options import Strict, strictly
from penstock.service.decide.port import ServedDetector
from penstock.service.http import bodies
from penstock.service.http.operation import answer, text_content
from penstock.service.http.problems import Problem, RequestRefused, of_refusal
from penstock.service.http.requests import may, raw_body
from penstock.service.http.route import Routes

PORTION = 256
"""Elements submitted at once; other requests are served between portions."""


_MOST_ERRORS = 20


class _Addressed(msgspec.Struct):
    """The fields of a label that determine its detector and its source."""

    transaction_id: str | int | None = None
    detector: str | None = None
    source: Any = None


class _Typed(msgspec.Struct):
    """The field of an informing event that determines its detectors."""

    type: str | None = None


_addressed = msgspec.json.Decoder(prepared(_Addressed))
_typed = msgspec.json.Decoder(prepared(_Typed))


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


class Refused(msgspec.Struct):
    """A refused informing event: its place in the request, and the error."""

    index: int
    problem: Problem


class EventAnswer(msgspec.Struct):
    """How many informing events were accepted."""

    accepted: int
    refused: list[Refused]


async def _label_all(router: DetectorRouter, given: Sequence[bytes | Refusal], request: Request) -> list[bytes | Refusal]:
    """The answers to labels in order, in portions; values refused before are answered with their refusal."""
    found: list[bytes | Refusal] = []
    for start in range(0, len(given), PORTION):
        portion = given[start : start + PORTION]
        answered = iter(await _label(router, [label for label in portion if isinstance(label, bytes)], request))
        found += [label if isinstance(label, Refusal) else next(answered) for label in portion]
    return found


async def _label(router: DetectorRouter, given: Sequence[bytes], request: Request) -> list[bytes | Refusal]:
    """The answers to labels in order; each detector gets its labels in order."""
    found: list[bytes | Refusal] = [b""] * len(given)
    places: dict[str, list[int]] = {}
    for place, label in enumerate(given):
        meant = _meant(router, label, request)
        if isinstance(meant, Refusal):
            found[place] = meant
        else:
            places.setdefault(meant.name, []).append(place)
    for name, where in places.items():
        taken = await router[name].label(b"[" + b",".join(given[place] for place in where) + b"]")
        for place, reply in zip(where, taken, strict=True):
            found[place] = reply if isinstance(reply, Refusal) else msgspec.json.encode(reply)
    return found


def _unknown_in(label: bytes) -> Refusal | None:
    """The refusal of a label with a field that labels do not have."""
    try:
        bodies.check_fields(label, Label)
    except RequestRefused as refused:
        return Refusal(refused.status, str(refused), refused.errors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # its refusal follows
    return None


def _meant(router: DetectorRouter, label: bytes, request: Request) -> ServedDetector | Refusal:
    """The detector that a label names, or the one that decided its transaction.

    Verdicts come from people: callers without the right to give them must name another source.
    """
    try:
        addressed = _addressed.decode(label)
    except msgspec.ValidationError as error:
        field, message = worded(error, label)
        if field is None:
            return Refusal(422, "a label is a JSON object with transaction_id and fraud")
        return Refusal(422, message, ((field, message),))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refusal(400, f"this is not valid JSON: {error}")
    meant = _addressee(router, addressed)
    if addressed.source == SOURCE and not isinstance(meant, Refusal) and not may(request, Right.LABEL, meant.name):
        message = f"labels of the source {SOURCE!r} are verdicts, which this key may not give; name another source"
        return Refusal(403, message, (("source", message),))
    return meant


def _addressee(router: DetectorRouter, addressed: _Addressed) -> ServedDetector | Refusal:
    if addressed.detector is not None:
        return router.get(addressed.detector) or _no_such(router, addressed.detector)
    if router.only is not None:
        return router.only
    wanted = str(addressed.transaction_id)
    deciders = [served for served in router.values() if served.engine.queries.transaction(wanted) is not None]
    if len(deciders) == 1:
        return deciders[0]
    names = ", ".join(served.name for served in deciders) or "none"
    message = f"name the detector; of those served here ({', '.join(router)}) this transaction was decided by {names}"
    return Refusal(422, message, (("detector", message),))


def _no_such(router: DetectorRouter, name: str) -> Refusal:
    try:
        router.check_visible(name)
    except RequestRefused as refused:
        return Refusal(refused.status, str(refused), (("detector", str(refused)),))
    message = f"no detector {name[:200]!r} is served here, only {', '.join(router)}"
    return Refusal(422, message, (("detector", message),))


async def _inform(router: DetectorRouter, given: Sequence[bytes], *, strict: bool) -> list[Refusal | None]:
    """Send every event to the detectors that take its type; strict: none that has a field unknown to one of them."""
    tell = strictly(_telling) if strict else _telling
    if router.only is not None:
        return await tell(router.only, given)
    found: list[Refusal | None] = [_no_taker(router, event) for event in given]
    for served in router.values():
        where = [place for place, event in enumerate(given) if found[place] is None and _type(event) in served.engine.informs]
        if where:
            for place, refusal in zip(where, await tell(served, [given[place] for place in where]), strict=True):
                found[place] = refusal
    return found


async def _telling(served: ServedDetector, events: Sequence[bytes]) -> list[Refusal | None]:
    return await served.inform(events)


def _no_taker(router: DetectorRouter, event: bytes) -> Refusal | None:
    known = sorted({name for served in router.values() for name in served.engine.informs})
    if _type(event) in known:
        return None
    message = f"one of {', '.join(known)} is expected" if known else "no detector served here takes informing events"
    return Refusal(422, f"the event's type is not known: {message}", (("type", message),))


def _type(event: bytes) -> str | None:
    try:
        return _typed.decode(event).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _none_accepted(refused: Sequence[tuple[int, Refusal]], form: str) -> RequestRefused:
    """The refusal of a request with no acceptable event; of several, each error names the place of its event."""
    if not refused:
        return RequestRefused(422, "the body holds no event; send at least one")
    first = refused[0][1]
    if form == "one":
        return RequestRefused.of(first)
    errors = [(f"[{place}]", refusal.detail) for place, refusal in refused[:_MOST_ERRORS]]
    return RequestRefused(422, f"none of {len(refused)} events was accepted; the first: {first.detail}", errors)


def _accepted(answer: bytes | Refusal) -> bytes:
    if isinstance(answer, Refusal):
        raise RequestRefused.of(answer)
    return answer


def _each(found: Sequence[bytes | Refusal]) -> bytes:
    return b"[" + b",".join(_rendered(answer) for answer in found) + b"]"


def _rendered(answer: bytes | Refusal) -> bytes:
    return of_refusal(answer) if isinstance(answer, Refusal) else answer


# ---------------------------------------------------------------- routes

route = Routes("events", by_detector=True)

_CSV = {"requestBody": {"required": True, "content": text_content("text/csv", "transaction_id,fraud\ntx-1,true\n")}}


@route(
    "POST",
    "/labels",
    Right.LABEL | Right.DECIDE,
    answers=LabelAnswer,
    takes=Label,
    many=True,
    refuses=(400, 404, 408, 413, 415),
)
async def submit_labels(router: DetectorRouter, settings: Settings, /, request: Request, *, strict: Strict = False) -> bytes:
    """Labels of transactions: one label or an array, each answered in its place."""
    if bodies.is_csv(bodies.header(request.headers.raw, b"content-type")):
        return await submit_label_table(router, settings, request)
    given, form = await bodies.read_values(request.scope, request.receive, settings.max_body_bytes)
    read = [(_unknown_in(label) if strict else None) or label for label in given]
    found = await _label_all(router, read, request)
    return _accepted(found[0]) if form == "one" else _each(found)


@route(
    "POST",
    "/labels/csv",
    Right.LABEL | Right.DECIDE,
    answers=LabelAnswer,
    many=True,
    refuses=(400, 408, 413, 415),
    extra=_CSV,
)
async def submit_label_table(router: DetectorRouter, settings: Settings, /, request: Request) -> bytes:
    """Labels as a CSV table with transaction_id, fraud, and optionally known_at, source, kind, detector; answered by
    row.
    """
    try:
        rows = await asyncio.to_thread(read_label_rows, await raw_body(request, settings.max_body_bytes))
    except DataError as error:
        raise RequestRefused(422, str(error)) from None
    return _each(await _label_all(router, rows, request))


@route(
    "POST",
    "/events",
    Right.DECIDE,
    answers=EventAnswer,
    takes="InformingEvent",
    many=True,
    status=202,
    refuses=(400, 408, 413, 415),
    responses={202: answer(EventAnswer, 202)},
)
async def submit_events(
    router: DetectorRouter, settings: Settings, /, request: Request, *, strict: Strict = False
) -> dict[str, Any]:
    """Send informing events, which change state and get no decision: logins, declines, refunds. Durable when answered.

    422 if none of them is accepted.
    """
    given, form = await bodies.read_values(request.scope, request.receive, settings.max_body_bytes)
    refused: list[tuple[int, Refusal]] = []
    for start in range(0, len(given), PORTION):
        found = await _inform(router, given[start : start + PORTION], strict=strict)
        refused += [(start + place, refusal) for place, refusal in enumerate(found) if refusal is not None]
    if len(refused) == len(given):
        raise _none_accepted(refused, form)
    problems = [{"index": place, "problem": msgspec.Raw(of_refusal(refusal))} for place, refusal in refused]
    return {"accepted": len(given) - len(refused), "refused": problems}
