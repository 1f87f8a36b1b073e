"""The outermost ASGI application: authorizes requests and routes hot paths to their handler, everything else to FastAPI."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Coroutine, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

from starlette.routing import Match

from penstock.config import Settings
from penstock.identity.roles import LOCAL
from penstock.messages import Refusal
from penstock.service.access.authorize import Access
from penstock.service.access.credentials import REFRESH_S
from penstock.service.access.sign_ins import OUTCOMES, WAYS
from penstock.service.decide.detectors import DetectorRouter, limited_to
from penstock.service.decide.port import Answer, ServedDetector
from penstock.service.decide.predict import Predict, answer_headers
from penstock.service.http.bodies import BODY_TIMEOUT
from penstock.service.http.problems import NO_SNIFFING, NO_STORE, RequestRefused, headers, of_error, send_problem
from penstock.service.http.protocol import Respond
from penstock.service.http.requests import ACTOR, VISIBLE, extra_headers
from penstock.service.http.tracing import CURRENT, Tracing

_VERSION = "/v1/"
_BEFORE, _AFTER = "/detectors/", "/predict"
_LASTING = "/live"
_POLICY = 1008
"""The WebSocket close code for a viewer who lost access."""

_REJECTED = {408: "body_timeout", 413: "body_size"}

_log = logging.getLogger("penstock.requests")


class EntryPoint:
    """Routes requests, counts them by route and status, and turns every error into a problem document.

    rejected: requests refused by a bound of bytes, time or connections, by reason. connections: the open ones.
    """

    def __init__(
        self,
        app: Any,
        router: DetectorRouter,
        predict: Predict,
        access: Access | None = None,
        tracing: Tracing | None = None,
        *,
        body_timeout_s: float = Settings().body_timeout_s,
    ) -> None:
        self.app = app
        self._body_timeout_s = body_timeout_s
        self._tracing = tracing
        self.access = access
        self.requests: Counter[tuple[str, int]] = Counter()
        self.rejected: Counter[str] = Counter()
        self.connections: Collection[object] = ()
        self._router = router
        self._predict = predict

    def sign_ins(self) -> Iterator[tuple[str, str, int]]:
        """Sign-in attempts, by way and outcome."""
        counts: Mapping[tuple[str, str], int] = {} if self.access is None else self.access.sign_ins.counts
        return ((way, outcome, counts.get((way, outcome), 0)) for way, outcome in product(WAYS, OUTCOMES))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one ASGI request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope = _unversioned(scope)
        scope[BODY_TIMEOUT] = self._body_timeout_s
        if scope["type"] == "http":
            send = _with_headers(scope, send)
        hot = scope["path"] == _AFTER or _names_detector(scope["path"])
        try:
            if self.access is not None and self.access.sign_on is not None:
                await self.access.authenticate(scope)
            self._authorize(scope, hot=hot)
        except RequestRefused as refused:
            await _refuse(scope, send, refused)
            self._answered(scope, _AFTER if hot else "other", refused.status, refused.reason)
            return
        if not hot:
            _unquote_cookies(scope)
        with limited_to(scope.get(VISIBLE)):
            await self._answer(scope, receive, send, hot=hot)

    async def _answer(self, scope: Any, receive: Any, send: Any, *, hot: bool) -> None:
        """Answer an authorized request."""
        if scope["type"] != "http":
            await self._while_let_in(scope, self.app(scope, receive, send), send)
        elif hot:
            await self._hot(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self._options(scope, send)
        else:
            await self._ordinary(scope, receive, send)

    def _authorize(self, scope: Any, *, hot: bool) -> None:
        if self.access is None:
            scope[ACTOR] = LOCAL
        else:
            self.access.authorize(scope, hot=hot)

    def ask(self, scope: Any, body: bytes, respond: Respond) -> bool:
        """Answer a `POST /predict` as the protocol of a connection asks: see `Ask`. Only one plain event is taken."""
        slow = self._tracing is not None or (self.access is not None and self.access.sign_on is not None)
        if slow or not self._predict.is_plain(scope["headers"], body):
            return False
        on_answer = partial(self._respond, scope, respond)
        try:
            self._authorize(scope, hot=True)
            with limited_to(scope.get(VISIBLE)):
                self._predict.ask(body, on_answer)
        except Exception as error:  # noqa: BLE001 - as in `_hot`
            on_answer(error)
        return True

    def _respond(self, scope: Any, respond: Respond, answer: Answer | Exception) -> None:
        extra = extra_headers(scope)
        if isinstance(answer, bytes):
            respond(200, [*answer_headers(len(answer)), *extra], answer)
            self._answered(scope, _AFTER, 200)
        else:
            said = RequestRefused.of(answer) if isinstance(answer, Refusal) else of_error(answer)
            respond(said.status, [*headers(said.status, len(said.problem), said.headers), *extra], said.problem)
            self._answered(scope, _AFTER, said.status, said.reason)

    async def _hot(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "OPTIONS":
            await send_options(send, {"POST", "OPTIONS"})
            return
        traced = None if self._tracing is None else self._tracing.begin(scope["headers"])
        token = None if traced is None else CURRENT.set(traced)
        try:
            status = await self._predict(scope, receive, send, self._served_by(scope["path"]))
        except Exception as error:  # noqa: BLE001 - this is where every error of the hot path becomes an answer
            refused = of_error(error)
            status = refused.status
            await send_problem(send, refused)
        self._answered(scope, _AFTER, status)
        if self._tracing is not None and traced is not None and token is not None:
            CURRENT.reset(token)
            self._tracing.end(traced, _AFTER, status)

    def _answered(self, scope: Any, route: str, status: int, reason: str | None = None) -> None:
        """Count a request, and log it at debug level, without keys and values."""
        self.requests[route, status] += 1
        if reason is not None:
            self.rejected[reason] += 1
        if status in _REJECTED:
            self.rejected[_REJECTED[status]] += 1
        if _log.isEnabledFor(logging.DEBUG):
            said = {"method": scope.get("method", "WEBSOCKET"), "route": route, "status": status}
            _log.debug("answered", extra=said)

    def _served_by(self, path: str) -> ServedDetector | None:
        return None if path == _AFTER else self._router.named(path[len(_BEFORE) : -len(_AFTER)])

    async def _ordinary(self, scope: Any, receive: Any, send: Any) -> None:
        recorder = _StatusRecorder(send)
        # HEAD is GET without the body, which the server drops because it knows the requested method.
        asked = scope if scope["method"] != "HEAD" else {**scope, "method": "GET"}
        answering = self.app(asked, receive, recorder)
        try:
            await (self._while_let_in(scope, answering, recorder) if scope["path"] == _LASTING else answering)
        except Exception as error:
            if not recorder.status:
                await send_problem(recorder, of_error(error))
            elif not recorder.complete:
                raise
        self._answered(asked, getattr(asked.get("route"), "path", "other"), recorder.status)

    async def _while_let_in(self, scope: Any, answering: Coroutine[Any, Any, None], send: Any) -> None:
        """Run a streaming answer until its end, or until its actor loses access."""
        if self.access is None:
            await answering
            return
        task = asyncio.ensure_future(answering)
        try:
            while not (await asyncio.wait([task], timeout=REFRESH_S))[0]:
                if not self.access.still_authorized(scope):
                    await _hang_up(scope, task, send)
                    return
        finally:
            task.cancel()
            await asyncio.wait([task])
        task.result()

    async def _options(self, scope: Any, send: Any) -> None:
        """Answer OPTIONS with the methods of a path."""
        methods: set[str] = set()
        for route in self.app.routes:
            if route.matches({**scope, "method": "GET"})[0] is not Match.NONE:
                methods |= getattr(route, "methods", None) or set()
        if not methods:
            await send_problem(send, RequestRefused(404, "there is nothing at this path; /docs lists what there is"))
            return
        await send_options(send, methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


def _unversioned(scope: Any) -> Any:
    """The scope of a request below /v1: this version of the API, whose paths are answered without the prefix, too."""
    if not scope["path"].startswith(_VERSION):
        return scope
    raw: bytes = scope.get("raw_path") or b""
    return {**scope, "path": scope["path"][len(_VERSION) - 1 :], "raw_path": raw.removeprefix(_VERSION[:-1].encode())}


def _with_headers(scope: Any, send: Any) -> Any:
    """An ASGI `send` that adds the headers of every answer."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *extra_headers(scope)]}
        await send(message)

    return sending


