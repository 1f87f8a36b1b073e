"""What live pages are told: counts, latencies, a sample of decisions, alerts. As server-sent events and over WebSockets."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import msgspec

from penstock.service.desks import Desks
from penstock.service.feed import Numbered
from penstock.service.measures import percentiles_ms
from penstock.service.problems import Busy
from penstock.service.records import statistics

EVERY_S = 0.5
"""Time between two messages."""

MOST_SHOWN = 14
"""Decisions, and alerts, per message; the rest is counted."""

MOST_VIEWERS = 64


class Live:
    """The messages, for any number of viewers up to a bound. They end when the service is asked to stop.

    Nothing is kept for a viewer but up to where it was told. One that reads slowly gets fewer messages, each with the
    newest decisions, and the number of those that it was not shown.
    """

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self._viewers = 0
        self._facts: dict[str, Any] = {}
        self._measured_ns = 0
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """End every stream, so that open pages do not hold up a graceful stop."""
        self.stopping.set()

    def check(self) -> None:
        """Refuse one viewer too many.

        Raises:
            Busy: there are enough.
        """
        if self._viewers >= MOST_VIEWERS:
            raise Busy(f"{self._viewers} pages watch already; close one of them")

    async def stream(self) -> AsyncIterator[bytes]:
        """Messages as server-sent events."""
        yield b"retry: 2000\n\n"
        async for message in self.messages():
            yield b"data: " + message + b"\n\n"

    async def messages(self) -> AsyncGenerator[bytes]:
        """Messages as JSON, until the viewer goes or the service stops; none where many came at once and there is no room."""
        if self._viewers >= MOST_VIEWERS:
            return
        self._viewers += 1
        try:
            told = {name: Told(desk.feed.count, desk.feed.alert_count) for name, desk in self._desks.items()}
            while not self.stopping.is_set():
                yield self._message(told)
                await self._pause()
        finally:
            self._viewers -= 1

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), EVERY_S)
        except TimeoutError:
            return

    def _message(self, told: "dict[str, Told]") -> bytes:
        """One message; `told` remembers by detector up to where this viewer was told."""
        decisions, alerts = Sample(), Sample()
        for name, desk in self._desks.items():
            mark, feed = told[name], desk.feed
            decisions.add(feed.since(mark.decisions), feed.count - mark.decisions)
            mark.decisions = feed.count
            raised = feed.alerts_since(mark.alerts)
            if raised:
                newest = raised[-1][0]
                alerts.add(raised, newest - mark.alerts)
                mark.alerts = newest
        shown = {"decisions": decisions.shown(), "alerts": alerts.shown()}
        left_out = {"decisions": decisions.new - len(shown["decisions"]), "alerts": alerts.new - len(shown["alerts"])}
        return msgspec.json.encode({**self._measured(), **shown, "left_out": left_out})

    def _measured(self) -> dict[str, Any]:
        """Counts and latencies: measured once for viewers who ask at almost the same time."""
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
    """Up to which decision and alert of one detector a viewer was told; the newest that are there already are shown."""

    __slots__ = ("alerts", "decisions")

    def __init__(self, decisions: int, alerts: int) -> None:
        self.decisions = max(0, decisions - MOST_SHOWN)
        self.alerts = max(0, alerts - MOST_SHOWN)


class Sample:
    """What one message shows, of how many that are new."""

    def __init__(self) -> None:
        self.new = 0
        self._by_desk: list[Sequence[Numbered]] = []

    def add(self, kept: Sequence[Numbered], new: int) -> None:
        """Add what one feed has kept, of so many."""
        self.new += new
        if kept:
            self._by_desk.append(kept)

    def shown(self) -> list[msgspec.Raw]:
        """The newest, of every detector as many."""
        share = max(1, MOST_SHOWN // max(1, len(self._by_desk)))
        return [msgspec.Raw(body) for kept in self._by_desk for _, body in kept[-share:]]
