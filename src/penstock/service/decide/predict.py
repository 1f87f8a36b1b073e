"""The hot path: `POST /predict` from raw request to raw answer, without a framework."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from penstock.config import Settings
from penstock.identity.roles import Right
from penstock.messages import Decision, Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import Answer, Serving
from penstock.service.http import bodies
from penstock.service.http.problems import NO_SNIFFING, RequestRefused, of_refusal, send_problem
from penstock.service.http.requests import dry_run as asked_dry
from penstock.service.http.route import Routes

DECIDING = Right.DECIDE
"""The right for predict requests; for a dry run, reading is enough."""

route = Routes("decisions")
route.outside("POST", "/predict", DECIDING, answers=Decision, events="Decide events of {}")
route.outside("POST", "/detectors/{name}/predict", DECIDING, answers=Decision, events="Decide events of {}")


class Predict:
    """Handler of predict requests. `desk` is None if the path names no detector."""

    def __init__(self, desks: DetectorRouter, settings: Settings) -> None:
        self._desks = desks
        self._settings = settings

    async def __call__(self, scope: Any, receive: Any, send: Any, desk: Serving | None) -> int:
        """Answer one request and return the status.

        Raises:
            RequestRefused, PenstockError: the caller turns them into a problem document.
        """
        if scope["method"] != "POST":
            raise RequestRefused(405, "events are sent here by POST", headers=[(b"allow", b"POST, OPTIONS")])
        headers = scope["headers"]
        bodies.check_encoding(headers)
        dry_run = asked_dry(scope["query_string"])
        body = await bodies.read_body(scope, receive, self._settings.max_body_bytes)
        if bodies.is_ndjson(bodies.header(headers, b"content-type")):
            answers = await self._many(bodies.counted(bodies.lines(body)), desk, dry_run=dry_run)
            return await _send(send, b"".join(line + b"\n" for line in _rendered(answers)), bodies.NDJSON)
        match bodies.first_byte(body):
            case b"[":
                answers = await self._many(bodies.counted(self._elements(body, desk, keep=not dry_run)), desk, dry_run=dry_run)
                return await _send(send, b"[" + b",".join(_rendered(answers)) + b"]", bodies.JSON)
            case b"":
                raise RequestRefused(400, "the body is empty; send an event as a JSON object")
            case _:
                return await self._one(body, desk, send, dry_run=dry_run)

    async def _one(self, body: bytes, desk: Serving | None, send: Any, *, dry_run: bool) -> int:
        taking = desk or self._desks.taking(body)
        if isinstance(taking, Refusal) and not dry_run:
            self._desks.set_aside(body, taking)
        answer = taking if isinstance(taking, Refusal) else (await taking.submit((body,), dry_run=dry_run))[0]
        if isinstance(answer, bytes):
            return await _send(send, answer, bodies.JSON)
        refused = RequestRefused(answer.status, answer.detail, answer.errors)
        await send_problem(send, refused)
        return refused.status

    async def _many(self, events: Sequence[bytes], desk: Serving | None, *, dry_run: bool) -> list[Answer]:
        return await self._desks.each(events, desk, partial(_decide, dry_run=dry_run), keep=not dry_run)

    def _elements(self, body: bytes, desk: Serving | None, *, keep: bool) -> list[bytes]:
        """The events of an array; invalid JSON goes to quarantine as a whole, if `keep` is set."""

        def aside(refusal: Refusal) -> None:
            if keep:
                self._desks.set_aside(body, refusal, desk)

        return bodies.elements_or(body, aside)


async def _decide(desk: Serving, events: Sequence[bytes], *, dry_run: bool) -> list[Answer]:
    return await desk.decide(events, dry_run=dry_run)


def _rendered(answers: Sequence[Answer]) -> list[bytes]:
    return [of_refusal(answer) if isinstance(answer, Refusal) else answer for answer in answers]


async def _send(send: Any, body: bytes, content_type: bytes) -> int:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), NO_SNIFFING]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return 200
