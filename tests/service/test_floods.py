"""Whoever reaches the port cannot stop the service: each bound refuses in words, and others are answered meanwhile."""

import contextlib
import json
import re
import socket
import time

import pytest
from tests.service import patient
from tests.waiting import wait_until

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.http.protocol import MOST_WAITING

GET = b"GET /health HTTP/1.1\r\nHost: penstock\r\n"
KIB = 1024
ONE_PROCESS = pytest.mark.parametrize("serve", [0], indirect=True, ids=["one process"])
"""An acceptor reads no further request before it has answered one, and closes silent connections without counting them."""


@pytest.fixture(params=[0, 2], ids=["one process", "behind acceptors"])
def serve(engine, serve_in_thread, request):
    """A service with such settings: `with serve(max_connections=3) as url`."""

    @contextlib.contextmanager
    def started(**options):
        settings = Settings(acceptors=request.param, **options)
        with serve_in_thread(create_app({"fake": MicroBatcher.of(engine, settings)}, settings), settings) as url:
            yield url

    return started


@pytest.fixture
def url(serve):
    with serve() as found:
        yield found


def connect(url):
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def all_of(connection):
    """What the service sends until it closes its half; a reset is an error."""
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def sent(url, *pieces):
    """The answer to these bytes, in so many segments; a client that reads only when it has sent everything."""
    with connect(url) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return all_of(connection)


def refused(found, status, *said):
    """Assert that it is one answer, a problem that names its bound, and that the connection ends with it."""
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), found[:300]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    problem = json.loads(body)
    assert problem["status"] == status
    for words in said:
        assert words in problem["detail"]


def rejected(url):
    """How often each bound refused something."""
    found = re.findall(r'penstock_http_rejected_total\{reason="(\w+)"\} (\S+)', patient.get(url + "/metrics").text)
    return {reason: float(count) for reason, count in found}


