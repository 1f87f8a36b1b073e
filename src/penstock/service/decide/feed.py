"""The live feed of one detector: counts by outcome, the newest decisions and alerts, the first block with its reasons."""

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from penstock.clock import Clock, system_clock, to_us
from penstock.decoding import prepared
from penstock.messages import Refusal
from penstock.metrics import EVENTS, SECONDS, Histogram
from penstock.service.decide.waiters import Waiters

NEWEST = 4096
"""The newest latencies kept for percentiles."""


class Measures:
    """Latencies by stage and batch sizes of one detector, as its callers saw them."""

    def __init__(self) -> None:
        self.stages = {stage: Histogram(SECONDS) for stage in ("queue", "decide", "durable", "total")}
        self.batch_events = Histogram(EVENTS)
        self.turned_away = 0
        self.late = 0
        self.newest_ns: deque[int] = deque(maxlen=NEWEST)

    def batch(self, events: int, decide_ns: int, durable_ns: int) -> None:
        """Count an answered batch: its size, and how long deciding and making it durable took."""
        self.batch_events.observe(events)
        self.stages["decide"].observe(decide_ns / 1e9)
        self.stages["durable"].observe(durable_ns / 1e9)

    def request(self, queue_ns: int, total_ns: int) -> None:
        """Count an answered request: its time in the queue, and in all."""
        self.stages["queue"].observe(queue_ns / 1e9)
        self.stages["total"].observe(total_ns / 1e9)
        self.newest_ns.append(total_ns)


def percentiles_ms(newest_ns: Sequence[int]) -> dict[str, float | None]:
    """p50, p95 and p99 in milliseconds (nearest rank); null before anything was measured.

    >>> percentiles_ms([1_000_000, 2_000_000])
    {'p50': 1.0, 'p95': 2.0, 'p99': 2.0}
    """
    ordered = sorted(newest_ns)
    if not ordered:
        return {"p50": None, "p95": None, "p99": None}
    return {f"p{percent}": ordered[math.ceil(len(ordered) * percent / 100) - 1] / 1e6 for percent in (50, 95, 99)}


SHOWN = 64
"""Decisions kept for live pages; at high rates the others are counted, not shown."""

PER_BATCH = 8
"""Maximum of decisions kept from one batch, so that a page shows several moments and not one batch."""

ALERTS = 1000
"""The newest alerts kept. A viewer that reconnects misses none of those."""

_MARK = b'"decision":"'


def outcome(decision: bytes) -> str:
    r"""The outcome of a decision as JSON. Quotes inside a text are escaped, so no field's content can be mistaken for it.

    >>> outcome(b'{"transaction_id":"\\"decision\\":\\"x","decision":"BLOCK"}')
    'BLOCK'
    """
    start = decision.find(_MARK) + len(_MARK)
    return decision[start : decision.find(b'"', start)].decode()


Numbered = tuple[int, bytes]
"""The number of a decision or alert of a feed, and its JSON."""


class AlertNumbers:
    """Numbers alerts in the order of delivery: by the time when they were raised, in microseconds, strictly increasing.

    A viewer that reconnects, to this process after a restart or to another one, can thus say which alert it saw last.

    >>> numbers = AlertNumbers()
    >>> [numbers.of(b'{"at":"1970-01-01T00:00:01Z"}') for _ in range(2)]
    [1000000, 1000001]
    """

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock
        self._last = 0
        self.lock = threading.Lock()

    def of(self, body: bytes) -> int:
        """The number of an alert. Hold the `lock` until the alert can be read, so that no later one overtakes it."""
        try:
            raised_us = to_us(datetime.fromisoformat(msgspec.json.decode(body, type=prepared(_RaisedAt)).at))
        except (msgspec.MsgspecError, ValueError):
            raised_us = self._clock()
        self._last = max(self._last + 1, raised_us)
        return self._last


class _RaisedAt(msgspec.Struct):
    """When an alert was raised."""

    at: str


class Feed:
    """The data behind live pages, counters by outcome, and callers who wait for a status.

    Call everything but `alert` on the event loop's thread. numbers: shared by the feeds of one service.
    """

    def __init__(self) -> None:
        self.count = 0
        self.outcomes: Counter[str] = Counter()
        self.refused = 0
        self.newest: deque[Numbered] = deque(maxlen=SHOWN)
        self.first_block: bytes | None = None
        self.alerts: deque[Numbered] = deque(maxlen=ALERTS)
        self.watch = Waiters()
        self.alert_count = 0
        self.numbers = AlertNumbers()

    def followed(self, outcomes: Mapping[str, int], shown: Sequence[bytes]) -> None:
        """Add decisions made elsewhere: counts by outcome, and the JSON of some of them. Callers who wait for one are woken
        by `watch.found`, once it can be looked up.
        """
        self.count += sum(outcomes.values())
        self.outcomes.update(outcomes)
        first = self.count - len(shown) + 1
        self.newest += enumerate(shown, first)
        if self.first_block is None and "BLOCK" in outcomes:
            self.first_block = next((body for body in shown if outcome(body) == "BLOCK"), None)

    def decided(self, answers: Sequence[bytes | Refusal]) -> None:
        """Add the answers of a batch."""
        if self.watch.waiting_for:
            self.watch.decided(answers)
        kept = 0
        for answer in answers:
            if isinstance(answer, Refusal):
                self.refused += 1
                continue
            said = outcome(answer)
            self.count += 1
            self.outcomes[said] += 1
            if said == "BLOCK" and self.first_block is None:
                self.first_block = answer
            if kept < PER_BATCH or said != "APPROVE":
                kept += 1
                self.newest.append((self.count, answer))

    def since(self, number: int) -> list[Numbered]:
        """The kept decisions after this number, oldest first."""
        return [(at, decision) for at, decision in self.newest if at > number]

    def alert(self, body: bytes) -> None:
        """Add an alert, as JSON: live pages show it, and the newest are kept. From any thread."""
        with self.numbers.lock:
            self.alert_count += 1
            self.alerts.append((self.numbers.of(body), body))

    def alerts_since(self, number: int) -> list[Numbered]:
        """The kept alerts after this number, oldest first."""
        return [(at, alert) for at, alert in tuple(self.alerts) if at > number]
