"""`GET /detectors/{name}/drift` and the drift metrics, measured every hour in a thread."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

from fastapi import Query
from msgspec.structs import replace
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from penstock.engine import Engine
from penstock.errors import NotFound, did_you_mean
from penstock.identity.roles import Right
from penstock.metrics import Families
from penstock.offline.drift.result import ColumnDrift, DriftReport
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.wiring.reports.drift import DriftWork

_ESTIMATED = ("fraud_rate", "precision", "recall", "roc_auc")


class Drifting(Collector):
    """Measures the drift of the served models in a thread, and keeps the newest report."""

    def __init__(self, router: DetectorRouter, work: DriftWork) -> None:
        self._router, self._work = router, work
        self._running: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Measure until the task is cancelled; `close` ends the thread."""
        self._running = asyncio.ensure_future(asyncio.to_thread(self._work.run, self._engines))
        await asyncio.shield(self._running)

    async def close(self) -> None:
        """Stop measuring."""
        self._work.stop()
        if self._running is not None:
            await self._running

    def _engines(self) -> list[Engine]:
        open_ = [served.engine for served in self._router.values() if served.not_ready is None]
        return [engine for engine in open_ if isinstance(engine, Engine)]

    def newest(self, name: str) -> DriftReport:
        """The newest report of a detector, whole.

        Raises:
            RequestRefused: 404 no such detector, 409 it has no reference, 503 it has not been measured yet.
        """
        self._router.named(name)
        report = self._work.reports.get(name)
        if report is not None:
            return report
        trouble = self._work.troubles.get(name)
        if trouble is not None:
            raise RequestRefused(409, trouble)
        raise RequestRefused(503, f"the drift of {name!r} has not been measured yet; ask again in a minute")

    # ---- Prometheus

    def collect(self) -> Iterator[Metric]:
        """Gauges of the newest report; one for each input and score."""
        families = Families("drift")
        for name, report in dict(self._work.reports).items():
            for column in report.columns:
                families.add("penstock_drift_psi", [name, column.name], column.psi)
                families.add("penstock_drift_limit", [name, column.name], column.limit)
                families.add("penstock_drift_missing_share", [name, column.name], column.missing[0])
            families.add("penstock_drift_alarms", [name], len(report.alarms))
            families.add("penstock_drift_looked_at", [name], report.made_at.timestamp())
            for figure in _ESTIMATED:
                value = report.estimate["live"].get(figure)
                if value is not None:
                    families.add("penstock_estimated", [name, figure], value)
        yield from families


# ---------------------------------------------------------------- routes

route = Routes("records")


@route("GET", "/detectors/{name}/drift", Right.READ, refuses=(404, 409))
async def get_drift_report(
    drifting: Drifting,
    /,
    name: str,
    *,
    detail: Annotated[bool, Query(description="Include bins and days of every column, some 3 kB each.")] = True,
) -> DriftReport:
    """The drift of live decisions from the models' training data, as of the newest measurement."""
    report = drifting.newest(name)
    if detail:
        return report
    columns = [replace(column, bins=[], days=[]) for column in report.columns]
    return replace(report, columns=columns)


@route("GET", "/detectors/{name}/drift/{column}", Right.READ, refuses=(404, 409))
async def get_column_drift(drifting: Drifting, /, name: str, column: str) -> ColumnDrift:
    """One input or score, with its bins and days, as of the newest measurement."""
    columns = {each.name: each for each in drifting.newest(name).columns}
    if column not in columns:
        raise NotFound(f"no column {column[:100]!r} of {name!r} is measured.{did_you_mean(column, columns)}")
    return columns[column]
