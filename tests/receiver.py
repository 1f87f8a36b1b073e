"""A receiver of webhooks: a real HTTP server that verifies what it gets, and answers as a test says."""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from penstock_client import InvalidSignature, verify_webhook


class Receiver:
    """What has arrived, in order. answer: gets the number of the request, from 1, and the event; returns a status.

    secret: with which the client's function verifies each request; what it refuses is in `forged`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.secret: str | list[str] | None = None
        self.answer: Callable[[int, dict[str, Any]], int] = lambda _number, _event: 204
        self.headers: dict[str, str] = {}
        self.received: list[dict[str, Any]] = []  # every request
        self.taken: list[dict[str, Any]] = []  # those that were answered 2xx
        self.requests: list[dict[str, str]] = []
        self.forged: list[str] = []
        self.lock = threading.Lock()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Note a request, and say what it is answered."""
        event = json.loads(body)
        if self.secret is not None:
            try:
                verify_webhook(self.secret, headers, body)
            except InvalidSignature as error:
                self.forged.append(str(error))
        with self.lock:
            self.received.append(event)
            self.requests.append(headers)
            number = len(self.received)
        status = self.answer(number, event)
        if 200 <= status < 300:
            with self.lock:
                self.taken.append(event)
        return status

    def subjects(self) -> list[str]:
        """The subjects of the events that were taken."""
        return [event["subject"] for event in self.taken]


@contextlib.contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port of this machine; over TLS where a context is given."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = receiver.take(dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
            with contextlib.suppress(OSError):  # the sender gave up waiting
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        scheme = "http" if tls is None else "https"
        receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/hooks"
        yield receiver
        server.shutdown()
        thread.join()
