"""The load test: what it counts, and that a stalled service cannot hide its stall."""

import socket
import time

import pytest

from penstock.adapters.http import ServiceAddress, Unreachable, request
from penstock.adapters.load import Measured, fetch, measure
from penstock.errors import ConfigurationError


def requests(service):
    return lambda number: request(service.address, "POST", "/predict", b'{"id":%d}' % number)


def test_every_request_is_sent_once_and_counted(service):
    measured = measure(service.address, requests(service), requests=100, concurrency=7)
    assert sorted(int(body[6:-1]) for _, body in service.seen) == list(range(100))
    assert (measured.requests, measured.errors, len(measured.latencies_ms)) == (100, 0, 100)


def test_refusals_are_errors_and_have_no_latency(service):
    service.answer = lambda _method, _path, body: (503, b"{}") if body.endswith(b"3}") else (200, b"{}")
    measured = measure(service.address, requests(service), requests=20, concurrency=2)
    assert (measured.errors, len(measured.latencies_ms)) == (2, 18)
    assert measured.as_json()["statuses"] == {"200": 18, "503": 2}


def test_a_connection_that_breaks_is_an_error_and_is_replaced(service):
    service.answer = lambda _method, _path, body: None if body == b'{"id":3}' else (200, b"{}")
    measured = measure(service.address, requests(service), requests=20, concurrency=2)
    assert measured.as_json()["statuses"] == {"broken": 1, "200": 19}


def test_with_a_rate_latency_counts_from_the_instant_a_request_was_due(service):
    def stall_once(_method, _path, body):
        if body == b'{"id":0}':
            time.sleep(0.2)
        return 200, b"{}"

    service.answer = stall_once
    measured = measure(service.address, requests(service), requests=40, concurrency=1, rate=200)
    assert sum(latency > 50 for latency in measured.latencies_ms) > 20  # all that were due during the stall, not only one


def test_a_rate_is_kept(service):
    measured = measure(service.address, requests(service), requests=250, concurrency=5, rate=500)
    assert 0.49 < measured.seconds < 10


def test_nothing_answered_has_no_percentiles():
    assert Measured().as_json()["latency_ms"] == {"p50": None, "p95": None, "p99": None}


def test_an_answer_that_arrives_in_pieces_is_read_whole(service):
    service.answer = lambda _method, path, _body: (200, path.encode() * 10_000)
    assert fetch(service.address, "/long") == (200, b"/long" * 10_000)


def test_nobody_listening_is_said_with_a_remedy():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]  # held, and not listened to: nobody else can be given it meanwhile
        with pytest.raises(Unreachable, match=rf"nobody answers at http://127\.0\.0\.1:{port} .*penstock serve"):
            fetch(ServiceAddress("127.0.0.1", port), "/health")


def test_a_service_that_goes_away_is_not_waited_for(service):
    service.answer = lambda _method, _path, _body: None
    with pytest.raises(Unreachable, match="the connection broke before an answer came"):
        fetch(service.address, "/health")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://h:port"])
def test_what_is_no_http_url_is_refused(url):
    with pytest.raises(ConfigurationError, match="URL"):
        ServiceAddress.of(url)


def test_a_service_that_stops_answering_ends_a_load_test_with_a_sentence(monkeypatch):
    monkeypatch.setattr("penstock.adapters.load.SILENT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = ServiceAddress("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(Unreachable, match=r"has answered nothing for 0.3 s; 2 requests wait"):
            measure(address, lambda _number: request(address, "GET", "/"), requests=2, concurrency=2)
        with pytest.raises(Unreachable, match=r"/ready has not answered within 0.2 s"):
            fetch(address, "/ready", within_s=0.2)
