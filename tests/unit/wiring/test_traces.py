"""Which traces the settings ask for, and that nobody waits for who should receive them."""

import socket
import time

import pytest

from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.stream.port import Message
from penstock.stream.trace_context import with_trace_context
from penstock.wiring.traces import BatchSpans, Every, SentSpans, parent_of, spans_of


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
        added_s = time.monotonic() - started
        assert added_s < 5
        closing = time.monotonic()
        spans.close()
        assert time.monotonic() - closing < 9, "OpenTelemetry alone tries for ten seconds"


class Kept:
    """Spans that are only kept."""

    def __init__(self):
        self.seen = []

    def add(self, spell, children=(), *, parent=None, own=None, attributes=None):
        self.seen.append((spell[0], parent, own))


def test_what_a_producer_traces_carries_the_ids_of_its_span():
    spans = Kept()
    sent = SentSpans(spans, 0.5)
    carried = [sent() for _ in range(4)]
    assert [bool(each) for each in carried] == [False, True, False, True]
    assert [("send", None, parent_of(each)[0]) for each in carried if each] == spans.seen
    assert len({own for *_, own in spans.seen}) == 2


def test_a_batch_continues_the_traces_of_its_events_whatever_share_is_traced():
    spans = Kept()
    decided = BatchSpans(spans, "shop", 0.0)
    traces = [b"00-%032x-%016x-01" % (7, 1), b"", b"00-%032x-%016x-00" % (8, 2), b"nonsense", b"00-%032x-%016x-01" % (9, 3)]
    with with_trace_context([Message("transactions", 0, str(number), 0, b"", trace) for number, trace in enumerate(traces)]):
        decided({"total": 1.0}, 5)
    decided({"total": 1.0}, 5)
    assert spans.seen == [("decide", (7, 1), None), ("decide", (9, 3), None)]
