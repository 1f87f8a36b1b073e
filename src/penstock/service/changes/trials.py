"""Trials of models and rules in a deciding service: follows challengers, checks guards, and reports results."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Query

from penstock.engine import Engine
from penstock.engine.trials.challenger import MODEL
from penstock.errors import DataError, PenstockError
from penstock.identity.roles import Right
from penstock.offline.trial import Compared, Question
from penstock.service.changes.followers import RULES_EVERY_S, Follower
from penstock.service.decide.batcher import MicroBatcher
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.wiring.changes.trial_work import TrialWork

GUARDS_EVERY_S = 0.5
"""Seconds between two guard checks."""

log = logging.getLogger("penstock.service")


class LiveTrial(msgspec.Struct):
    """A running trial: `model` with its version, or a candidate rule. since: when counting began. matrix: number of
    decisions by outcome of the champion and of the candidate. scores: counts in twentieths; null for rules.
    """

    trial: str
    version: str | None
    since: str
    events: int
    errors: int
    agreement: float | None
    champion: dict[str, int]
    candidate: dict[str, int]
    matrix: dict[str, dict[str, int]]
    scores: dict[str, list[int]] | None
    latency_ms: dict[str, dict[str, float | None]] | None


class TrialList(msgspec.Struct):
    """The running trials."""

    trials: list[LiveTrial]


class Trials:
    """Follows and guards the trials of the detectors that decide here.

    champions: the champion follower of each detector, so that a promotion is in force as soon as the trial has ended.
    """

    def __init__(self, desks: DetectorRouter, work: TrialWork, champions: Mapping[str, Follower]) -> None:
        self._desks, self._work, self._champions = desks, work, champions
        self._comparing: dict[str, asyncio.Future[Compared]] = {}
        self._troubles: dict[str, str] = {}
        self._revisions: dict[str, int] = {}

    async def begin(self) -> None:
        """Start the current trials before the first decision."""
        for desk in self._following():
            await self._look(desk)

    async def run(self) -> None:
        """Follow and check guards until the task is cancelled."""
        await asyncio.gather(*(self._follow(desk) for desk in self._following()), *(self._guard(d) for d in self._deciding()))

    def _deciding(self) -> list[MicroBatcher]:
        return [desk for desk in self._desks.values() if isinstance(desk, MicroBatcher)]

    def _following(self) -> list[MicroBatcher]:
        return [desk for desk in self._deciding() if desk.name in self._work.newer]

    async def _follow(self, desk: MicroBatcher) -> None:
        while True:
            await self._look(desk)
            await asyncio.sleep(RULES_EVERY_S)

    async def _look(self, desk: MicroBatcher) -> None:
        """Check one detector once."""
        newer = self._work.newer[desk.name]

        async def look() -> None:
            before = self._revisions.get(desk.name, -1)
            found = await asyncio.to_thread(newer, before)
            if found is None:
                return
            desk.engine.challenge(*found.challengers)
            self._revisions[desk.name] = found.revision
            if before >= 0 and desk.name in self._champions:
                await self._champions[desk.name].look()

        await self._tell(f"{desk.name}: what is tried goes on as it was", look)

    async def _guard(self, desk: MicroBatcher) -> None:
        async def look() -> None:
            await asyncio.to_thread(self._work.guards[desk.name].look, desk.engine)

        while True:
            await self._tell(f"{desk.name}: guards cannot look", look)
            await asyncio.sleep(GUARDS_EVERY_S)

    async def _tell(self, what: str, look: Callable[[], Awaitable[None]]) -> None:
        """Run one check; a failure never stops deciding, and is logged once."""
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - a drawer or a registry that fails must not end what watches it
            trouble = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
            if self._troubles.get(what) != trouble:
                log.warning("%s: %s", what, trouble)
            self._troubles[what] = trouble
        else:
            self._troubles.pop(what, None)

    def engine(self, name: str) -> Engine:
        """The engine of a detector.

        Raises:
            RequestRefused: 404, there is no such detector.
        """
        return self._desks.named(name).engine

    async def compare(self, name: str, question: Question) -> Compared:
        """Compare champion and candidate; one comparison per detector at a time.

        Raises:
            RequestRefused: 404 no such detector or trial, 429 one is running.
        """
        engine = self.engine(name)
        if name in self._comparing:
            raise RequestRefused(429, f"a comparison of {name!r} is being made; wait until it has ended")
        running = asyncio.ensure_future(asyncio.to_thread(self._work.compare, engine, question))
        self._comparing[name] = running
        running.add_done_callback(lambda _done: self._comparing.pop(name))
        try:
            return await asyncio.shield(running)
        except DataError as error:
            raise RequestRefused(404, str(error)) from None

    async def close(self) -> None:
        """Wait for running comparisons, and release what they read."""
        await asyncio.gather(*self._comparing.values(), return_exceptions=True)
        self._work.close()


# ---------------------------------------------------------------- routes

route = Routes("models")


@route("GET", "/detectors/{name}/trials", Right.READ, answers=TrialList, refuses=(404, 409))
async def trial_list(trials: Trials, /, name: str) -> dict[str, Any]:
    """Running trials, with results since their start in this process: counts, decisions of both, scores, times."""
    return {"trials": trials.engine(name).trials.form()}


@route("GET", "/detectors/{name}/trials/{trial}", Right.READ, refuses=(404, 409, 429))
async def compared(
    trials: Trials,
    /,
    name: str,
    trial: str,
    *,
    days: Annotated[int, Query(ge=1, le=366, description="Of so many last days of the trial.")] = 7,
    version: Annotated[str | None, Query(max_length=200, description="Of a model; the one tried last.")] = None,
) -> Compared:
    """Champion and candidate on the same recorded events, by hour, with intervals: `model`, or a candidate rule."""
    return await trials.compare(name, Question(trial, version if trial == MODEL else None, days))
