"""Events on their way into a broker: in order, at their pace, never too many at once."""

import time

import pytest

from penstock.adapters import producer
from penstock.adapters.producer import produce
from penstock.adapters.traffic import Item
from penstock.errors import BrokerError


class Slow:
    """An outlet that confirms some at each flush; `fails` is the number of the one that it does not take."""

    def __init__(self, at_once=10_000, fails=None):
        self.traces, self.seen, self.most, self.at_once, self.fails = [], [], 0, at_once, fails
        self._waiting = []

    def put(self, role, key, body, done, *, trace=b""):
        self.seen.append((role, key, body))
        self.traces.append(trace)
        self._waiting.append((len(self.seen) - 1, done))
        self.most = max(self.most, len(self._waiting))

    def flush(self, timeout_s):
        now, self._waiting = self._waiting[: self.at_once], self._waiting[self.at_once :]
        for number, done in now:
            done(BrokerError("no room") if number == self.fails else None)
        return len(self._waiting)

    def close(self):
        """Nothing is held."""


def test_events_and_labels_go_to_their_topics_in_order():
    outlet = Slow()
    items = [Item("/predict", b'{"id":"a","user":7}'), Item("/events", b'{"id":"b"}'), Item("/labels", b'{"user":7}')]
    sent = produce(outlet, items, key="user")
    assert outlet.seen == [
        ("transactions", "7", b'{"id":"a","user":7}'),
        ("transactions", "", b'{"id":"b"}'),
        ("labels", "", b'{"user":7}'),
    ]
    assert (sent.accepted, sent.labels) == (2, 1)


def test_each_event_carries_the_trace_that_is_asked_for_it():
    outlet, traces = Slow(), iter([b"", b"00-1", b""])
    produce(outlet, [Item("/predict", b"{}")] * 3, trace=lambda: next(traces))
    assert outlet.traces == [b"", b"00-1", b""]


def test_no_more_than_a_bound_waits_to_be_confirmed(monkeypatch):
    monkeypatch.setattr(producer, "MOST_IN_FLIGHT", 40)
    outlet = Slow(at_once=7)
    sent = produce(outlet, (Item("/predict", b"%d" % k) for k in range(1_000)))
    assert sent.accepted == 1_000
    assert outlet.most <= 40


def test_a_message_that_the_broker_does_not_take_ends_it_with_the_reason():
    with pytest.raises(BrokerError, match="99 events and 0 labels were sent, then: no room"):
        produce(Slow(fails=50), [Item("/predict", b"{}")] * 100)


def test_events_are_sent_at_their_pace():
    began = time.monotonic()
    produce(Slow(), [Item("/predict", b"{}")] * 2_000, tps=4_000)
    assert 0.45 < time.monotonic() - began < 10, "one each time that it looks would take twenty seconds"


def test_a_pace_of_many_thousands_is_kept():
    began = time.monotonic()
    produce(Slow(), [Item("/predict", b"{}")] * 20_000, tps=40_000)
    assert 0.45 < time.monotonic() - began < 10, "one each time that it looks would take minutes"
