"""Replay jobs started over HTTP: a bounded number of simulated or recorded transactions, sent in the background."""

import asyncio
import itertools
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from penstock.errors import PenstockError
from penstock.identity.roles import Right
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Body, Routes

log = logging.getLogger("penstock.service")

MOST_AT_ONCE = 4
"""Maximum of concurrent replays."""

LONGEST_S = 3600.0
"""Maximum planned duration of a replay."""

PORTION = 256
"""Transactions submitted together if no pace is given."""

TICK_S = 0.05
BUSY_S = 0.2
"""Seconds before refused transactions are retried."""


class StreamRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A replay. detector: the first one that has the source unless given. source: `simulator`, or a name among the setting
    `replays`. count: the maximum of transactions. tps: how many a second; as fast as they are decided unless given.
    """

    detector: str | None = None
    source: str = "simulator"
    count: Annotated[int, Meta(ge=1, le=100_000)] = 100
    tps: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class StreamAnswer(msgspec.Struct):
    """A replay that runs in the background, and the ids of its transactions, in order."""

    status: Literal["queued"]
    detector: str
    source: str
    transaction_ids: list[str]


class ReplaySource(Protocol):
    """Transactions to replay. ids: of all of them, in order."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the transactions."""
        ...

    def bodies(self) -> Iterator[bytes]:
        """The transactions as JSON; may compute for a while, so it runs in a thread."""
        ...


class ReplaySources(Protocol):
    """Sources of transactions to replay. Called from threads; may take a while."""

    def sources(self, detector: str) -> Collection[str]:
        """The names of a detector's sources."""
        ...

    def open(self, detector: str, source: str, count: int) -> ReplaySource:
        """At most so many transactions of a source, with new ids.

        Raises:
            PenstockError: the source cannot be read.
        """
        ...


class ReplayJobs:
    """The running replays. Without `replays` there are no sources."""

    def __init__(self, router: DetectorRouter, replays: ReplaySources | None) -> None:
        self._router, self._replays = router, replays
        self._running: set[asyncio.Task[None]] = set()
        self._starting = 0

    async def start(self, asked: StreamRequest) -> tuple[str, Sequence[str]]:
        """Start a replay; returns its detector, and the ids of its transactions.

        Raises:
            RequestRefused: 422 no such source, 429 too many replays run.
        """
        if asked.tps is not None and asked.count / asked.tps > LONGEST_S:
            most = int(LONGEST_S * asked.tps)
            message = f"at {asked.tps:g} a second at most {most} are replayed, which takes an hour"
            raise RequestRefused(422, f"count={asked.count}: {message}", [("count", message)])
        if len(self._running) + self._starting >= MOST_AT_ONCE:
            raise RequestRefused(429, f"{MOST_AT_ONCE} replays run already; wait until one of them has ended")
        self._starting += 1
        try:
            served = await asyncio.to_thread(self._served_by, asked)
            replay = await self._open(served, asked)
        finally:
            self._starting -= 1
        task = asyncio.create_task(_run(served, replay, asked.tps))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return served.name, replay.ids

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a replay ended before its end", exc_info=error)

    def _served_by(self, asked: StreamRequest) -> ServedDetector:
        """The named detector, or the first that has the source."""
        if asked.detector is not None and asked.detector not in self._router:
            self._router.check_visible(asked.detector)
            message = f"one of {', '.join(self._router)} is expected"
            raise RequestRefused(
                422, f"no detector {asked.detector[:200]!r} is served here: {message}", [("detector", message)]
            )
        names = list(self._router) if asked.detector is None else [asked.detector]
        known = {name: sorted(self._replays.sources(name)) if self._replays else [] for name in names}
        for name in names:
            if asked.source in known[name]:
                return self._router[name]
        each = "; ".join(f"{name}: {', '.join(sources) or 'nothing'}" for name, sources in known.items())
        message = f"there is nothing of this name to replay ({each}); recorded files are named by the setting replays"
        raise RequestRefused(422, f"source={asked.source[:200]!r}: {message}", [("source", message)])

    async def _open(self, served: ServedDetector, asked: StreamRequest) -> ReplaySource:
        assert self._replays is not None
        try:
            return await asyncio.to_thread(self._replays.open, served.name, asked.source, asked.count)
        except PenstockError as error:
            log.warning("%s cannot be replayed: %s", asked.source, error)
            message = "it cannot be read; the log says why"
            raise RequestRefused(422, f"source={asked.source!r}: {message}", [("source", message)]) from error

    async def close(self) -> None:
        """Stop every replay."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def _run(served: ServedDetector, replay: ReplaySource, tps: float | None) -> None:
    """Submit every transaction, in order; refused ones are retried while the queue is full."""
    coming, sent, start = replay.bodies(), 0, time.perf_counter()
    while sent < len(replay.ids):
        due = PORTION if tps is None else min(PORTION, int((time.perf_counter() - start) * tps) + 1 - sent)
        if due > 0:
            portion = await asyncio.to_thread(list, itertools.islice(coming, due))
            if not portion:
                return
            await _hand_in(served, portion)
            sent += len(portion)
        if due < PORTION:
            await asyncio.sleep(TICK_S)


async def _hand_in(served: ServedDetector, portion: Sequence[bytes]) -> None:
    while True:
        try:
            await served.accept(portion)
        except (PenstockError, RequestRefused) as error:
            log.debug("a replay was turned away: %s", error)
            await asyncio.sleep(BUSY_S)
        else:
            return


# ---------------------------------------------------------------- routes

route = Routes("decisions", by_detector=True)


@route("POST", "/stream", Right.DECIDE, answers=StreamAnswer, refuses=(400, 408, 413, 415, 429))
async def start_replay(jobs: ReplayJobs, /, body: Body[StreamRequest]) -> dict[str, Any]:
    """Replay simulated or recorded transactions in the background; answers at once with their ids."""
    asked = await body
    detector, ids = await jobs.start(asked)
    return {"status": "queued", "detector": detector, "source": asked.source, "transaction_ids": ids}