def cut(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


FLOODS = {
    "a line without an end": (b"GET /" + b"a" * 20 * KIB, 414, "request_line", "max_line_bytes"),
    "a whole request line": (
        b"GET /?" + b"a" * 17 * KIB + b" HTTP/1.1\r\nHost: p\r\n\r\n",
        414,
        "request_line",
        "max_line_bytes",
    ),
    "a line of 4 MiB": (b"GET /" + b"a" * 4 * KIB * KIB, 414, "request_line", "max_line_bytes"),
    "spaces before a target": (b"GET " + b" " * 20 * KIB, 414, "request_line", "max_line_bytes"),
    "a header without an end": (GET + b"X: " + b"a" * 20 * KIB, 431, "header_line", "max_line_bytes"),
    "a name without an end": (GET + b"a" * 20 * KIB, 431, "header_line", "max_line_bytes"),
    "a whole header": (GET + b"X: " + b"a" * 17 * KIB + b"\r\n\r\n", 431, "header_line", "max_line_bytes"),
    "a header of 4 MiB": (GET + b"X: " + b"a" * 4 * KIB * KIB + b"\r\n\r\n", 431, "header_line", "max_line_bytes"),
    "many headers": (GET + b"".join(b"X%d: a\r\n" % n for n in range(101)), 431, "header_count", "max_headers"),
    "a hundred thousand headers": (GET + b"X: a\r\n" * 100_000, 431, "header_count", "max_headers"),
    "a long head": (GET + b"".join(b"X%d: %s\r\n" % (n, b"a" * 8 * KIB) for n in range(9)), 431, "head", "max_head_bytes"),
}


@pytest.mark.parametrize("size", [None, 1400, 97], ids=["at once", "segments", "small segments"])
@pytest.mark.parametrize("flood", FLOODS)
def test_a_head_beyond_a_bound_is_refused_by_name(url, flood, size):
    data, status, reason, setting = FLOODS[flood]
    if size == 97:
        data = data[: 100 * KIB]
    refused(sent(url, *([data] if size is None else cut(data, size))), status, setting)
    assert rejected(url) == {reason: 1}
    assert patient.get(url + "/health").status_code == 200


def test_a_head_at_its_bounds_is_read(url):
    line = b"GET /health?" + b"a" * (16 * KIB - len(b"GET /health? HTTP/1.1")) + b" HTTP/1.1\r\n"
    widest = b"X: " + b"a" * (16 * KIB - len(b"X: ")) + b"\r\n"
    many = b"".join(b"X%d: a\r\n" % n for n in range(98))
    for head in (line + b"Host: p\r\n", GET + widest + b"Y" + widest[:-300] + b"\r\n", GET + many):
        for pieces in ([head], cut(head, 1000)):
            assert sent(url, *pieces, b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert rejected(url) == {}


def test_what_follows_on_a_kept_connection_has_the_same_bounds_and_its_turn(url):
    for flood in ("a line without an end", "a whole header", "many headers"):
        data, status, _, setting = FLOODS[flood]
        first, *rest = sent(url, GET + b"\r\n" + GET + b"\r\n" + data).split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200 ")
        assert len(rest) == 2
        refused(b"HTTP/1.1 " + rest[1], status, setting)


@ONE_PROCESS
def test_a_request_that_is_being_answered_is_answered_before_the_next_is_refused(url, engine, payment):
    engine.hold()
    body = payment(1)
    with connect(url) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        connection.sendall(FLOODS["a header without an end"][0])
        wait_until(lambda: rejected(url) == {"header_line": 1})
        engine.release()
        decision, problem = all_of(connection).split(b"HTTP/1.1 ")[1:]
    assert decision.startswith(b"200 ")
    refused(b"HTTP/1.1 " + problem, 431)


def test_trailers_have_the_bounds_of_headers_and_become_none(url, payment):
    body = payment(1)
    begun = b"POST /predict HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(body), body)
    for flood in (b"X: " + b"a" * 200 * KIB, b"X: a\r\n" * 1000, b"".join(b"X: %s\r\n" % (b"a" * 9000) for _ in range(9))):
        for size in (4 * KIB * KIB, 1400):
            refused(sent(url, begun, *cut(flood, size)), 431)
    found = sent(url, begun + b"X: a\r\n\r\n" + GET + b"Connection: close\r\n\r\n")
    assert found.count(b"HTTP/1.1 200 ") == 2


def test_long_bodies_without_a_line_end_are_no_long_lines(url):
    body = json.dumps({"transaction_id": "tx1", "text": "a" * 50_000}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: p\r\n"
    plain = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in cut(body, 7))
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    everything = (plain + chunked) * 3 + GET + b"Connection: close\r\n\r\n"
    for size in (64 * KIB, 1399):
        assert sent(url, *cut(everything, size)).count(b"HTTP/1.1 200 ") == 7
    assert rejected(url) == {}


@pytest.mark.parametrize("coding", ["length", "chunks"])
def test_the_end_of_a_long_body_is_no_line_of_the_next_request(url, coding):
    """A kept connection goes on after a body whose last segment is longer than a line may be."""
    body = json.dumps({"transaction_id": "tx1", "text": "a" * 300_000}).encode()
    head, data = b"POST /predict HTTP/1.1\r\nHost: p\r\n", body
    if coding == "length":
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    else:
        head, data = head + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with connect(url) as connection:
        for _ in range(3):
            connection.sendall(head)
            time.sleep(0.05)  # so that the body comes in segments of its own
            connection.sendall(data)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET + b"Connection: close\r\n\r\n")
        assert all_of(connection).startswith(b"HTTP/1.1 200 ")
    assert rejected(url) == {}


@ONE_PROCESS
def test_a_head_that_is_never_completed_is_refused_and_silence_is_ended(serve):
    with serve(head_timeout_s=0.3) as url:
        with connect(url) as silent, connect(url) as slow, connect(url) as odd:
            slow.sendall(GET)
            odd.sendall(b"\r\n")
            assert all_of(silent) == b""
            assert all_of(odd) == b""
            refused(all_of(slow), 408, "head_timeout_s")
        assert rejected(url) == {"head_timeout": 3}


def test_dribbling_does_not_win_time(serve):
    with serve(head_timeout_s=0.5) as url, connect(url) as connection:
        connection.sendall(GET)
        found, end = b"", time.monotonic() + 60
        connection.settimeout(0.05)
        while not found and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                connection.sendall(b"X: a\r\n")
                found = connection.recv(65536)
        refused(found, 408)


def test_a_kept_connection_may_wait_longer_than_a_head_may_take(serve):
    with serve(head_timeout_s=0.2) as url, connect(url) as kept:
        kept.sendall(GET + b"\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200 ")
        with connect(url) as silent:
            assert all_of(silent) == b""
        kept.sendall(GET + b"Connection: close\r\n\r\n")
        assert all_of(kept).startswith(b"HTTP/1.1 200 ")


def test_connections_beyond_the_limit_are_told_so_and_taken_again_when_others_have_ended(serve):
    with serve(max_connections=3) as url, contextlib.ExitStack() as stack:
        with connect(url) as one:
            held = [stack.enter_context(connect(url)) for _ in range(2)]
            one.sendall(GET + b"\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
            for connection in held:
                connection.sendall(GET + b"\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            found = sent(url, GET + b"\r\n")
            refused(found, 503, "max_connections")
            assert b"retry-after: " in found
            one.sendall(GET + b"\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200 "), "those who are connected are answered"
        wait_until(lambda: sent(url, GET + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 "))


@ONE_PROCESS
def test_requests_that_wait_on_one_connection_are_bounded(url, engine, payment):
    engine.hold()
    body = payment(1)
    first = b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with connect(url) as connection:
        connection.sendall(first + (GET + b"\r\n") * 5000)
        wait_until(lambda: rejected(url) == {"waiting_requests": 1})
        engine.release()
        found = all_of(connection)
    assert found.count(b"HTTP/1.1 200 ") == MOST_WAITING + 1
    refused(b"HTTP/1.1 503" + found.partition(b"HTTP/1.1 503")[2], 503)


def test_what_is_no_http_is_a_problem_too(url):
    refused(sent(url, b"\x16\x03\x01 hello\r\n\r\n"), 400)
    refused(sent(url, b"POST /predict HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"), 400)


UPGRADE = b"GET /ws/live HTTP/1.1\r\nHost: p\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b"Cookie: " + b"a" * 10_000 + b"\r\n\r\n", 431),
        (b"Cookie: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"X: a\r\n" * 200 + b"\r\n", 431),
        (b"Content-Length: 5\r\n\r\n12345", 400),
        (b"X: \x80\x01\r\n\r\n", 400),
    ],
)
def test_the_head_of_a_web_socket_is_bounded_too(url, more, status):
    refused(sent(url, UPGRADE + more), status)
    long = UPGRADE.replace(b"/ws/live", b"/ws/live?" + b"a" * 9000)
    refused(sent(url, long + b"\r\n"), 414)


# ---------------------------------------------------------------- bodies


def test_a_body_beyond_the_limit_is_refused_in_words_however_it_is_sent(serve, payment):
    with serve(max_body_bytes=100_000) as url:
        body, first = b"[" + b" " * 8_000_000 + b"]", payment(1)
        head = b"POST %s HTTP/1.1\r\nHost: p\r\n"
        before = head % b"/predict" + b"Content-Length: %d\r\n\r\n" % len(first) + first
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in cut(body, 100_000)) + b"0\r\n\r\n"
        for path in (b"/predict", b"/labels", b"/events", b"/transactions"):
            declared = head % path + b"Content-Length: %d\r\n\r\n" % len(body) + body
            chunked = head % path + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
            for data in (declared, chunked):
                for pieces in ([data], [before + data], cut(data, 60_000)):
                    found = sent(url, *pieces)
                    refused(b"HTTP/1.1 413" + found.partition(b"HTTP/1.1 413")[2], 413, "max_body_bytes")
        assert rejected(url) == {"body_size": 24}


def test_nobody_is_asked_for_a_body_that_is_too_large(serve):
    with serve(max_body_bytes=100_000) as url:
        head = b"POST /predict HTTP/1.1\r\nHost: p\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n"
        refused(sent(url, head), 413)


@pytest.mark.parametrize("path", [b"/predict", b"/labels", b"/session"])
def test_a_body_that_comes_too_slowly_is_refused_in_words(serve, path):
    with serve(body_timeout_s=0.3) as url:
        refused(sent(url, b"POST %s HTTP/1.1\r\nHost: p\r\nContent-Length: 50\r\n\r\n{" % path), 408, "body_timeout_s")
        assert rejected(url) == {"body_timeout": 1}


def test_a_stop_does_not_wait_for_clients_that_go_on_sending_what_was_refused(serve):
    with contextlib.ExitStack() as stack:
        with serve(max_body_bytes=100_000) as url:
            connection = stack.enter_context(connect(url))
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Length: 999999\r\n\r\n{")
            refused(all_of(connection), 413)
            began = time.monotonic()
        assert time.monotonic() - began < 10
