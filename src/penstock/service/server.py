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

from penstock.acceptor.connection import ConnectionLimits
from penstock.acceptor.tls import TlsFiles
from penstock.config import Settings
from penstock.engine.warm import GC_THRESHOLDS, SWITCH_S
from penstock.errors import ConfigurationError
from penstock.identity.closed_access import anybody_in, check_closed, remember_closed
from penstock.service.access.authorize import Access, is_loopback
from penstock.service.access.sign_on import SignOn
from penstock.service.app import Service, ServiceParts, create_app
from penstock.service.decide.batcher import OPENING, MicroBatcher
from penstock.service.decide.broker_client import BrokerClient
from penstock.service.decide.port import ServedDetector
from penstock.service.http.acceptors import Acceptors, PassedThroughProtocol
from penstock.service.http.protocol import Ask, Bounds, CoalescingProtocol, connection_limit
from penstock.service.http.tls import TlsListener
from penstock.service.http.tracing import Tracing
from penstock.service.live.preparation import Preparation
from penstock.service.live.traffic import TrafficSender
from penstock.service.live.websocket import HangingUpProtocol
from penstock.service.records.personal import Unmasking
from penstock.tls import server_context
from penstock.wiring.database import office_of, place_of
from penstock.wiring.identity_provider import open_provider
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


def url_of(settings: Settings, listening: socket.socket) -> str:
    """The address of the service, for people.

    Raises:
        ConfigurationError: TLS cannot be spoken with the files in the settings.
    """
    scheme = "http" if server_context(settings) is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


def serve(
    parts: ServedParts,
    settings: Settings,
    *,
    sock: socket.socket | None = None,
    traffic: TrafficSender | None = None,
    preparation: Preparation | None = None,
    on_ready: Callable[[], None] = lambda: None,
    on_server: Callable[[Callable[[], None]], None] = lambda _stop: None,
) -> None:
    """Serve detectors until stopped, then answer what was accepted, flush and close.

    Args:
        parts: the detectors and optional parts; openers run while the port already answers.
        settings: address and limits.
        sock: a bound socket, if the caller checked early that the address is free.
        traffic: simulated traffic, for the demo.
        preparation: the progress of the openers, shown until everything is open.
        on_ready: called when everything is open.
        on_server: called with `Server.stop`, before the server starts.

    Raises:
        ConfigurationError: the address cannot be bound.
        PenstockError: whatever an opener raises; the server is stopped first.
    """
    listening = sock or bind(settings.host, settings.port)
    failures: list[BaseException] = []

    def opening() -> str:
        return OPENING if preparation is None else str(preparation)

    router: dict[str, ServedDetector] = {
        name: MicroBatcher(name, opener, settings, opening) for name, opener in parts.openers.items()
    }
    router |= {name: BrokerClient(name, its, settings) for name, its in parts.brokered.items()}
    for raising in (parts.alerting, parts.trials):
        if raising is not None:
            raising.listen(lambda detector, alert: router[detector].feed.alert(alert))

    def ready() -> None:
        if preparation is not None:
            preparation.done = True
        settle_garbage()
        on_ready()

    def failed(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    with office_of(settings) as office, _traced(settings) as tracing:
        exposed = not (settings.open_access or is_loopback(listening.getsockname()[0]))
        check_closed(settings.data, place_of(settings), anybody=anybody_in(office))
        on_closed = partial(remember_closed, settings.data)
        provider = open_provider(settings)
        sign_on = None if provider is None else SignOn(provider, settings)
        access = Access(office, settings, exposed=exposed, sign_on=sign_on, on_closed=on_closed)
        log.warning("access is %s", access.explain())
        inside = ServiceParts(
            traffic=traffic,
            preparation=preparation,
            replays=parts.replays,
            champions=parts.champions,
            rules=parts.rules,
            access=access,
            cases=parts.cases,
            webhooks=parts.webhooks,
            drift=parts.drift,
            trials=parts.trials,
            administrations=parts.administrations,
            features=parts.features,
            operating=parts.operating,
            personal=None if parts.vault is None else Unmasking(office, parts.vault),
            tracing=tracing,
        )
        if settings.ledger is not None:
            sys.setswitchinterval(SWITCH_S)
        app = create_app(router, settings, inside, on_ready=ready, on_failure=failed)
        acceptors = acceptors_of(settings, listening)
        server = Server(app, settings, acceptors)
        on_server(server.stop)
        server.run(sockets=[listening if acceptors is None else acceptors.socket])
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


def uvicorn_config(
    app: Any,
    bounds: Bounds | None = None,
    ask: Ask | None = None,
    protocol: type[CoalescingProtocol] = CoalescingProtocol,
) -> uvicorn.Config:
    """The uvicorn configuration; the figures in the README were measured with it."""
    return uvicorn.Config(
        app,
        loop="asyncio" if sys.platform == "win32" else "uvloop",
        http=cast("type[asyncio.Protocol]", partial(protocol, bounds=bounds, ask=ask)),
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
    """uvicorn, which ends live streams before it waits for connections.

    acceptors: processes that accept the connections, in the place of this one.

    Raises:
        ConfigurationError: TLS cannot be spoken with the files in the settings.
    """

    def __init__(self, app: Service, settings: Settings | None = None, acceptors: Acceptors | None = None) -> None:
        settings = settings or Settings()
        self._tls = server_context(settings) if acceptors is None else None  # they speak it
        self._bounds = Bounds.of(settings, app.rejected)
        protocol = CoalescingProtocol if acceptors is None else PassedThroughProtocol
        super().__init__(uvicorn_config(app, self._bounds, app.ask, protocol))
        self._app, self._acceptors = app, acceptors
        app.connections = self.server_state.connections

    def stop(self) -> None:
        """Stop gracefully; called again, stop without waiting for requests. Any thread may call."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the command handles them (`penstock.cli.signals`)."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        if self._tls is None or sockets is None:
            await super().startup(sockets)
            if self._acceptors is not None and not self.should_exit:
                await self._acceptors.start(self._app.ask, lambda: self.server_state.default_headers)
            return
        for each in sockets:
            each.listen(self.config.backlog)  # clients that connect earlier wait
        await super().startup([])
        protocol = partial(
            cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers = [
            cast("asyncio.Server", TlsListener(each, self._tls, self._bounds, self.server_state.connections, protocol))
            for each in sockets
        ]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted, then close the application, which ends its threads."""
        self._app.stopping()
        if self._acceptors is not None:
            await self._acceptors.stop(0.0 if self.force_exit else STOP_WITHIN_S)
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn skips the lifespan's end then
            await self.lifespan.shutdown()
        if self._acceptors is not None:
            await self._acceptors.close()


def acceptors_of(settings: Settings, listening: socket.socket) -> Acceptors | None:
    """The acceptors in the settings, for a listening socket.

    Raises:
        ConfigurationError: this system cannot have any, or TLS cannot be spoken with the files in the settings.
    """
    if not settings.acceptors:
        return None
    server_context(settings)  # each makes its own
    connections = -(-connection_limit(settings.max_connections) // settings.acceptors)
    limits = ConnectionLimits(
        settings.head_timeout_s, settings.body_timeout_s, KEEP_ALIVE_S, settings.max_body_bytes, connections
    )
    return Acceptors(settings.acceptors, listening, limits, TlsFiles.of(settings))
