"""Over real sockets: what HTTP clients do, and how the service starts and stops."""

import asyncio
import dataclasses
import json
import socket
import threading
import time

import pytest
from tests.service import patient
from tests.waiting import wait_until

from penstock.config import Settings
from penstock.errors import BundleError, ConfigurationError
from penstock.service import MicroBatcher, bind, create_app, serve
from penstock.service.app import Background
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.server import GC_THRESHOLDS, STOP_WITHIN_S, Server
from penstock.wiring.service_parts import ServedParts


@pytest.fixture
def app(engine):
    settings = Settings(max_body_bytes=100_000)
    return create_app({"fake": MicroBatcher.of(engine, settings)}, settings)


def raw(url, data, *, until=b"}", seconds=60):
    """Send bytes over a connection of one's own and return what comes back."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(data)
        found = b""
        while until not in found:
            piece = connection.recv(65536)
            if not piece:
                break
            found += piece
        return found


def request(body, *lines, path="/predict"):
    head = [f"POST {path} HTTP/1.1", "Host: penstock", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def test_a_connection_is_kept_for_the_next_request(app, payment, serve_in_thread):
    with serve_in_thread(app) as url:
        both = raw(url, request(payment(1)) + request(payment(2)), until=b"tx2")
    assert both.count(b"HTTP/1.1 200 OK") == 2


def test_expect_continue_is_answered_and_chunked_bodies_are_read(app, payment, serve_in_thread):
    body = payment(1)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:])) + b"0\r\n\r\n"
    head = b"POST /predict HTTP/1.1\r\nHost: p\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serve_in_thread(app) as url:
        found = raw(url, head + chunked)
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_a_body_announced_as_too_large_is_refused_before_it_is_sent_and_the_connection_closed(app, serve_in_thread):
    head = b"POST /predict HTTP/1.1\r\nHost: p\r\nContent-Length: 99999999\r\n\r\n{"
    with serve_in_thread(app) as url:
        found = raw(url, head, until=b"nothing closes it but the server")
    assert found.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in found


def test_head_has_the_headers_of_get_and_no_body(app, serve_in_thread):
    with serve_in_thread(app) as url:
        found = raw(url, b"HEAD /health HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n", until=b"never")
    head, _, body = found.partition(b"\r\n\r\n")
    assert (head.startswith(b"HTTP/1.1 200"), b"content-length: " in head, body) == (True, True, b"")


@pytest.mark.parametrize(
    "line", [b"POST /pre\xffdict HTTP/1.1", b"GET * HTTP/1.1", b"nonsense", b"GET /%zz HTTP/1.1", b"OPTIONS * HTTP/1.1"]
)
def test_a_strange_request_line_is_a_4xx_and_the_next_connection_is_served(app, payment, serve_in_thread, line):
    with serve_in_thread(app) as url:
        found = raw(url, line + b"\r\nHost: p\r\n\r\n", until=b"\r\n\r\n")
        assert found.split(b" ")[1].startswith(b"4"), found
        assert patient.post(url + "/predict", content=payment(1)).status_code == 200


def test_a_client_that_leaves_is_decided_all_the_same_and_disturbs_nobody(app, engine, payment, serve_in_thread):
    with serve_in_thread(app) as url:
        engine.hold()
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(request(payment(1)))
            wait_until(lambda: engine.batches)
        engine.release()
        assert patient.post(url + "/predict", content=payment(2)).json()["transaction_id"] == "tx2"
    assert [batch for batch, _ in engine.batches] == [["tx1"], ["tx2"]]


def test_a_graceful_stop_answers_what_was_accepted_then_closes_the_engine(app, engine, payment, serve_in_thread):
    answers = []
    engine.hold()
    with serve_in_thread(app) as url:
        asking = threading.Thread(target=lambda: answers.append(patient.post(url + "/predict", content=payment(1))))
        asking.start()
        wait_until(lambda: engine.batches)
        threading.Timer(0.3, engine.release).start()
    asking.join()
    assert answers[0].json()["transaction_id"] == "tx1"
    assert engine.closed


def test_a_stop_that_is_asked_for_twice_closes_the_engine_all_the_same(app, engine):
    sock = bind("127.0.0.1", 0)
    server = Server(app)
    server.stop()
    server.stop()
    server.run(sockets=[sock])
    assert server.force_exit
    assert engine.closed


def test_work_that_has_failed_keeps_nothing_open(engine, run):
    async def fails():
        raise ValueError("a page cannot be had")

    async def close():
        closed.append("first")

    closed = []
    background = Background(DetectorRouter({"fake": MicroBatcher.of(engine, Settings())}))
    background.always.append(fails)
    background.closing.append(close)

    async def scene():
        async with background.lifespan(None):
            await asyncio.sleep(0)

    with pytest.raises(ValueError, match="cannot be had"):
        run(scene())
    assert (closed, engine.closed) == (["first"], True)


def test_an_open_live_page_does_not_hold_up_a_stop(app, payment, serve_in_thread):
    with serve_in_thread(app) as url, patient.stream("GET", url + "/live") as stream:
        lines = stream.iter_lines()
        patient.post(url + "/predict", content=payment(1, amount=5000))
        messages = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        shown = next(message for message in messages if message["decisions"])
        assert shown["decisions"][0]["transaction_id"] == "tx1"
        assert shown["first_block"]["transaction_id"] == "tx1"
        assert shown["outcomes"] == {"fake": {"BLOCK": 1}}
        began = time.monotonic()
    assert time.monotonic() - began < STOP_WITHIN_S - 5  # so long a stop takes that is held up


def test_a_port_in_use_is_a_sentence_and_a_remedy():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127.0.0.1:{port}: another process.*--port {port + 1}"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize(("host", "said"), [("192.0.2.1", "no such address"), ("not a host", "not known here")])
def test_an_address_that_cannot_be_had_is_a_sentence_and_a_remedy(host, said):
    with pytest.raises(ConfigurationError, match=said):
        bind(host, 8000)


def alone(opener):
    """A service of one detector with nothing around it."""
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(ServedParts))
    none_of_each = {"brokered": {}, "champions": {}, "rules": {}, "features": {}}
    return ServedParts(**nothing | none_of_each | {"openers": {"fake": opener}})


def test_a_detector_that_cannot_be_opened_ends_the_server_with_its_own_error(tmp_path):
    def opener():
        raise BundleError("the bundle was made for other features")

    with pytest.raises(BundleError, match="other features"):
        serve(alone(opener), Settings(data=tmp_path), sock=bind("127.0.0.1", 0))


def test_once_everything_is_open_garbage_collection_is_out_of_the_way(make_engine, tmp_path, monkeypatch):
    import gc

    before, frozen = gc.get_threshold(), []
    monkeypatch.setattr("penstock.service.server.Server.main_loop", _until_ready(frozen))
    try:
        count = gc.get_freeze_count
        serve(alone(make_engine), Settings(data=tmp_path), sock=bind("127.0.0.1", 0), on_ready=lambda: frozen.append(count()))
        assert gc.get_threshold() == GC_THRESHOLDS
        assert frozen[0] > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def _until_ready(frozen):
    async def main_loop(_server):
        import asyncio

        while not frozen:
            await asyncio.sleep(0.01)

    return main_loop
