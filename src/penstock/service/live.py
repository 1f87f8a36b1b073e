"""The live page's stream: counts, latencies and a sample of decisions, as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from penstock.service.desks import Desks
from penstock.service.measures import percentiles_ms
from penstock.service.problems import Busy
from penstock.service.records import statistics

EVERY_S = 0.5
"""Time between two messages."""

MOST_SHOWN = 14
"""Decisions per message; the rest is counted."""

MOST_VIEWERS = 64


class Live:
    """The stream, for any number of pages up to a bound. It ends when the service is asked to stop."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks
        self._viewers = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End every stream, so that open pages do not hold up a graceful stop."""
        self._stopping.set()

    def check(self) -> None:
        """Refuse one viewer too many.

        Raises:
            Busy: there are enough.
        """
        if self._viewers >= MOST_VIEWERS:
            raise Busy(f"{self._viewers} pages watch already; close one of them")

    async def stream(self) -> AsyncIterator[bytes]:
        """Messages until the page goes or the service stops."""
        self._viewers += 1
        try:
            seen = {name: max(0, desk.feed.count - MOST_SHOWN) for name, desk in self._desks.items()}
            yield b"retry: 2000\n\n"
            while not self._stopping.is_set():
                yield b"data: " + self._message(seen) + b"\n\n"
                await self._pause()
        finally:
            self._viewers -= 1

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), EVERY_S)
        except TimeoutError:
            return

    def _message(self, seen: dict[str, int]) -> bytes:
        """One message; `seen` remembers by detector up to which decision this page was told."""
        found: list[tuple[int, bytes]] = []
        for name, desk in self._desks.items():
            found += desk.feed.since(seen[name])[-MOST_SHOWN:]
            seen[name] = desk.feed.count
        return msgspec.json.encode(
            self._facts() | {"decisions": [msgspec.Raw(decision) for _, decision in found[-MOST_SHOWN:]]}
        )

    def _facts(self) -> dict[str, Any]:
        ready = [desk for desk in self._desks.values() if desk.not_ready is None]
        newest = [taken for desk in ready for taken in desk.measures.newest_ns]
        block = next((desk.feed.first_block for desk in ready if desk.feed.first_block is not None), None)
        return {
            "measured_ms": time.monotonic_ns() // 1_000_000,
            "ready": {name: desk.not_ready for name, desk in self._desks.items()},
            "stats": statistics(ready) if ready else None,
            "latency_ms": percentiles_ms(newest),
            "outcomes": {name: dict(desk.feed.outcomes) for name, desk in self._desks.items()},
            "first_block": None if block is None else msgspec.Raw(block),
        }
