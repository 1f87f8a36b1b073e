"""`POST /detectors/{name}/backtest`: tries a rule condition on recorded decisions."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Literal

import msgspec
from fastapi import Request
from msgspec import Meta

from penstock.config import Settings
from penstock.errors import DataError, DeclarationError
from penstock.identity.roles import Right
from penstock.ledger.archive import Archive
from penstock.offline.backtest import BacktestResult, NotRecorded
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.bodies import decoded
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import raw_body
from penstock.service.http.route import Routes
from penstock.wiring.reports.backtests import ConditionBacktests

LIMIT_S = 20.0
"""Time limit of one backtest, in seconds."""

_MOST_BYTES = 65_536


class BacktestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A condition to try on recorded decisions. then, hard, override: its action. days: the newest days with decisions.
    rule: the rule of which it would be a version; what that caught counts as new.
    """

    when: Annotated[str, Meta(max_length=4000)]
    then: Literal["allow", "challenge", "review", "block"] = "block"
    hard: bool = False
    override: bool = False
    days: Annotated[int, Meta(ge=1, le=3660)] = 30
    rule: Annotated[str, Meta(max_length=63)] | None = None


class Backtests:
    """Runs backtests in threads, one at a time for each detector."""

    def __init__(self, router: DetectorRouter, settings: Settings, *, limit_s: float = LIMIT_S) -> None:
        self._router, self._settings, self._limit_s = router, settings, limit_s
        self._archives: dict[str, Archive] = {}
        self._running: dict[str, asyncio.Future[BacktestResult]] = {}

    async def run(self, name: str, asked: BacktestRequest, cancelled: Callable[[], bool] = lambda: False) -> BacktestResult:
        """The effect that a rule with this condition would have had; cancelled early when the client disconnects.

        Raises:
            RequestRefused: 404 no such detector, 422 the condition cannot be tried, 429 one is running already.
            NotReady: the detector is being opened.
        """
        engine = self._router.named(name).engine
        if name in self._running:
            raise RequestRefused(429, f"a backtest of {name!r} is running already; wait until it has ended")
        if name not in self._archives:
            self._archives[name] = Archive(engine.ledger, self._settings.data / "archive")
        trials = ConditionBacktests(
            self._settings,
            engine.detector,
            days=asked.days,
            clock=engine.clock,
            limit_s=self._limit_s,
            archive=self._archives[name],
            cancelled=cancelled,
        )
        work = partial(trials.run, asked.when, asked.then, hard=asked.hard, override=asked.override, leaving_out=asked.rule)
        running = asyncio.ensure_future(asyncio.to_thread(work))
        self._running[name] = running
        running.add_done_callback(lambda _done: self._running.pop(name))
        try:
            return await asyncio.shield(running)
        except (DeclarationError, DataError) as error:
            raise _refused(error) from None

    async def close(self) -> None:
        """Wait for running backtests, and release what they read."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        for archive in self._archives.values():
            archive.close()


def _refused(error: Exception) -> RequestRefused:
    message = str(error)
    if isinstance(error, NotRecorded):
        message += ": penstock backtest condition does that"
    at_fault = "when" if isinstance(error, DeclarationError | NotRecorded) else None
    return RequestRefused(422, message, [(at_fault, message)])


@contextlib.asynccontextmanager
async def _watched(request: Request) -> AsyncIterator[threading.Event]:
    """An event that is set when the client disconnects: pages request a new preview at every pause in typing."""
    cancelled = threading.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        cancelled.set()

    watching = asyncio.ensure_future(watch())
    try:
        yield cancelled
    finally:
        watching.cancel()


# ---------------------------------------------------------------- routes

route = Routes("records")


@route(
    "POST",
    "/detectors/{name}/backtest",
    Right.AUTHOR | Right.APPROVE,
    takes=BacktestRequest,
    refuses=(400, 404, 408, 413, 415, 429),
)
async def backtest_rule(backtests: Backtests, settings: Settings, /, name: str, request: Request) -> BacktestResult:
    """The effect and value that a rule with this condition would have had on recorded decisions."""
    asked = decoded(await raw_body(request, min(_MOST_BYTES, settings.max_body_bytes)), BacktestRequest)
    async with _watched(request) as cancelled:
        return await backtests.run(name, asked, cancelled.is_set)
