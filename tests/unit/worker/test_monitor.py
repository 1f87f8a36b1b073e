"""The port of a worker's metrics, when clients connect and say nothing."""

import contextlib
import http.client
import socket
import threading

import pytest
from tests.waiting import wait_until

from penstock.worker import monitor as module
from penstock.worker.monitor import Monitor

STATUS = [{"shard": 0, "owner": True, "trouble": None, "fence": 1}]


@pytest.fixture
def silence_s():
    """How long a client may be silent: longer than any test."""
    return 600.0


@pytest.fixture
def monitor(silence_s, monkeypatch):
    monkeypatch.setattr(module, "SILENCE_S", silence_s)
    answering = Monitor(lambda: STATUS, "mine", "127.0.0.1", 0)
    yield answering
    answering.close()


def connect(monitor):
    return socket.create_connection(("127.0.0.1", monitor.port), 60)


@pytest.mark.parametrize("silence_s", [0.2])
def test_a_silent_client_is_hung_up_on_and_its_thread_ends(monitor):
    threads = threading.active_count()
    with connect(monitor) as silent:
        assert silent.recv(1) == b""
    wait_until(lambda: threading.active_count() <= threads)


def test_only_so_many_connections_are_held_and_others_are_answered_when_they_have_gone(monitor):
    with contextlib.ExitStack() as opened:
        held = [opened.enter_context(connect(monitor)) for _ in range(module.MOST_CONNECTIONS)]
        with connect(monitor) as refused, contextlib.suppress(ConnectionResetError):
            refused.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            assert refused.recv(1) == b""
        assert len(held) == module.MOST_CONNECTIONS

    def answered():
        connection = http.client.HTTPConnection("127.0.0.1", monitor.port, timeout=60)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (http.client.HTTPException, ConnectionError):
            return False
        finally:
            connection.close()

    wait_until(answered)
