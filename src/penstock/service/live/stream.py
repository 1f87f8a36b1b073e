"""Messages of live pages: counts, latencies, a sample of decisions, alerts; as server-sent events and over WebSockets."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import msgspec

from penstock.service.decide.detectors import DetectorRouter, visible_detectors
from penstock.service.decide.feed import AlertNumbers, Numbered, percentiles_ms
from penstock.service.decide.waiters import id_of
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

    def __init__(self, router: DetectorRouter) -> None:
        self._router = router
        self._numbers = AlertNumbers()
        for served in router.values():
            served.feed.numbers = self._numbers
        self.viewers = 0
        self._facts: dict[frozenset[str] | None, tuple[int, dict[str, Any]]] = {}
        self._first_block: tuple[bytes, msgspec.Raw | None] | None = None
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

    async def messages(self, alerts_since: int | None = None, *, summary: bool = False) -> AsyncGenerator[bytes]:
        """Messages as JSON, until the viewer disconnects or the service stops; none if there is no room for another viewer.

        alerts_since: the number of the last alert that this viewer got; the newest few are sent unless given. summary: send
        decisions in one line each, a `DecisionSummary`.
        """
        if self.viewers >= MOST_VIEWERS:
            return
        self.viewers += 1
        try:
            sent = ViewerPosition(
                {name: served.feed.count for name, served in self._router.items()}, self._alerts_from(alerts_since)
            )
            while not self.stopping.is_set():
                yield self._message(sent, summary=summary)
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
            return sorted(alert for served in self._router.values() for alert in served.feed.alerts_since(number))

    def _message(self, sent: "ViewerPosition", *, summary: bool) -> bytes:
        """One message; advances the viewer's position `sent`."""
        decisions = DecisionSample(self._router if summary else None)
        for name, served in self._router.items():
            feed = served.feed
            decisions.add(name, feed.since(sent.decisions[name]), feed.count - sent.decisions[name])
            sent.decisions[name] = feed.count
        raised = self._alerts_since(sent.alerts)
        alerts = raised[:MOST_ALERTS]
        if alerts:
            sent.alerts = alerts[-1][0]
        shown: dict[str, Any] = {
            "decisions": decisions.shown(),
            "alerts": [_numbered(*alert) for alert in alerts],
            "alert_number": sent.alerts,
        }
        left_out = {"decisions": decisions.new - len(shown["decisions"]), "alerts": len(raised) - len(alerts)}
        measured = self._measured()
        if summary:
            shown["first_block"] = self._first_block_in_a_line()
        return msgspec.json.encode({**measured, **shown, "left_out": left_out})

    def _measured(self) -> dict[str, Any]:
        """Counts and latencies, computed once for viewers that see the same detectors and ask at almost the same time."""
        now_ns, among = time.monotonic_ns(), visible_detectors()
        measured_ns, facts = self._facts.get(among, (0, {}))
        if now_ns - measured_ns > EVERY_S * 1e9 / 2:
            if len(self._facts) >= MOST_VIEWERS:
                self._facts.clear()
            facts = self._measure(now_ns)
            self._facts[among] = now_ns, facts
        return facts

    def _first_block_in_a_line(self) -> msgspec.Raw | None:
        """The summary of the first block; read again where another one is the first."""
        ready = [served for served in self._router.values() if served.not_ready is None]
        found = next(((served, served.feed.first_block) for served in ready if served.feed.first_block is not None), None)
        if found is None:
            return None
        served, block = found
        if self._first_block is None or self._first_block[0] is not block:
            summary = served.engine.history.summaries([msgspec.json.decode(id_of(block), type=str)])
            self._first_block = (block, msgspec.Raw(summary[0]) if summary else None)
        return self._first_block[1]

    def _measure(self, now_ns: int) -> dict[str, Any]:
        ready = [served for served in self._router.values() if served.not_ready is None]
        newest = [taken for served in ready for taken in served.measures.newest_ns]
        block = next((served.feed.first_block for served in ready if served.feed.first_block is not None), None)
        return {
            "measured_ms": now_ns // 1_000_000,
            "ready": {name: served.not_ready for name, served in self._router.items()},
            "stats": statistics(ready) if ready else None,
            "latency_ms": percentiles_ms(newest),
            "outcomes": {name: dict(served.feed.outcomes) for name, served in self._router.items()},
            "first_block": None if block is None else msgspec.Raw(block),
        }


class ViewerPosition:
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


class DecisionSample:
    """The decisions that one message shows, and how many are new.

    router: the detectors whose decisions are shown in one line each; None shows them in full.
    """

    def __init__(self, router: DetectorRouter | None) -> None:
        self.new = 0
        self._router = router
        self._kept: dict[str, Sequence[Numbered]] = {}

    def add(self, name: str, kept: Sequence[Numbered], new: int) -> None:
        """Add the decisions kept by the feed of a detector, of so many new ones."""
        self.new += new
        if kept:
            self._kept[name] = kept

    def shown(self) -> list[msgspec.Raw]:
        """The newest decisions, equally many of every detector."""
        share = max(1, MOST_SHOWN // max(1, len(self._kept)))
        newest = {name: [body for _, body in kept[-share:]] for name, kept in self._kept.items()}
        return [msgspec.Raw(body) for name, bodies in newest.items() for body in self._written(name, bodies)]

    def _written(self, name: str, bodies: Sequence[bytes]) -> Sequence[bytes]:
        if self._router is None:
            return bodies
        ids = [msgspec.json.decode(id_of(body), type=str) for body in bodies]
        return self._router[name].engine.history.summaries(ids)
