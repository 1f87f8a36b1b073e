"""The hot path: `POST /predict` from raw request to raw answer, without a framework."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from penstock.config import Settings
from penstock.identity.roles import Right
from penstock.messages import Decision, Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.options import PARAMETERS, Asking, PredictOptions, options, strictly
from penstock.service.decide.port import Answer, OnAnswer, ServedDetector
from penstock.service.http import bodies
from penstock.service.http.problems import NO_SNIFFING, RequestRefused, of_refusal
from penstock.service.http.protocol import Headers
from penstock.service.http.route import Routes

DECIDING = Right.DECIDE
"""The right for predict requests; for a dry run, reading is enough."""

route = Routes("decisions", by_detector=True)
route.outside("POST", "/predict", DECIDING, answers=Decision, events="Decide events of {}", parameters=PARAMETERS)
route.outside(
    "POST", "/detectors/{name}/predict", DECIDING, answers=Decision, events="Decide events of {}", parameters=PARAMETERS
)


class Predict:
    """Handler of predict requests. `served` is None if the path names no detector."""

    def __init__(self, router: DetectorRouter, settings: Settings) -> None:
        self._router = router
        self._settings = settings

    async def __call__(self, scope: Any, receive: Any, send: Any, served: ServedDetector | None) -> int:
        """Answer one request and return the status.

        Raises:
            RequestRefused, PenstockError: the caller turns them into a problem document.
        """
        if scope["method"] != "POST":
            raise RequestRefused(405, "events are sent here by POST", headers=[(b"allow", b"POST, OPTIONS")])
        headers = scope["headers"]
        asked = options(scope["query_string"])
        body = await bodies.read_body(scope, receive, self._settings.max_body_bytes)
        if bodies.is_ndjson(bodies.header(headers, b"content-type")):
            answers = await self._many(bodies.counted(bodies.lines(body)), served, asked)
            return await _send(send, b"".join(line + b"\n" for line in _rendered(answers)), bodies.NDJSON)
        match bodies.first_byte(body):
            case b"[":
                events = bodies.counted(self._elements(body, served, keep=not asked.dry_run))
                answers = await self._many(events, served, asked)
                return await _send(send, b"[" + b",".join(_rendered(answers)) + b"]", bodies.JSON)
            case b"":
                raise RequestRefused(400, "the body is empty; send an event as a JSON object")
            case _:
                return await self._one(body, served, send, asked)

    def is_plain(self, headers: Headers, body: bytes) -> bool:
        """Whether a body is one event as JSON, and nothing in the head says otherwise."""
        for name, value in headers:
            if name == b"content-encoding" or (name == b"content-type" and value != bodies.JSON and bodies.is_ndjson(value)):
                return False
        return body[:1] == b"{" and len(body) <= self._settings.max_body_bytes

    def ask(self, body: bytes, on_answer: OnAnswer) -> None:
        """Decide one event, and tell the answer.

        Raises:
            RequestRefused: no detector takes it. NotReady, LedgerError, Busy: it cannot be decided now. Nothing is told then.
        """
        self._taking(body, dry_run=False).ask(body, on_answer)

    def _taking(self, body: bytes, *, dry_run: bool) -> ServedDetector:
        taking = self._router.taking(body)
        if isinstance(taking, Refusal):
            if not dry_run:
                self._router.quarantine_refused(body, taking)
            raise RequestRefused.of(taking)
        return taking

    async def _one(self, body: bytes, served: ServedDetector | None, send: Any, asked: PredictOptions) -> int:
        [answer] = await _asking(asked, _submit)(served or self._taking(body, dry_run=asked.dry_run), (body,))
        if isinstance(answer, Refusal):
            raise RequestRefused.of(answer)
        return await _send(send, answer, bodies.JSON)

    async def _many(self, events: Sequence[bytes], served: ServedDetector | None, asked: PredictOptions) -> list[Answer]:
        return await self._router.each(events, served, _asking(asked, _decide), keep=not asked.dry_run)

    def _elements(self, body: bytes, served: ServedDetector | None, *, keep: bool) -> list[bytes]:
        """The events of an array; invalid JSON goes to quarantine as a whole, if `keep` is set."""

        def on_refused(refusal: Refusal) -> None:
            if keep:
                self._router.quarantine_refused(body, refusal, served)

        return bodies.elements_or(body, on_refused)


async def _submit(served: ServedDetector, events: Sequence[bytes], *, dry_run: bool) -> list[Answer]:
    return await served.submit(events, dry_run=dry_run)


async def _decide(served: ServedDetector, events: Sequence[bytes], *, dry_run: bool) -> list[Answer]:
    return await served.decide(events, dry_run=dry_run)


def _asking(asked: PredictOptions, decide: Callable[..., Awaitable[list[Answer]]]) -> Asking[bytes]:
    """How a request's events are decided, and answered as it asks for."""

    async def asking(served: ServedDetector, events: Sequence[bytes]) -> list[Answer]:
        return [asked.of(answer) for answer in await decide(served, events, dry_run=asked.dry_run)]

    return strictly(asking, keep=not asked.dry_run) if asked.strict else asking


def _rendered(answers: Sequence[Answer]) -> list[bytes]:
    return [of_refusal(answer) if isinstance(answer, Refusal) else answer for answer in answers]


def answer_headers(length: int, content_type: bytes = bodies.JSON) -> Headers:
    """The headers of decisions."""
    return [(b"content-type", content_type), (b"content-length", b"%d" % length), NO_SNIFFING]


async def _send(send: Any, body: bytes, content_type: bytes) -> int:
    await send({"type": "http.response.start", "status": 200, "headers": answer_headers(len(body), content_type)})
    await send({"type": "http.response.body", "body": body})
    return 200
