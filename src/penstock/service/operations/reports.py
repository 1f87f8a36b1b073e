"""`/reports`: daily reports as JSON or as a page. A report is computed on request; the list of days in the background."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import Path, Query, Response
from msgspec import Meta

from penstock.clock import Clock, from_us, iso, system_clock
from penstock.config import Settings
from penstock.engine import Engine
from penstock.errors import DataError
from penstock.identity.roles import Right
from penstock.offline.daily import By, DailyReport, page
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.computed import ComputedValues
from penstock.service.http.operation import answer, text_content
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import DetectorName, json_answer, page_answer
from penstock.service.http.route import Routes
from penstock.wiring.reports.daily import decided_days, report_of

T = TypeVar("T")

_By = Annotated[By, Query(description="Count a decision on the day it was made, or on the day of its event.")]

FRESH_S = 60.0
"""Seconds that a report is cached: it reads the whole day."""

_KEPT = 32
"""Maximum of cached reports."""


class ReportDay(msgspec.Struct, frozen=True):
    """A day with a report."""

    date: Annotated[str, Meta(description="The day, UTC.")]
    detector: Annotated[str, Meta(description="Whose decisions.")]
    decisions: Annotated[int, Meta(description="How many were decided.")]
    finished: Annotated[bool, Meta(description="The day is over.")]


class ReportList(msgspec.Struct, frozen=True):
    """Days with decisions, newest first; each report is computed on request. The list is computed in the background, and again
    when more was decided.
    """

    reports: Annotated[list[ReportDay], Meta(description="Newest first.")]
    computed_at: Annotated[
        str | None, Meta(description="As of when; of several detectors the oldest. null: counting takes long, ask again.")
    ]


class Reports:
    """Computes reports, one at a time, and caches each for a moment; counts days separately. Used on the event loop."""

    def __init__(self, router: DetectorRouter, settings: Settings, clock: Clock = system_clock) -> None:
        self._router, self._settings, self._clock = router, settings, clock
        self._kept: dict[object, tuple[float, Any]] = {}
        self._making = asyncio.Lock()
        self._days = ComputedValues[list[tuple[date, int]]](clock)
        self.close = self._days.close

    async def days(self, detector: str | None, by: By) -> ReportList:
        """The days with decisions, as they were counted last; waits for the first count alone."""
        now_us = self._clock()
        today, found, as_of = from_us(now_us).date(), [], [now_us]
        for engine in _engines(self._router.chosen(detector)):
            name, count = engine.detector.name, partial(decided_days, self._settings, engine, by=by, clock=self._clock)
            counted = await self._days.first_or_newest((name, by), engine.ledger.durable_position, count)
            as_of.append(0 if counted is None else counted.at_us)
            days = [] if counted is None else counted.value
            found += [ReportDay(day.isoformat(), name, decided, day < today) for day, decided in days]
        found.sort(key=lambda each: (each.date, each.detector), reverse=True)
        return ReportList(found, iso(min(as_of)) if min(as_of) else None)

    async def of(self, day: date, detector: str | None, by: By) -> tuple[DailyReport, str]:
        """The report of a day, and its page.

        Raises:
            RequestRefused: 422 the detector must be named, 404 there are no decisions on that day.
        """
        engines = _engines(self._router.chosen(detector))
        if len(engines) > 1:
            names = ", ".join(engine.detector.name for engine in engines)
            raise RequestRefused(422, f"name one of the detectors with ?detector=: {names}", [("detector", "is required")])
        if not engines:
            raise RequestRefused(404, "there is nothing to report: no detector is ready")

        def made() -> tuple[DailyReport, str] | None:
            try:
                report = report_of(self._settings, engines[0], day, by=by, clock=self._clock)
            except DataError:
                return None
            return (report, page(report)) if report.day.decided.count else None

        found = await self._fresh((engines[0].detector.name, by, day), made)
        if found is None:
            raise RequestRefused(404, f"{engines[0].detector.name} decided nothing on {day}; /reports lists the days there are")
        return found

    async def _fresh(self, key: object, make: Callable[[], T]) -> T:
        """The cached value, or a new one."""
        async with self._making:
            made_s, found = self._kept.get(key, (0.0, None))
            if time.monotonic() - made_s > FRESH_S or key not in self._kept:
                found = await asyncio.to_thread(make)
                self._kept[key] = time.monotonic(), found
                while len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
            result: T = found
            return result


def _engines(router: Sequence[ServedDetector]) -> list[Engine]:
    """The engines that are ready."""
    return [served.engine for served in router if served.not_ready is None]


# ---------------------------------------------------------------- routes

route = Routes("operations", by_detector=True)

_JSON_OR_PAGE = answer("DailyReport")
_JSON_OR_PAGE["content"] |= text_content("text/html", "<!doctype html><title>Daily report</title>")


@route("GET", "/reports", Right.READ, refuses=(404,))
async def list_reports(reports: Reports, /, detector: DetectorName = None, by: _By = "decided") -> ReportList:
    """The days with decisions, newest first, as they were counted last."""
    return await reports.days(detector, by)


@route("GET", "/reports/{day}", Right.READ, answers="DailyReport", refuses=(404,), responses={200: _JSON_OR_PAGE})
async def get_report(
    reports: Reports,
    /,
    day: Annotated[date, Path(description="The day (UTC), such as 2026-02-06.")],
    detector: DetectorName = None,
    by: _By = "decided",
    form: Annotated[Literal["json", "html"], Query(alias="format", description="Facts, or a page to look at.")] = "json",
) -> Response:
    """The report of a day: counts, money, frauds caught and missed, reasons, latency, compared with the week before."""
    report, html = await reports.of(day, detector, by)
    return page_answer(html) if form == "html" else json_answer(report.as_json())