class _StatusRecorder:
    """An ASGI `send` that adds headers to every answer; it records the status, and whether the answer is complete."""

    def __init__(self, send: Any) -> None:
        self.status = 0
        self.complete = False
        self._send = send

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name for name, _ in given}
            message = {**message, "headers": given + [each for each in (NO_SNIFFING, NO_STORE) if each[0] not in names]}
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
        await self._send(message)


def _unquote_cookies(scope: Any) -> None:
    """Remove quotes from cookies, which ours do not have: FastAPI parses all of them, quoted ones in quadratic time."""
    if any(name == b"cookie" and b'"' in value for name, value in scope["headers"]):
        scope["headers"] = [
            (name, value.replace(b'"', b"") if name == b"cookie" else value) for name, value in scope["headers"]
        ]


async def _refuse(scope: Any, send: Any, refused: RequestRefused) -> None:
    """Answer with a refusal; a WebSocket is refused before it is accepted."""
    if scope["type"] == "http":
        await send_problem(send, refused)
    elif "websocket.http.response" in scope.get("extensions", {}):
        head = headers(refused.status, len(refused.problem), refused.headers)
        await send({"type": "websocket.http.response.start", "status": refused.status, "headers": head})
        await send({"type": "websocket.http.response.body", "body": refused.problem})
    else:
        await send({"type": "websocket.close"})


async def _hang_up(scope: Any, task: asyncio.Future[None], send: Any) -> None:
    task.cancel()
    await asyncio.wait([task])
    with contextlib.suppress(Exception):  # already disconnected
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY, "reason": "the key or session has ended"})
        else:
            await send({"type": "http.response.body", "body": b""})


async def send_options(send: Any, methods: set[str]) -> None:
    """Answer OPTIONS."""
    allow = ", ".join(sorted(methods)).encode()
    await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allow), NO_SNIFFING]})
    await send({"type": "http.response.body", "body": b""})


def _names_detector(path: str) -> bool:
    return path.startswith(_BEFORE) and path.endswith(_AFTER) and "/" not in path[len(_BEFORE) : -len(_AFTER)]
