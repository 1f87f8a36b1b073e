"""Messages of live pages: counts, latencies, a sample of decisions, alerts; as server-sent events and over WebSockets."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import msgspec

from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.feed import AlertNumbers, Numbered, percentiles_ms
from penstock.service.http.problems import Busy
from penstock.service.records.decisions import statistics

EVERY_S = 0.5
"""Seconds between two messages."""

MOST_SHOWN = 14
"""Decisions, and alerts, per message; the rest is counted."""

MOST_ALERTS = 50
"""Alerts per message; further ones come with the next. None is left out."""

MOST_VIEWERS = 64


class Live:
    """The message streams of live pages, for a bounded number of viewers. They end when the service stops.

    Per viewer only its position is kept. A slow viewer gets fewer messages, each with the newest decisions, and the
    number of those left out. Alerts are never left out: each has a `number`, and a viewer that reconnects sends the last
    one it got, the `alert_number` of its last message.
    """

    def __init__(self, desks: DetectorRouter) -> None:
        self._desks = desks
        self._numbers = AlertNumbers()
        for desk in desks.values():
            desk.feed.numbers = self._numbers
        self.viewers = 0
        self._facts: dict[str, Any] = {}
        self._measured_ns = 0
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """End every stream, so that open pages do not hold up a graceful stop."""
        self.stopping.set()

    def check(self) -> None:
        """Refuse viewers beyond the bound.

        Raises:
            Busy: there are too many.
        """
        if self.viewers >= MOST_VIEWERS:
            raise Busy(f"{self.viewers} pages watch already; close one of them")

    async def stream(self) -> AsyncIterator[bytes]:
        """Messages as server-sent events."""
        yield b"retry: 2000\n\n"
        async for message in self.messages():
            yield b"data: " + message + b"\n\n"

    async def messages(self, alerts_since: int | None = None) -> AsyncGenerator[bytes]:
        """Messages as JSON, until the viewer disconnects or the service stops; none if there is no room for another viewer.

        alerts_since: the number of the last alert that this viewer got; the newest few are sent unless given.
        """
        if self.viewers >= MOST_VIEWERS:
            return
        self.viewers += 1
        try:
            told = Told({name: desk.feed.count for name, desk in self._desks.items()}, self._alerts_from(alerts_since))
            while not self.stopping.is_set():
                yield self._message(told)
                await self._pause()
        finally:
            self.viewers -= 1

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), EVERY_S)
        except TimeoutError:
            return

    def _alerts_from(self, since: int | None) -> int:
        """The alert number after which a viewer begins."""
        if since is not None:
            return since
        kept = self._alerts_since(0)
        return kept[-MOST_SHOWN - 1][0] if len(kept) > MOST_SHOWN else 0

    def _alerts_since(self, number: int) -> list[Numbered]:
        with self._numbers.lock:
            return sorted(alert for desk in self._desks.values() for alert in desk.feed.alerts_since(number))

    def _message(self, told: "Told") -> bytes:
        """One message; advances the viewer's position `told`."""
        decisions = Sample()
        for name, desk in self._desks.items():
            feed = desk.feed
            decisions.add(feed.since(told.decisions[name]), feed.count - told.decisions[name])
            told.decisions[name] = feed.count
        raised = self._alerts_since(told.alerts)
        alerts = raised[:MOST_ALERTS]
        if alerts:
            told.alerts = alerts[-1][0]
        shown: dict[str, Any] = {
            "decisions": decisions.shown(),
            "alerts": [_numbered(*alert) for alert in alerts],
            "alert_number": told.alerts,
        }
        left_out = {"decisions": decisions.new - len(shown["decisions"]), "alerts": len(raised) - len(alerts)}
        return msgspec.json.encode({**self._measured(), **shown, "left_out": left_out})

    def _measured(self) -> dict[str, Any]:
        """Counts and latencies, computed once for viewers that ask at almost the same time."""
        now_ns = time.monotonic_ns()
        if now_ns - self._measured_ns > EVERY_S * 1e9 / 2:
            self._measured_ns, self._facts = now_ns, self._measure(now_ns)
        return self._facts

    def _measure(self, now_ns: int) -> dict[str, Any]:
        ready = [desk for desk in self._desks.values() if desk.not_ready is None]
        newest = [taken for desk in ready for taken in desk.measures.newest_ns]
        block = next((desk.feed.first_block for desk in ready if desk.feed.first_block is not None), None)
        return {
            "measured_ms": now_ns // 1_000_000,
            "ready": {name: desk.not_ready for name, desk in self._desks.items()},
            "stats": statistics(ready) if ready else None,
            "latency_ms": percentiles_ms(newest),
            "outcomes": {name: dict(desk.feed.outcomes) for name, desk in self._desks.items()},
            "first_block": None if block is None else msgspec.Raw(block),
        }


class Told:
    """The position of a viewer in the decisions of each detector and in the alerts; it begins with the newest decisions
    there are.
    """

    __slots__ = ("alerts", "decisions")

    def __init__(self, decisions: dict[str, int], alerts: int) -> None:
        self.decisions = {name: max(0, count - MOST_SHOWN) for name, count in decisions.items()}
        self.alerts = alerts


def _numbered(number: int, alert: bytes) -> msgspec.Raw:
    """An alert with its number."""
    return msgspec.Raw(b'{"number":%d' % number + (b"}" if alert == b"{}" else b"," + alert[1:]))


class Sample:
    """The decisions that one message shows, and how many are new."""

    def __init__(self) -> None:
        self.new = 0
        self._by_desk: list[Sequence[Numbered]] = []

    def add(self, kept: Sequence[Numbered], new: int) -> None:
        """Add the decisions kept by one feed, of so many new ones."""
        self.new += new
        if kept:
            self._by_desk.append(kept)

    def shown(self) -> list[msgspec.Raw]:
        """The newest decisions, equally many of every detector."""
        share = max(1, MOST_SHOWN // max(1, len(self._by_desk)))
        return [msgspec.Raw(body) for kept in self._by_desk for _, body in kept[-share:]]
