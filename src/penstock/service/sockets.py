"""`WS /ws/live`: the live messages over a WebSocket."""

import asyncio
import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

from penstock.service.live import Live
from penstock.service.problems import MEDIA_TYPE, RequestRefused

GOING_AWAY = 1001
"""The code of RFC 6455 with which a server that stops says goodbye."""

GOODBYE_S = 1.0
"""How long a viewer may take to hear it."""


def add_routes(routes: FastAPI, live: Live) -> None:
    """Add the socket."""

    @routes.websocket("/ws/live")
    async def socket(websocket: WebSocket) -> None:
        """The same messages as /live. What a viewer sends is read, so that it is noticed when it goes, and means nothing."""
        try:
            check_origin(websocket.headers.getlist("origin"), websocket.headers.get("host", ""))
            live.check()
        except RequestRefused as refused:
            answer = Response(refused.problem, refused.status, media_type=MEDIA_TYPE)
            await websocket.send_denial_response(answer)
            return
        await websocket.accept()
        await _serve(websocket, live)


async def _serve(websocket: WebSocket, live: Live) -> None:
    """Tell until the viewer goes or the service stops, whichever is first, also while a viewer does not read."""
    going = [asyncio.create_task(work) for work in (_tell(websocket, live), _until_gone(websocket), live.stopping.wait())]
    try:
        await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
    if live.stopping.is_set():
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # gone already
            async with asyncio.timeout(GOODBYE_S):
                await websocket.close(GOING_AWAY, "the service is stopping")


async def _tell(websocket: WebSocket, live: Live) -> None:
    """Send messages; a viewer that does not read holds up nothing but itself."""
    with contextlib.suppress(WebSocketDisconnect):
        async with contextlib.aclosing(live.messages()) as messages:
            async for message in messages:
                await websocket.send_text(message.decode())


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def check_origin(origins: Sequence[str], host: str) -> None:
    """Let pages of this service in, and programs, which name no origin. A browser asks nobody before it opens a socket to
    another site, so a page from elsewhere could read what is decided here.

    Raises:
        RequestRefused: 403, a page from elsewhere asks.

    >>> check_origin(["http://fraud.example:8000"], "fraud.example:8000")
    """
    for origin in origins:
        if urlsplit(origin).netloc.lower() != host.lower():
            raise RequestRefused(403, f"a page from {origin[:200]} may not watch; only pages of this service may")
