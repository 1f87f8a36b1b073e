"""The server process: socket, event loop, garbage collection settings, and a graceful stop."""

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import uvicorn

from penstock.config import Settings
from penstock.engine.warm import GC_THRESHOLDS
from penstock.errors import ConfigurationError
from penstock.identity.closed_access import anybody_in, check_closed, remember_closed
from penstock.service.access.authorize import Access, is_loopback
from penstock.service.access.sign_on import SignOn
from penstock.service.app import Service, ServiceParts, create_app
from penstock.service.decide.batcher import MicroBatcher
from penstock.service.decide.broker_client import BrokerClient
from penstock.service.decide.port import Serving
from penstock.service.http.protocol import Bounds, CoalescingProtocol
from penstock.service.http.tracing import Tracing
from penstock.service.live.traffic import Traffic
from penstock.service.live.websocket import HangingUpProtocol
from penstock.service.records.personal import Unmasking
from penstock.wiring.database import office_of, place_of
from penstock.wiring.service_parts import ServedParts
from penstock.wiring.traces import spans_of

log = logging.getLogger("penstock.service")

KEEP_ALIVE_S = 60
"""Load balancers keep connections for about a minute; a server that closes first makes them answer 502."""

STOP_WITHIN_S = 20
"""Seconds that a graceful stop waits for requests in progress."""

MOST_SAID = 1024
"""Maximum bytes of a message from a viewer over a WebSocket; messages are ignored."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else is started.

    Raises:
        ConfigurationError: the address cannot be bound; says why and what to do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigurationError(f"host {host!r} is not known here: {error}; 127.0.0.1 or 0.0.0.0 always is") from error
    taken = socket.socket(found[0], socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(found[4])
    except OSError as error:
        taken.close()
        raise ConfigurationError(_cannot_bind(host, port, error)) from error
    return taken


def _cannot_bind(host: str, port: int, error: OSError) -> str:
    import errno

    remedies = {
        errno.EADDRINUSE: f"another process listens there already; stop it, or choose another with --port {port + 1}",
        errno.EACCES: "ports below 1024 need rights this process has not; choose one above, such as --port 8000",
        errno.EADDRNOTAVAIL: "this machine has no such address; 127.0.0.1 or 0.0.0.0 always works",
    }
    remedy = remedies.get(error.errno or 0, str(error))
    return f"cannot listen on {host}:{port}: {remedy}"


def serve(
    parts: ServedParts,
    settings: Settings,
    *,
    sock: socket.socket | None = None,
    traffic: Traffic | None = None,
    on_ready: Callable[[], None] = lambda: None,
    on_server: Callable[[Callable[[], None]], None] = lambda _stop: None,
) -> None:
    """Serve detectors until stopped, then answer what was accepted, flush and close.

    Args:
        parts: the detectors and optional parts; openers run while the port already answers.
        settings: address and limits.
        sock: a bound socket, if the caller checked early that the address is free.
        traffic: simulated traffic, for the demo.
        on_ready: called when everything is open.
        on_server: called with `Server.stop`, before the server starts.

    Raises:
        ConfigurationError: the address cannot be bound.
        PenstockError: whatever an opener raises; the server is stopped first.
    """
    listening = sock or bind(settings.host, settings.port)
    failures: list[BaseException] = []
    desks: dict[str, Serving] = {name: MicroBatcher(name, opener, settings) for name, opener in parts.openers.items()}
    desks |= {name: BrokerClient(name, its, settings) for name, its in parts.beside.items()}
    for raising in (parts.alerting, parts.trials):
        if raising is not None:
            raising.listen(lambda detector, alert: desks[detector].feed.alert(alert))

    def ready() -> None:
        settle_garbage()
        on_ready()

    def failed(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    with office_of(settings) as office, _traced(settings) as tracing:
        exposed = not (settings.open_access or is_loopback(listening.getsockname()[0]))
        check_closed(settings.data, place_of(settings), anybody=anybody_in(office))
        on_closed = partial(remember_closed, settings.data)
        access = Access(office, settings, exposed=exposed, sign_on=SignOn.of(settings), on_closed=on_closed)
        log.warning("access is %s", access.explain())
        inside = ServiceParts(
            traffic=traffic,
            replays=parts.replays,
            champions=parts.champions,
            rules=parts.rules,
            access=access,
            cases=parts.cases,
            drift=parts.drift,
            trials=parts.trials,
            books=parts.books,
            features=parts.features,
            operating=parts.operating,
            personal=None if parts.vault is None else Unmasking(office, parts.vault),
            tracing=tracing,
        )
        app = create_app(desks, settings, inside, on_ready=ready, on_failure=failed)
        server = Server(app, settings)
        on_server(server.stop)
        server.run(sockets=[listening])
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _traced(settings: Settings) -> Iterator[Tracing | None]:
    """The tracing that the settings configure; pending spans are sent at the end."""
    spans = spans_of(settings)
    if spans is None:
        yield None
        return
    try:
        yield Tracing(spans, settings.trace_share)
    finally:
        spans.close()


def settle_garbage() -> None:
    """Freeze current objects out of garbage collection, and collect the rest rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def uvicorn_config(app: Any, bounds: Bounds | None = None) -> uvicorn.Config:
    """The uvicorn configuration: the settings that the figures in the README were measured with."""
    return uvicorn.Config(
        app,
        loop="asyncio" if sys.platform == "win32" else "uvloop",
        http=cast("type[asyncio.Protocol]", partial(CoalescingProtocol, bounds=bounds)),
        ws=HangingUpProtocol,
        ws_max_size=MOST_SAID,
        ws_per_message_deflate=False,
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )


class Server(uvicorn.Server):
    """uvicorn, which ends live streams before it waits for connections."""

    def __init__(self, app: Service, settings: Settings | None = None) -> None:
        super().__init__(uvicorn_config(app, Bounds.of(settings or Settings(), app.rejected)))
        self._app = app
        app.connections = self.server_state.connections

    def stop(self) -> None:
        """Stop gracefully; called again, stop without waiting for requests. Any thread may call."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the command handles them (`penstock.cli.signals`)."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted, then close the application, which ends its threads."""
        self._app.stopping()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn skips the lifespan's end then
            await self.lifespan.shutdown()
