"""`GET /detectors/{name}/drift`, and the metrics of it: what a thread beside the traffic finds every hour."""

import asyncio
from collections.abc import Callable, Iterator

import msgspec
from fastapi import FastAPI, Response
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.assemble.drift import DriftWork
from penstock.engine import Engine
from penstock.offline.drift.result import ColumnDrift, DriftReport
from penstock.service.desks import Desks
from penstock.service.openapi import answers
from penstock.service.problems import RequestRefused
from penstock.service.records import json_response

_ESTIMATED = ("fraud_rate", "precision", "recall", "roc_auc")


class Drifting(Collector):
    """Lets the drift of what is served be looked at, beside the traffic; tells of the newest look."""

    def __init__(self, desks: Desks, work: DriftWork) -> None:
        self._desks, self._work = desks, work
        self._running: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        self._running = asyncio.ensure_future(asyncio.to_thread(self._work.run, self._engines))

    async def close(self) -> None:
        """Stop looking."""
        self._work.stop()
        if self._running is not None:
            await self._running

    def _engines(self) -> list[Engine]:
        open_ = [desk.engine for desk in self._desks.values() if desk.not_ready is None]
        return [engine for engine in open_ if isinstance(engine, Engine)]

    def newest(self, name: str) -> DriftReport:
        """The newest report of a detector.

        Raises:
            RequestRefused: 404 no such detector, 409 it has no reference, 503 nobody has looked yet.
        """
        self._desks.named(name)
        report = self._work.reports.get(name)
        if report is not None:
            return report
        trouble = self._work.troubles.get(name)
        if trouble is not None:
            raise RequestRefused(409, trouble)
        raise RequestRefused(503, f"nobody has looked at the drift of {name!r} yet; come again in a minute")

    # ---- Prometheus

    def collect(self) -> Iterator[Metric]:
        """Gauges of the newest look; as many as there are inputs and scores."""
        found = dict(self._work.reports)
        yield self._of_columns(found, "penstock_drift_psi", "Population stability index against training.", lambda c: c.psi)
        yield self._of_columns(found, "penstock_drift_limit", "The index above which a column has drifted.", lambda c: c.limit)
        yield self._of_columns(
            found, "penstock_drift_missing_share", "Share of decisions without a value.", lambda c: c.missing[0]
        )
        yield self._whole(found, "penstock_drift_alarms", "Findings worth an alarm.", lambda r: len(r.alarms))
        yield self._whole(found, "penstock_drift_looked_at", "Unix time of the newest look.", lambda r: r.made_at.timestamp())
        family = GaugeMetricFamily(
            "penstock_estimated", "Worth of the models as their calibrated scores say.", labels=["detector", "figure"]
        )
        for name, report in found.items():
            for figure in _ESTIMATED:
                value = report.estimate["live"].get(figure)
                if value is not None:
                    family.add_metric([name, figure], value)
        yield family

    def _of_columns(self, found: dict[str, DriftReport], name: str, text: str, value: Callable[[ColumnDrift], float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["detector", "column"])
        for detector, report in found.items():
            for column in report.columns:
                family.add_metric([detector, column.name], value(column))
        return family

    def _whole(self, found: dict[str, DriftReport], name: str, text: str, value: Callable[[DriftReport], float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["detector"])
        for detector, report in found.items():
            family.add_metric([detector], value(report))
        return family


def add_routes(routes: FastAPI, drifting: Drifting) -> None:
    """Add the route."""

    @routes.get("/detectors/{name}/drift", tags=["records"], responses=answers("DriftReport", 404, 409))
    async def drift(name: str) -> Response:
        """How far live decisions have drifted from what the models were trained on, as of the newest look."""
        return json_response(msgspec.json.encode(drifting.newest(name)))
