"""`/transactions`: asynchronous submission of transactions, and their status."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from msgspec import UNSET, Meta, UnsetType

from penstock.cases.members import case_of, member_of
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.identity.roles import Right
from penstock.messages import Reason, Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.options import PARAMETERS, Strict, strictly
from penstock.service.decide.port import ServedDetector
from penstock.service.decide.waiters import decided
from penstock.service.http import bodies
from penstock.service.http.operation import json_content, ref
from penstock.service.http.problems import RequestRefused, of_refusal, printable
from penstock.service.http.requests import DetectorName, filled, json_answer
from penstock.service.http.route import Routes

LONGEST_WAIT_S = 30.0
"""Seconds; below the timeouts of common proxies."""

_encode = msgspec.json.Encoder().encode


class Accepted(msgspec.Struct):
    """A transaction that was accepted and will be decided."""

    transaction_id: str
    status: Literal["accepted"]


class Pending(msgspec.Struct):
    """A transaction that may have been submitted, and is not decided yet."""

    transaction_id: str
    status: Literal["pending"]
    retry_after: Annotated[int, Meta(description="Seconds to wait before the next question.")]


class ReviewOutcome(msgspec.Struct, frozen=True):
    """The state of the review of a transaction, and the verdict on it: what releases or refuses a held payment."""

    case_id: Annotated[str, Meta(description="The case, as `GET /cases/{case_id}` has it.")]
    state: Annotated[Literal["open", "taken", "escalated", "decided"], Meta(description="`decided` once there is a verdict.")]
    verdict: Annotated[
        Literal["fraud", "good", "unsure"] | None,
        Meta(description="Null until the case, or the transaction in it, is decided."),
    ]
    reason: Annotated[str | None, Meta(description="The reason code of the verdict; null where none was given.")]
    decided_at: Annotated[str | None, Meta(description="When the verdict was given; a corrected one replaces it.")]


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
    review: Annotated[ReviewOutcome | None, Meta(description="Null while the transaction has no case.")]


async def _outcome(among: Sequence[ServedDetector], transaction_id: str, wait_s: float) -> dict[str, Any] | None:
    """The outcome of a transaction, as soon as one of the detectors has it."""
    until = time.monotonic() + wait_s
    watches, sought = [served.feed.watch for served in among], _encode(transaction_id)
    while True:
        for served in among:
            found = served.engine.history.outcome(transaction_id)
            if found is not None:
                return found
        left = until - time.monotonic()
        if left <= 0 or any(watch.over for watch in watches):
            return None
        await decided(watches, sought, left)


def _review(cases: Cases, detector: str, transaction_id: str) -> ReviewOutcome | None:
    """The outcome of the review of a transaction; None if it is in no case. Waits for the database."""
    member = member_of(cases.database, detector, transaction_id)
    if member is None:
        return None
    case = cases.case(case_of(cases.database, detector, transaction_id) or "")
    state = "decided" if member.verdict is not None else case.state
    return filled(ReviewOutcome, member, case_id=case.id, state=state, reason=member.reason_code)


def _answer(taken: Sequence[str | Refusal], form: str) -> Response:
    """The answer 202, in the form of the request; a single refused transaction is refused as a whole."""
    if form == "one" and isinstance(taken[0], Refusal):
        raise RequestRefused(taken[0].status, taken[0].detail, taken[0].errors)
    parts = [_taken(each) for each in taken]
    match form:
        case "one":
            return Response(parts[0], status_code=202, media_type="application/json")
        case "array":
            return Response(b"[" + b",".join(parts) + b"]", status_code=202, media_type="application/json")
    lines = b"".join(part + b"\n" for part in parts)
    return Response(lines, status_code=202, media_type=bodies.NDJSON.decode())


def _taken(each: str | Refusal) -> bytes:
    return of_refusal(each) if isinstance(each, Refusal) else _encode({"transaction_id": each, "status": "accepted"})


async def _accepting(served: ServedDetector, events: Sequence[bytes]) -> list[str | Refusal]:
    return await served.accept(events)


async def _accept(
    router: DetectorRouter, settings: Settings, request: Request, served: ServedDetector | None, *, strict: bool
) -> Response:
    refused = partial(router.quarantine_refused, served=served)
    given = await bodies.read_values(request.scope, request.receive, settings.max_body_bytes, refused)
    taken = await router.each(bodies.counted(given.values), served, strictly(_accepting) if strict else _accepting)
    return _answer(taken, given.form)


# ---------------------------------------------------------------- routes

route = Routes("decisions", by_detector=True)

_STRICT = {"strict": PARAMETERS["strict"]}
_TAKES_IN = "Take in events of {}, to be decided"
_RETRY_AFTER_S = 1
_PENDING = {202: {"description": "It may have been submitted, and is not decided yet.", "content": json_content(ref(Pending))}}


@route("POST", "/transactions", Right.DECIDE, answers=Accepted, status=202, hidden=True, events=_TAKES_IN, parameters=_STRICT)
async def transactions(router: DetectorRouter, settings: Settings, /, request: Request, *, strict: Strict = False) -> Response:
    """Accept transactions of whichever detector fits."""
    return await _accept(router, settings, request, None, strict=strict)


@route(
    "POST",
    "/detectors/{name}/transactions",
    Right.DECIDE,
    answers=Accepted,
    status=202,
    hidden=True,
    events=_TAKES_IN,
    parameters=_STRICT,
)
async def transactions_of(
    router: DetectorRouter, settings: Settings, /, name: str, request: Request, *, strict: Strict = False
) -> Response:
    """Accept transactions of one detector."""
    return await _accept(router, settings, request, router.named(name), strict=strict)


@route(
    "GET",
    "/transaction/{transaction_id:path}/status",
    Right.DECIDE | Right.READ,
    answers=Processed,
    waits=Pending,
    refuses=(404,),
    responses=_PENDING,
)
async def get_transaction_status(
    router: DetectorRouter,
    cases: Cases | None,
    /,
    transaction_id: str,
    wait_seconds: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT_S, description="How long to wait for the decision, where there is none yet.")
    ] = 0.0,
    detector: DetectorName = None,
) -> Response:
    """The status of a transaction and of its review: 202 while it may be undecided, 404 for an id that nobody submitted.

    With a broker, an id is unknown once all transactions that were submitted before the first question are decided.
    """
    among, wanted = router.chosen(detector), printable(transaction_id)
    found = await _outcome(among, wanted, wait_seconds)
    if found is None:
        settled = all([await served.settled(wanted) for served in among])
        found = await _outcome(among, wanted, 0)  # decided meanwhile
        if found is None:
            return _unknown(transaction_id, settled=settled)
    review = None if cases is None else await asyncio.to_thread(_review, cases, found["detector"], found["transaction_id"])
    return json_answer({"status": "processed", **found, "review": review})


def _unknown(transaction_id: str, *, settled: bool) -> Response:
    """The answer about an id without a decision; settled: nobody submitted it."""
    if settled:
        detail = f"no transaction {transaction_id[:200]!r} was submitted; submitting one under this id is safe"
        raise RequestRefused(404, detail, code="unknown_transaction")
    answer = json_answer(Pending(transaction_id, "pending", _RETRY_AFTER_S), 202)
    answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return answer
