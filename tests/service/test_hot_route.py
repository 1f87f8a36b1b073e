"""However requests come over a connection, each is answered as if it had come alone: heads that come again are recognised."""

import asyncio
import contextlib
import random
import socket
import time

import pytest

from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.identity.keys import Keys
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.service.asgi import EntryPoint

PLAIN = b"Host: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(params=[0, 2], ids=["one process", "behind acceptors"])
def settings(request):
    return Settings(acceptors=request.param)


@pytest.fixture
def url(engine, serve_in_thread, settings):
    with serve_in_thread(create_app({"fake": MicroBatcher.of(engine, settings)}, settings), settings) as found:
        yield found


def post(body, target=b"/predict"):
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (target, PLAIN, len(body), body)


def chunked(body):
    rest = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return b"POST /predict HTTP/1.1\r\n" + PLAIN + b"Transfer-Encoding: chunked\r\n\r\n" + rest


class Client:
    """One connection, read response by response."""

    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def send(self, *pieces):
        for piece in pieces:
            self._socket.sendall(piece)

    def answer(self):
        """Status, headers without the date, body."""
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.partition(b": ")
            headers[name] = value
        headers.pop(b"date")
        return status, headers, self._file.read(int(headers.get(b"content-length", 0)))

    def ends(self):
        """Whether the service closes its half without a word."""
        return self._file.read(1) == b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()


def asked(kind, body):
    """A request of this kind, with the status that it must get."""
    return {
        "event": (post(body), 200),
        "the same head, another event": (post(body[:-1] + b" }"), 200),
        "version 1": (post(body, target=b"/v1/predict"), 200),
        "dry run": (post(body, target=b"/predict?dry_run=true"), 200),
        "array": (post(b"[" + body + b"]"), 200),
        "chunked": (chunked(body), 200),
        "no event": (post(b"{}" + b" " * 40), 422),
        "no JSON": (post(b"{" + b"x" * 40), 400),
        "elsewhere": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    }[kind]


KINDS = ["event"] * 5 + [
    "the same head, another event",
    "version 1",
    "dry run",
    "array",
    "chunked",
    "no event",
    "no JSON",
    "elsewhere",
]


@pytest.mark.parametrize("seed", range(6))
def test_requests_in_any_order_and_any_segments_get_their_own_answers(url, payment, seed):
    rng = random.Random(seed)
    number = 0
    with Client(url) as client:
        for _ in range(25):
            kinds = rng.choices(KINDS, k=rng.choice([1, 1, 1, 2, 5]))
            requests = []
            for kind in kinds:
                number += 1
                requests.append((kind, b"tx%d" % (1000 + number), *asked(kind, payment(1000 + number))))
            data = b"".join(request for _, _, request, _ in requests)
            cuts = sorted(rng.sample(range(1, len(data)), rng.choice([0, 0, 1, 3])))
            client.send(*(data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)))
            for kind, name, _, status in requests:
                found, _, body = client.answer()
                assert found == status, (kind, body)
                assert (b'"%b"' % name in body) == (status == 200 and kind != "elsewhere"), (kind, body)


def test_an_event_is_answered_with_the_same_headers_whichever_way_it_goes(url, payment):
    with Client(url) as client:
        client.send(post(payment(1)))
        first = client.answer()
        client.send(post(payment(2)))  # its head was read before
        again = client.answer()
        whole = post(payment(3))
        client.send(whole[:-1])
        client.send(whole[-1:])
        apart = client.answer()
    assert first[0] == again[0] == apart[0] == 200
    assert len({headers.pop(b"x-request-id") for _, headers, _ in (first, again, apart)}) == 3
    assert first[1] == again[1] == apart[1]


def test_plain_events_are_answered_without_the_application_and_counted_as_its_own(url, payment, monkeypatch):
    called = []
    application = EntryPoint.__call__

    async def noted(self, scope, receive, send):
        called.append(scope["path"])
        await application(self, scope, receive, send)

    monkeypatch.setattr(EntryPoint, "__call__", noted)
    with Client(url) as client:
        for number, target in enumerate((b"/predict", b"/predict", b"/v1/predict")):
            client.send(post(payment(number), target))
            assert client.answer()[0] == 200
        client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        metrics = client.answer()[2]
    assert called == ["/metrics"]
    assert b'penstock_requests_total{route="/predict",status="200"} 3.0' in metrics


def test_a_key_that_is_revoked_opens_nothing_although_its_head_was_read_before(engine, serve_in_thread, payment, settings):
    with contextlib.closing(SqliteDatabase()) as office:
        keys = Keys(office)
        secret, key = keys.add("till", ["decider"], who="test")
        access = Access(office, settings, exposed=True)
        app = create_app({"fake": MicroBatcher.of(engine, settings)}, settings, ServiceParts(access=access))
        with serve_in_thread(app, settings) as url, Client(url) as client:
            request = post(payment(1)).replace(b"Content-Type", b"X-API-Key: %b\r\nContent-Type" % secret.encode())
            for _ in range(2):
                client.send(request)
                assert client.answer()[0] == 200
            keys.revoke(key.id, who="test")
            asyncio.run(access.refresh())
            client.send(request)
            assert client.answer()[0] == 401


def test_what_cannot_be_decided_is_told_and_the_connection_goes_on(url, engine, payment):
    with Client(url) as client:
        engine.ledger.trouble = OSError("no room")
        client.send(post(payment(1)))
        status, headers, _ = client.answer()
        assert (status, headers[b"retry-after"]) == (503, b"1")
        engine.ledger.trouble = None
        client.send(post(payment(2)))
        assert client.answer()[0] == 200


def test_a_client_that_goes_away_leaves_the_others_their_answers(url, engine, payment):
    engine.hold()
    with Client(url) as stays:
        with Client(url) as leaves:
            leaves.send(post(payment(1)))
            stays.send(post(payment(2)))
        engine.release()
        assert stays.answer()[0] == 200


def test_a_connection_is_kept_while_requests_come_and_closed_when_none_has_for_long(
    engine, serve_in_thread, payment, settings, monkeypatch
):
    monkeypatch.setattr("penstock.service.server.KEEP_ALIVE_S", 4)
    app = create_app({"fake": MicroBatcher.of(engine, settings)}, settings)
    with serve_in_thread(app, settings) as url, Client(url) as client:
        for number in range(4):
            time.sleep(1.2)  # together longer than it is kept without a request
            client.send(post(payment(number)))
            assert client.answer()[0] == 200
        answered = time.monotonic()
        assert client.ends()
        assert 3.9 < time.monotonic() - answered < 60


def test_a_connection_is_not_closed_while_a_request_waits_for_its_answer(
    engine, serve_in_thread, payment, settings, monkeypatch
):
    monkeypatch.setattr("penstock.service.server.KEEP_ALIVE_S", 1)
    app = create_app({"fake": MicroBatcher.of(engine, settings)}, settings)
    with serve_in_thread(app, settings) as url, Client(url) as client:
        client.send(post(payment(1)))
        assert client.answer()[0] == 200
        engine.hold()
        client.send(post(payment(2)))
        time.sleep(1.5)
        engine.release()
        assert client.answer()[0] == 200
        assert client.ends()
