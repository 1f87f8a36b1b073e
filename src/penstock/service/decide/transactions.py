"""`/transactions`: asynchronous submission of transactions, and their status."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response

from penstock.config import Settings
from penstock.messages import Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.waiters import decided
from penstock.service.http import bodies
from penstock.service.http.openapi import answers
from penstock.service.http.problems import RequestRefused, of_refusal, printable
from penstock.service.port import Serving
from penstock.service.records.decisions import DetectorName, json_response

LONGEST_WAIT_S = 30.0
"""Seconds; below the timeouts of common proxies."""

_encode = msgspec.json.Encoder().encode


def add_routes(routes: FastAPI, desks: DetectorRouter, settings: Settings) -> None:
    """Add the routes."""

    @routes.post("/transactions", include_in_schema=False)
    async def transactions(request: Request) -> Response:
        return await _accept(request, None)

    @routes.post("/detectors/{name}/transactions", include_in_schema=False)
    async def transactions_of(name: str, request: Request) -> Response:
        return await _accept(request, desks.named(name))

    async def _accept(request: Request, desk: Serving | None) -> Response:
        given = await bodies.read_values(
            request.scope, request.receive, settings.max_body_bytes, partial(desks.set_aside, desk=desk)
        )
        taken = await desks.each(bodies.counted(given.values), desk, lambda its, events: its.accept(events))
        return _answer(taken, given.form)

    responses = {**answers("Processed", 404), 202: _PENDING}

    @routes.get("/transaction/{transaction_id:path}/status", tags=["decisions"], responses=responses)
    async def status(
        transaction_id: str,
        wait_seconds: Annotated[
            float, Query(ge=0, le=LONGEST_WAIT_S, description="How long to wait for the decision, where there is none yet.")
        ] = 0.0,
        detector: DetectorName = None,
    ) -> Response:
        """The status of a transaction; 202 while it is unknown, at the latest after `wait_seconds`."""
        among = desks.chosen(detector)
        found = await _outcome(among, printable(transaction_id), wait_seconds)
        if found is None:
            pending = {"status": "pending", "transaction_id": transaction_id}
            return Response(_encode(pending), status_code=202, media_type="application/json")
        return json_response(_encode({"status": "processed", **found}))


_PENDING: dict[str, Any] = {
    "description": "Nothing is known of it yet.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pending"}}},
}


async def _outcome(among: Sequence[Serving], transaction_id: str, wait_s: float) -> dict[str, Any] | None:
    """The outcome of a transaction, as soon as one of the detectors has it."""
    until = time.monotonic() + wait_s
    watches, sought = [desk.feed.watch for desk in among], _encode(transaction_id)
    while True:
        for desk in among:
            found = desk.engine.history.outcome(transaction_id)
            if found is not None:
                return found
        left = until - time.monotonic()
        if left <= 0 or any(watch.over for watch in watches):
            return None
        await decided(watches, sought, left)


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
