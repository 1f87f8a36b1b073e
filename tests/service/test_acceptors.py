"""Processes that accept connections for a service: what they send on, what they pass through, and how they end."""

import json
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest
from tests.waiting import wait_until
from websockets.sync.client import connect

from penstock.acceptor.connection import ConnectionLimits
from penstock.acceptor.frames import STOP, Frames, pack, split_request
from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.http import acceptors as writers_end
from penstock.service.server import Server, acceptors_of, bind

LIMITS = ConnectionLimits(head_timeout_s=30, body_timeout_s=30, keep_alive_s=60, max_body_bytes=10_000, connections=100)
REQUEST = b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Writer:
    """One acceptor, and a writer that a test plays."""

    def __init__(self, folder):
        self.listening, self.passed = bind("127.0.0.1", 0), socket.socket(socket.AF_UNIX)
        self.passed.bind(str(folder / "writer"))
        self.passed.listen()
        self.link, theirs = socket.socketpair()
        given = {"listening": self.listening.fileno(), "link": theirs.fileno(), "writer": str(folder / "writer")}
        command = [sys.executable, "-m", "penstock.acceptor", json.dumps(given | {"limits": LIMITS, "tls": [None, None, None]})]
        self.listening.listen()
        self.process = subprocess.Popen(command, pass_fds=(self.listening.fileno(), theirs.fileno()))
        theirs.close()
        for each in (self.link, self.passed):
            each.settimeout(60)
        self._frames = Frames()

    def client(self):
        return socket.create_connection(self.listening.getsockname(), timeout=60)

    def receives(self):
        """The next frame."""
        found = []
        while not found:
            data = self.link.recv(65536)
            assert data, "the link has ended"
            found = self._frames.feed(data)
        [frame] = found
        return frame

    def close(self):
        self.process.kill()
        self.process.wait()
        for each in (self.listening, self.passed, self.link):
            each.close()


@pytest.fixture
def writer(tmp_path):
    found = Writer(tmp_path)
    yield found
    found.close()


def test_a_plain_request_goes_to_the_writer_and_its_answer_comes_back(writer):
    with writer.client() as client:
        client.sendall(REQUEST[:-1])
        client.sendall(REQUEST[-1:])
        number, payload = writer.receives()
        assert split_request(payload) == (REQUEST[:-2], b"{}")
        writer.link.sendall(pack(number, ANSWER))
        assert client.recv(1000) == ANSWER


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /health HTTP/1.1\r\nHost: p\r\n\r\n",
        b"POST /predict?dry_run=true HTTP/1.1\r\nHost: p\r\nContent-Length: 2\r\n\r\n{}",
        REQUEST.replace(b"Host", b"Expect: 100-continue\r\nHost"),
        REQUEST.replace(b"Host", b"Connection: close\r\nHost"),
        REQUEST.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        REQUEST.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"),
        REQUEST.replace(b"Content-Length: 2", b"Content-Length: 10001"),
        REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"\x16\x03\x01",
    ],
)
def test_any_other_request_passes_through_with_the_address_of_its_client(writer, request_):
    with writer.client() as client:
        client.sendall(request_)
        passed, _ = writer.passed.accept()
        passed.settimeout(60)
        host, port = client.getsockname()
        expected = b"penstock-acceptor %b %d http\n" % (host.encode(), port) + request_
        found = b""
        while len(found) < len(expected):
            found += passed.recv(1000)
        assert found == expected
        passed.sendall(b"answer")
        assert client.recv(1000) == b"answer"
        client.sendall(b"more")
        assert passed.recv(1000) == b"more"
        passed.close()
        assert client.recv(1000) == b""


def test_a_request_that_the_writer_does_not_take_as_a_frame_passes_through_with_what_follows_it(writer):
    with writer.client() as client:
        client.sendall(REQUEST + b"GET")
        number, _ = writer.receives()
        writer.link.sendall(pack(number))
        passed, _ = writer.passed.accept()
        passed.settimeout(60)
        found = b""
        while not found.endswith(b"GET"):
            found += passed.recv(1000)
        assert found.partition(b"\n")[2] == REQUEST + b"GET"
        passed.close()


def test_signals_are_left_to_the_writer_and_the_acceptor_ends_with_it(writer):
    with writer.client() as client:
        client.sendall(REQUEST)
        number, _ = writer.receives()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            writer.process.send_signal(each)
        writer.link.sendall(pack(number, ANSWER))
        assert client.recv(1000) == ANSWER
        writer.link.close()
        assert writer.process.wait(60) == 0


def test_an_acceptor_that_is_asked_to_stop_answers_what_it_has_accepted(writer):
    with writer.client() as client, writer.client() as idle:
        client.sendall(REQUEST)
        number, _ = writer.receives()
        writer.link.sendall(pack(STOP))
        assert idle.recv(1000) == b""
        writer.link.sendall(pack(number, ANSWER))
        assert client.recv(1000) == ANSWER
        assert client.recv(1000) == b""
        assert writer.receives() == (STOP, b"")
        assert writer.process.wait(60) == 0


# ---------------------------------------------------------------- a service with acceptors


@pytest.fixture
def app(engine):
    return create_app({"fake": MicroBatcher.of(engine, Settings())}, Settings())


def test_an_acceptor_that_is_killed_is_replaced(app, serve_in_thread, payment, monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(writers_end.subprocess, "Popen", Noted)
    monkeypatch.setattr(writers_end, "AGAIN_AFTER_S", 0.0)
    with serve_in_thread(app, Settings(acceptors=1)) as url:
        assert httpx.post(f"{url}/predict", content=payment(1)).status_code == 200
        started[0].kill()
        wait_until(lambda: len(started) == 2)
        assert httpx.post(f"{url}/predict", content=payment(2), timeout=60).status_code == 200
    assert [each.wait(60) for each in started] == [-signal.SIGKILL, 0]


def test_what_was_accepted_is_answered_when_the_service_stops(app, engine, payment):
    listening, settings = bind("127.0.0.1", 0), Settings(acceptors=2)
    acceptors = acceptors_of(settings, listening)
    server = Server(app, settings, acceptors)
    thread = threading.Thread(target=lambda: server.run(sockets=[acceptors.socket]))
    thread.start()
    wait_until(lambda: server.started)
    body = payment(1)
    engine.hold()
    with socket.create_connection(listening.getsockname(), timeout=60) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: engine.batches)
        server.stop()
        engine.release()
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    thread.join(60)
    assert not thread.is_alive()


def test_live_decisions_pass_through_to_a_web_socket(app, serve_in_thread, payment):
    with serve_in_thread(app, Settings(acceptors=1)) as url, connect(url.replace("http", "ws") + "/ws/live") as live:
        assert httpx.post(f"{url}/predict", content=payment(7)).status_code == 200
        while "tx7" not in live.recv(timeout=60):
            pass
