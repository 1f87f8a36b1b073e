"""`WS /ws/live`: the live messages over a WebSocket."""

import asyncio
import contextlib

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from penstock.identity.roles import Right
from penstock.service.http.problems import Busy, RequestRefused
from penstock.service.http.protocol import response
from penstock.service.http.requests import is_own
from penstock.service.http.route import Routes
from penstock.service.live.stream import Live

GOING_AWAY, TRY_LATER = 1001, 1013
"""The WebSocket close codes of a server that stops, or has no room."""

_LONGEST = 18
"""Maximum digits of an alert number."""

GOODBYE_S = 1.0
"""Seconds that a viewer may take to receive it."""


class HangingUpProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, which answers invalid handshakes, and at a stop does not wait for slow viewers."""

    def data_received(self, data: bytes) -> None:
        """Feed the head of the handshake, which comes in one piece, or frames."""
        super().data_received(data)
        if not self.handshake_initiated and not self.transport.is_closing():
            refused = RequestRefused(400, f"this is no handshake of a WebSocket: {self.conn.handshake_exc}")
            self.transport.write(response(refused, self.default_headers))
            self.transport.close()

    def shutdown(self) -> None:
        """Called when the server stops."""
        super().shutdown()
        self.loop.call_later(GOODBYE_S, self.transport.abort)


def _number(text: str) -> int | None:
    """Parse a number; None if it is not one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None


async def _serve(websocket: WebSocket, live: Live, alerts_since: int | None, *, summary: bool) -> None:
    """Send messages until the viewer disconnects or the service stops, also while a viewer does not read."""
    going = [
        asyncio.create_task(work)
        for work in (
            _send_messages(websocket, live, alerts_since, summary=summary),
            _until_disconnected(websocket),
            live.stopping.wait(),
        )
    ]
    try:
        await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
    if live.stopping.is_set():
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # already disconnected
            async with asyncio.timeout(GOODBYE_S):
                await websocket.close(GOING_AWAY, "the service is stopping")


async def _send_messages(websocket: WebSocket, live: Live, alerts_since: int | None, *, summary: bool) -> None:
    """Send messages; a viewer that does not read delays only itself."""
    with contextlib.suppress(WebSocketDisconnect):
        async with contextlib.aclosing(live.messages(alerts_since, summary=summary)) as messages:
            async for message in messages:
                await websocket.send_text(message.decode())


async def _until_disconnected(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


# ---------------------------------------------------------------- routes

route = Routes("insights", by_detector=True)


@route("WS", "/ws/live", Right.READ)
async def socket(live: Live, /, websocket: WebSocket) -> None:
    """The messages of /live; `?alerts_since=N` sends all alerts after number N, `?decisions=summary` sends decisions
    in one line each.

    Messages from a viewer are read, to notice when it disconnects, and ignored.
    """
    if not is_own(websocket.headers.getlist("origin"), websocket.headers.get("host", "")):
        await websocket.close()  # before it is accepted: 403
        return
    await websocket.accept()
    try:
        live.check()
    except Busy as busy:
        await websocket.close(TRY_LATER, str(busy))
        return
    asked = websocket.query_params
    await _serve(websocket, live, _number(asked.get("alerts_since", "")), summary=asked.get("decisions") == "summary")
