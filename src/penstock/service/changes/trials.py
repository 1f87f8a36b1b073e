"""Trials of models and rules in a deciding service: follows challengers, checks guards, and reports results."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import Query

from penstock.engine import Engine
from penstock.engine.trials.challenger import MODEL, NewerTrial
from penstock.errors import DataError, PenstockError
from penstock.governance.trials import TrialWork
from penstock.identity.roles import Right
from penstock.offline.trial import Compared, Question
from penstock.service.decide.batcher import MicroBatcher
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes

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
    """Guards and compares the trials of the detectors that decide here."""

    def __init__(self, router: DetectorRouter, work: TrialWork) -> None:
        self._router, self._work = router, work
        self._comparing: dict[str, asyncio.Future[Compared]] = {}

    def newer(self) -> Iterator[tuple[str, NewerTrial]]:
        """By name, the sources of what is tried, of the detectors that decide here."""
        for served in self._deciding():
            if served.name in self._work.newer:
                yield served.name, self._work.newer[served.name]

    async def run(self) -> None:
        """Check guards until the task is cancelled."""
        await asyncio.gather(*(self._guard(served) for served in self._deciding()))

    def _deciding(self) -> list[MicroBatcher]:
        return [served for served in self._router.values() if isinstance(served, MicroBatcher)]

    async def _guard(self, served: MicroBatcher) -> None:
        """Check the guards of one detector; a failure never stops deciding, and is logged once."""
        reported: str | None = None
        while True:
            try:
                await asyncio.to_thread(self._work.guards[served.name].look, served.engine)
                reported = None
            except Exception as error:  # noqa: BLE001 - a database that fails must not end what watches it
                trouble = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
                if trouble != reported:
                    log.warning("%s: guards cannot look: %s", served.name, trouble)
                reported = trouble
            await asyncio.sleep(GUARDS_EVERY_S)

    def engine(self, name: str) -> Engine:
        """The engine of a detector.

        Raises:
            RequestRefused: 404, there is no such detector.
        """
        return self._router.named(name).engine

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
async def list_trials(trials: Trials, /, name: str) -> dict[str, Any]:
    """Running trials, with results since their start in this process: counts, decisions of both, scores, times."""
    return {"trials": trials.engine(name).trials.form()}


@route("GET", "/detectors/{name}/trials/{trial}", Right.READ, refuses=(404, 409, 429))
async def compare_trial(
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
