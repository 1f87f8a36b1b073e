"""Which traces the settings ask for, and that nobody waits for who should receive them."""

import socket
import time

import pytest

from penstock.assemble.traces import Every, spans_of
from penstock.config import Settings
from penstock.errors import ConfigurationError


def test_what_is_no_address_is_refused_with_what_to_write():
    with pytest.raises(ConfigurationError, match="http://HOST:4318"):
        spans_of(Settings(traces="collector:4318"))


def test_nothing_is_traced_where_nobody_asks(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert spans_of(Settings()) is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_a_share_is_chosen_evenly(share):
    every = Every(share)
    assert sum(every() for _ in range(1000)) == pytest.approx(1000 * share, abs=1)


def test_a_receiver_that_is_not_there_holds_nobody_up():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        spans = spans_of(Settings(traces=f"http://127.0.0.1:{free.getsockname()[1]}"))
        started = time.monotonic()
        spans.add(("work", 1, 2), [(("part", 1, 2), [("stage", 1, 2)])])
        assert time.monotonic() - started < 1
        spans.close()
        assert time.monotonic() - started < 10
