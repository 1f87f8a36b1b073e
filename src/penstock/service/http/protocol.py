"""uvicorn's HTTP protocol with bounds: bytes and time of a request's head, pipelined requests, and connections.

The bounds hold while bytes arrive, before anything is collected. A refusal is answered in its turn, after earlier
requests on the connection. The connection is then half closed, and its input read and dropped for a while, because the
answer would be lost with a connection that is reset while its client still sends.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS

from penstock.config import Settings
from penstock.service.http.problems import RequestRefused, headers

MOST_WAITING = 100
"""Pipelined requests of one connection that wait for an earlier answer."""

LINGER_S = 30.0
"""Seconds that a connection is read after a refusal, so that its client gets the answer."""

OVER_S = 2.0
"""The same for a connection beyond the limit."""

MOST_LINGERING = 64
"""Above this number, connections beyond the limit are closed at once."""

HOT_PATH = "/predict"
_HOT = b"/predict", b"/v1/predict"
"""The targets of the requests that `ask` gets."""

_HEAD_END = b"\r\n\r\n"
_HOT_LINES = tuple(b"POST %b HTTP/1.1\r\n" % target for target in _HOT)
_MOST_HEADS, _LONGEST_HEAD = 1024, 1024
"""Heads of the hot route that are recognised when they come again, and their bytes."""

Headers = Sequence[tuple[bytes, bytes]]
Respond = Callable[[int, Headers, bytes], None]
"""Answers a request, once: status, headers, body."""

Ask = Callable[[Any, bytes, Respond], bool]
"""Answers a request by its ASGI scope and its whole body, now or later; false if the application is to be called for it."""

_MOST_CONNECTIONS = 10_000
_MOST_RESERVED = 512
"""File handles reserved for the ledger and everything else that is no connection."""


@dataclass
class Bounds:
    """The bounds of one server, and how often each refused something, by its name in the metrics."""

    line_bytes: int = Settings().max_line_bytes
    head_bytes: int = Settings().max_head_bytes
    headers: int = Settings().max_headers
    head_timeout_s: float = Settings().head_timeout_s
    connections: int = _MOST_CONNECTIONS
    rejected: Counter[str] = field(default_factory=Counter)
    lingering: int = 0
    """Refused connections that are still read."""
    heads: dict[bytes, tuple[int, Headers]] = field(default_factory=dict)
    """Heads of the hot route that were parsed, with the length of their body and their headers."""

    @classmethod
    def of(cls, settings: Settings, rejected: Counter[str]) -> "Bounds":
        """The bounds in the settings."""
        return cls(
            settings.max_line_bytes,
            settings.max_head_bytes,
            settings.max_headers,
            settings.head_timeout_s,
            connection_limit(settings.max_connections),
            rejected,
        )


def connection_limit(wanted: int | None) -> int:
    """The maximum of connections that leaves file handles for everything else; raises the system's limit if it can."""
    most = wanted or _MOST_CONNECTIONS
    if sys.platform == "win32":
        return most
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + _MOST_RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else min(most, soft - min(_MOST_RESERVED, soft // 2))


class _Request:
    """A request that `ask` answers, in the place of uvicorn's cycle of a request and its response."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    more_body = response_started = False
    message_event: ClassVar = asyncio.Event()
    """Nobody waits for it."""

    def __init__(self) -> None:
        self.disconnected = self.response_complete = False
        self.keep_alive = True


class BoundedProtocol(HttpToolsProtocol):
    """The protocol of one connection. Its transport calls `linger` before it closes.

    ask: answers requests of the hot route whose body comes with their head, without a task; None: the application does.
    """

    def __init__(self, *args: Any, bounds: Bounds | None = None, ask: Ask | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._bounds = bounds or Bounds()
        self._ask = ask
        self._hot: bytes | None = None  # the body so far of a request that `ask` will get
        self._unread = self._data = (
            b""  # bytes in which no request has begun; those in which the last one began, and none before
        )
        self._receiving = False  # a request has begun and is incomplete
        self._in_head = self._in_lines = False  # lines: of a head or of trailers
        self._begun = False  # a head or trailers began in the bytes that are being read
        self._head_bytes = self._header_count = 0
        self._line_bytes = self._fed = 0  # bytes of an incomplete line, and of incomplete lines
        self._answered_s = 0.0  # when the last request was, by the loop's clock
        self._refusal: RequestRefused | None = None
        self._lingering = self._stopping = False
        self._timer: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """A client has connected."""
        super().connection_made(transport)
        bounds = self._bounds
        if len(self.connections) > bounds.connections:
            self.connections.discard(self)
            detail = f"the {bounds.connections} connections that max_connections allows are open; come again later"
            self._note("connections", 503, detail)
            self._answer_refusal()
        else:
            self._timer = self.loop.call_later(bounds.head_timeout_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stop_timer()
        if self._lingering:
            self._bounds.lingering -= 1
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called when the server stops: wait for answers, not for clients that go on sending refused requests."""
        self._stopping = True
        if self._lingering:
            self.transport.close()
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Feed bytes of one or several requests; those after a refusal are dropped."""
        if self._refusal is not None or self._lingering:
            return
        receiving, self._begun = self._receiving, False
        if not receiving and self._ask is not None and self._is_idle() and self._answered_again(data):
            return
        self._unread = b"" if receiving else data
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self._upgrade()
        except httptools.HttpParserError:
            if self._refusal is None:
                self._note("malformed", 400, "this is not HTTP/1.1 as the service reads it")
            self._answer_refusal()
        else:
            if self._hot is not None:  # the rest of its body is still to come
                self._call_application(self._hot)
            if self._in_lines and not self.transport.is_closing():
                self._read_part(data, receiving)

    def _read_part(self, data: bytes, receiving: bool) -> None:
        """Check the bytes and time of incomplete lines, which the parser keeps."""
        end = data.rfind(b"\n") + 1
        if self._begun:
            self._fed, self._line_bytes = 0, 0 if receiving else len(data) - end  # a body may come before it
        else:
            self._fed += len(data)
            self._line_bytes = len(data) - end + (0 if end else self._line_bytes)
        if self._line_bytes > self._bounds.line_bytes:
            self._note_long_line("header_line" if self._receiving and self.url else "request_line")
            self._answer_refusal()
        elif self._fed > self._bounds.head_bytes:
            self._note_long_head()
            self._answer_refusal()
        elif self._in_head and self._receiving and self._timer is None:
            self._timer = self.loop.call_later(self._bounds.head_timeout_s, self._too_slow)

    def _too_slow(self) -> None:
        self._timer = None
        wait_s = self._bounds.head_timeout_s
        if self._receiving:
            self._note(
                "head_timeout", 408, f"the head of the request was not complete within head_timeout_s = {wait_s:g} seconds"
            )
            self._answer_refusal()
        else:
            self._bounds.rejected["head_timeout"] += 1
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _upgrade(self) -> None:
        """Switch to the WebSocket protocol, whose parser has narrower bounds, which end the connection without an answer."""
        self._receiving = False
        longest = max(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.url) + len("GET  HTTP/1.1\r\n") > MAX_LINE_LENGTH:
            self._note("request_line", 414, f"the request line of a WebSocket is longer than {MAX_LINE_LENGTH} bytes")
        elif longest > MAX_LINE_LENGTH:
            self._note("header_line", 431, f"a header of a WebSocket is longer than {MAX_LINE_LENGTH} bytes")
        elif len(self.headers) > MAX_NUM_HEADERS:
            self._note("header_count", 431, f"the head of a WebSocket has more than {MAX_NUM_HEADERS} headers")
        if self._refusal is None:
            self.handle_websocket_upgrade()
        else:
            self._answer_refusal()

    # ---------------------------------------------------------------- parser callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= MOST_WAITING:
            self._note("waiting_requests", 503, f"{MOST_WAITING} requests of this connection wait for answers already")
            raise _Refused
        self._receiving = self._begun = self._in_head = self._in_lines = True
        self._head_bytes = self._header_count = 0
        self._data, self._unread = self._unread, b""
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._head_bytes += len(url)
        if self._head_bytes + len(self.parser.get_method()) + len("  HTTP/1.1") > self._bounds.line_bytes:
            self._note_long_line("request_line")
            raise _Refused
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; or a trailer, which is ignored."""
        bounds, size = self._bounds, len(name) + len(value) + len(": ")
        self._head_bytes += size + len("\r\n")
        self._header_count += 1
        if size > bounds.line_bytes:
            self._note_long_line("header_line")
            raise _Refused
        if self._header_count > bounds.headers:
            self._note("header_count", 431, f"the request has more than max_headers = {bounds.headers} headers")
            raise _Refused
        if self._head_bytes > bounds.head_bytes:
            self._note_long_head()
            raise _Refused
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = self._in_lines = False
        self._line_bytes = 0
        self._stop_timer()
        self._unset_keepalive_if_required()
        if self._ask is not None and self.url in _HOT and self._is_idle() and self._needs_an_answer_alone():
            self._hot = b""
        else:
            super().on_headers_complete()

    def _is_idle(self) -> bool:
        """Whether no earlier request waits for its answer, and the client reads its answers."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _needs_an_answer_alone(self) -> bool:
        """Whether a request sends an event, and says nothing of its connection."""
        parser = self.parser
        plain = parser.get_method() == b"POST" and parser.get_http_version() == "1.1" and parser.should_keep_alive()
        return bool(plain and not (self.expect_100_continue or parser.should_upgrade()))

    def on_chunk_header(self) -> None:
        """A chunk begins; or trailers do, if no bytes of a body follow."""
        self._in_lines = self._begun = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._in_lines = False
        if self._hot is None:
            super().on_body(body)
        else:
            self._hot = self._hot + body if self._hot else body

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._receiving = self._in_head = self._in_lines = False
        body, self._hot = self._hot, None
        if body is None:
            super().on_message_complete()
        elif self._answered(self.headers, body):
            self._remember(body)
        else:
            self._call_application(body)
            super().on_message_complete()

    # ---------------------------------------------------------------- the hot route

    def _answered(self, given: Headers, body: bytes) -> bool:
        """Whether `ask` answers the request with these headers and this body."""
        assert self._ask is not None
        asked, before = _Request(), self.cycle
        self.cycle = cast("Any", asked)
        scope = {"type": "http", "method": "POST", "path": HOT_PATH, "query_string": b"", "headers": given}
        if self._ask(scope, body, partial(self._respond, asked)):
            return True
        self.cycle = before
        return False

    def _remember(self, body: bytes) -> None:
        """Recognise the head of the request that was just answered from now on, if that came at once, and nothing before it."""
        data, heads = self._data, self._bounds.heads
        length = data.find(_HEAD_END) + len(_HEAD_END)
        if length <= _LONGEST_HEAD and length + len(body) == len(data) and data.startswith(_HOT_LINES):
            if len(heads) >= _MOST_HEADS:
                heads.clear()
            heads[data[:length]] = len(body), self.headers

    def _answered_again(self, data: bytes) -> bool:
        """Whether this is one whole request with a head that was parsed before, and `ask` answers it."""
        length = data.find(_HEAD_END) + len(_HEAD_END)
        known = self._bounds.heads.get(data[:length])
        if known is None or length + known[0] != len(data):
            return False
        self._stop_timer()
        return self._answered(known[1], data[length:])

    def _call_application(self, body: bytes) -> None:
        """Leave a request to the application after all."""
        self._hot = None
        super().on_headers_complete()
        super().on_body(body)

    def _respond(self, asked: _Request, status: int, given: Headers, body: bytes) -> None:
        """Answer a request that was asked."""
        if asked.disconnected or self.transport.is_closing():
            return
        asked.response_complete = True
        last = [] if asked.keep_alive else [(b"connection", b"close")]
        self.transport.write(whole_response(status, [*self.server_state.default_headers, *given, *last], body))
        if last:
            self.transport.close()
        self.on_response_complete()

    # ---------------------------------------------------------------- refusals

    def _note(self, reason: str, status: int, detail: str) -> None:
        self._bounds.rejected[reason] += 1
        self._refusal = RequestRefused(status, detail)

    def _note_long_line(self, which: str) -> None:
        detail = f"the {which.replace('_', ' ')} is longer than max_line_bytes = {self._bounds.line_bytes}"
        self._note(which, 414 if which == "request_line" else 431, detail)

    def _note_long_head(self) -> None:
        self._note("head", 431, f"the head of the request is longer than max_head_bytes = {self._bounds.head_bytes}")

    def _answer_refusal(self) -> None:
        """Answer the refusal, as soon as earlier requests are answered."""
        self._stop_timer()
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._write_refusal()
        elif cycle.more_body and self.pipeline:
            self.pipeline.popleft()  # its body was refused before it began
        elif cycle.more_body and cycle.response_started:
            self.transport.close()
        elif cycle.more_body:
            cycle.disconnected = True
            cycle.message_event.set()
            self._write_refusal()

    def on_response_complete(self) -> None:
        """A request was answered."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._write_refusal()
        else:
            self._answered_s = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._keep_alive_for(self.timeout_keep_alive)

    def _keep_alive_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, unless a request came meanwhile: a timer for each would cost more than one that looks again."""
        self.timeout_keep_alive_task = None
        rest_s = self._answered_s + self.timeout_keep_alive - self.loop.time()
        if rest_s > 0:
            self._keep_alive_for(rest_s)
        elif not self._receiving and (self.cycle is None or self.cycle.response_complete):
            super().timeout_keep_alive_handler()

    def _write_refusal(self) -> None:
        assert self._refusal is not None
        self._unset_keepalive_if_required()
        self.transport.write(response(self._refusal, self.server_state.default_headers))
        self.transport.close()

    def linger(self) -> bool:
        """Whether to close the connection later, because its client may still be sending; called before it is closed."""
        over = self._refusal is not None and self not in self.connections
        if self._lingering or self._stopping or not (self._receiving or self._refusal):
            return False
        if over and self._bounds.lingering >= MOST_LINGERING:
            return False
        self._lingering = True
        self._bounds.lingering += 1
        self.flow.resume_reading()
        self._timer = self.loop.call_later(OVER_S if over else LINGER_S, self.transport.abort)
        return True


class Whole(bytes):
    """A whole response: its head does not wait for a body."""


def response(refused: RequestRefused, default_headers: list[tuple[bytes, bytes]]) -> Whole:
    """A whole response with the reason, which ends the connection."""
    given = headers(refused.status, len(refused.problem), [(b"connection", b"close")])
    return whole_response(refused.status, default_headers + given, refused.problem)


def whole_response(status: int, given: Headers, body: bytes) -> Whole:
    """The bytes of a response."""
    head = [STATUS_LINE[status]]
    for name, value in given:
        head += [name, b": ", value, b"\r\n"]
    return Whole(b"".join([*head, b"\r\n", body]))


class _Refused(Exception):
    """Stops the parser."""


_HEAD = b"HTTP/1.1 "


class CoalescingProtocol(BoundedProtocol):
    """uvicorn's HTTP protocol over a transport that joins the head of a response with its body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        """A client has connected."""
        super().connection_made(cast("asyncio.Transport", CoalescingTransport(transport, self.linger)))


class CoalescingTransport:
    """A transport that holds the head of a response back until its body comes, at most until the loop's next turn.

    `close()` closes only its half of the connection while `linger` returns true.
    """

    __slots__ = (
        "_closed",
        "_linger",
        "_loop",
        "_pending",
        "_transport",
        "abort",
        "get_extra_info",
        "pause_reading",
        "resume_reading",
    )

    def __init__(self, transport: asyncio.Transport, linger: Callable[[], bool] = lambda: False) -> None:
        self._transport = transport
        self._linger = linger
        self._closed = False
        self._pending = b""
        self._loop = asyncio.get_running_loop()
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send bytes; the head of a response waits for what comes next."""
        if self._pending:
            held, self._pending = self._pending, b""
            self._transport.write(held + data)
        elif data.startswith(_HEAD) and type(data) is not Whole:
            self._pending = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send held bytes, then close."""
        self._flush()
        self._closed = True
        if not self._transport.is_closing() and self._linger():
            if self._transport.can_write_eof():  # TLS has no half of a connection: its client goes by the answer's length
                self._transport.write_eof()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._closed or self._transport.is_closing()

    def set_protocol(self, protocol: Any) -> None:
        """Hand the connection to another protocol."""
        self._flush()
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        if self._pending:
            held, self._pending = self._pending, b""
            self._transport.write(held)
