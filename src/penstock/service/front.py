"""The outermost ASGI application: hot paths go straight to their handler, everything else to FastAPI."""

from collections import Counter
from typing import Any

from starlette.routing import Match

from penstock.service.desks import Desks
from penstock.service.port import Serving
from penstock.service.predict import Predict
from penstock.service.problems import RequestRefused, of_error, send_problem

_BEFORE, _AFTER = "/detectors/", "/predict"


class Front:
    """Routes, counts requests by route and status, and turns every error into a problem document."""

    def __init__(self, app: Any, desks: Desks, predict: Predict) -> None:
        self.app = app
        self.requests: Counter[tuple[str, int]] = Counter()
        self._desks = desks
        self._predict = predict

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request (or the lifespan) as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == _AFTER or _names_detector(scope["path"]):
            await self._hot(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await self._options(scope, send)
        else:
            await self._ordinary(scope, receive, send)

    async def _hot(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "OPTIONS":
            await send_options(send, {"POST", "OPTIONS"})
            return
        try:
            status = await self._predict(scope, receive, send, self._desk(scope["path"]))
        except Exception as error:  # noqa: BLE001 - this is where every error of the hot path becomes an answer
            refused = of_error(error)
            status = refused.status
            await send_problem(send, refused)
        self.requests[_AFTER, status] += 1

    def _desk(self, path: str) -> Serving | None:
        return None if path == _AFTER else self._desks.named(path[len(_BEFORE) : -len(_AFTER)])

    async def _ordinary(self, scope: Any, receive: Any, send: Any) -> None:
        seen = _Seen(send)
        # HEAD is GET without the body, which the server drops because it knows the method that was asked for.
        asked = scope if scope["method"] != "HEAD" else {**scope, "method": "GET"}
        try:
            await self.app(asked, receive, seen)
        except Exception as error:
            if not seen.status:
                await send_problem(seen, of_error(error))
            elif not seen.complete:
                raise
        self.requests[getattr(asked.get("route"), "path", "other"), seen.status] += 1

    async def _options(self, scope: Any, send: Any) -> None:
        """What may be done with a path."""
        methods: set[str] = set()
        for route in self.app.routes:
            if route.matches({**scope, "method": "GET"})[0] is not Match.NONE:
                methods |= getattr(route, "methods", None) or set()
        if not methods:
            await send_problem(send, RequestRefused(404, "there is nothing at this path; /docs lists what there is"))
            return
        await send_options(send, methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


class _Seen:
    """An ASGI `send` that remembers which status was sent, and whether the answer is complete."""

    def __init__(self, send: Any) -> None:
        self.status = 0
        self.complete = False
        self._send = send

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
        await self._send(message)


async def send_options(send: Any, methods: set[str]) -> None:
    """Answer OPTIONS."""
    allow = ", ".join(sorted(methods)).encode()
    await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allow)]})
    await send({"type": "http.response.body", "body": b""})


def _names_detector(path: str) -> bool:
    return path.startswith(_BEFORE) and path.endswith(_AFTER) and "/" not in path[len(_BEFORE) : -len(_AFTER)]
