"""`/health`, `/ready`, `/metrics` and `/openapi.json`: what machines ask of a service."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from fastapi import Response
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

import penstock
from penstock.engine import Engine
from penstock.engine.statistics.totals import add_metrics
from penstock.identity.roles import ANYBODY, SOMEBODY, Right
from penstock.ledger.cursors import DISCARDED
from penstock.metrics import Families
from penstock.service.access.authorize import Access
from penstock.service.asgi import EntryPoint
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.operation import text_content
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.webhooks.delivery import Webhooks

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServiceCollector(Collector):
    """Collects metrics from the detectors, the entry point and the delivery of webhooks."""

    def __init__(self, router: DetectorRouter, front: EntryPoint, webhooks: Webhooks | None) -> None:
        self._router = router
        self._front = front
        self._webhooks = webhooks

    def collect(self) -> Iterator[Metric]:
        """Every metric of the service."""
        families = Families("engine", "service")
        for (route, status), count in sorted(self._front.requests.items()):
            families.add("penstock_requests_total", [route, str(status)], count)
        for way, outcome, count in self._front.sign_ins():
            families.add("penstock_sign_ins_total", [way, outcome], count)
        families.add("penstock_http_connections", [], len(self._front.connections))
        for reason, count in sorted(self._front.rejected.items()):
            families.add("penstock_http_rejected_total", [reason], count)
        for reader, count in sorted(DISCARDED.items()):
            families.add("penstock_positions_discarded_total", [reader], count)
        if self._webhooks is not None:
            _of_webhooks(families, self._webhooks)
        for name, served in self._router.items():
            _of_detector(families, name, served)
            if served.not_ready is None:
                engine = served.engine
                add_metrics(families, [name], engine.metrics, engine.totals.meter if isinstance(engine, Engine) else None)
        yield from families


def _of_webhooks(families: Families, webhooks: Webhooks) -> None:
    for outcome, count in sorted(webhooks.attempts.copy().items()):
        families.add("penstock_webhook_attempts_total", [outcome], count)
    for number, (waiting, waiting_s) in sorted(webhooks.backlog.items()):
        families.add("penstock_webhook_waiting_events", [number], waiting)
        families.add("penstock_webhook_waiting_seconds", [number], waiting_s)


def _of_detector(families: Families, name: str, served: ServedDetector) -> None:
    measures, feed = served.measures, served.feed
    for outcome, count in sorted(feed.outcomes.items()):
        families.add("penstock_decisions_total", [name, outcome.lower()], count)
    families.add("penstock_ready", [name], served.unable is None)
    families.add("penstock_queue_events", [name], served.queued_events)
    families.add("penstock_refused_total", [name], feed.refused)
    families.add("penstock_turned_away_total", [name], measures.turned_away)
    families.add("penstock_late_answers_total", [name], measures.late)
    families.add("penstock_alerts_total", [name], feed.alert_count)
    families.add("penstock_batch_events", [name], measures.batch_events)
    for stage, histogram in measures.stages.items():
        families.add("penstock_stage_seconds", [name, stage], histogram)


class Exposition:
    """The text of `/metrics`."""

    def __init__(self, router: DetectorRouter, front: EntryPoint, *others: Collector, webhooks: Webhooks | None = None) -> None:
        self._registry = CollectorRegistry()
        for each in (ServiceCollector(router, front, webhooks), *others):
            self._registry.register(each)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


route = Routes("service")


class ApiDocument(NamedTuple):
    """The OpenAPI document of the service. make: builds it from what is served now."""

    make: Callable[[], dict[str, Any]]


@route("GET", "/health", ANYBODY, answers="Health")
async def get_health(router: DetectorRouter, access: Access | None, /) -> dict[str, Any]:
    """Liveness: the process is up, the versions it serves, what is `degraded`, and whether a key is needed."""
    return {
        "status": "ok",
        "version": penstock.__version__,
        "access": "open" if access is None or access.open else "closed",
        "sign_in": ["password", "oidc"] if access is not None and access.sign_on is not None else ["password"],
        "detectors": {name: _served(served) for name, served in router.items()},
    }


def _served(served: ServedDetector) -> dict[str, str | None]:
    """The model version of a detector, and why some decisions are the policy's `on_failure`, if they are."""
    if served.not_ready is not None:
        return {"model_version": None}
    found = {"model_version": served.engine.model_version}
    return found if served.degraded is None else found | {"degraded": served.degraded}


@route("GET", "/ready", ANYBODY, answers="Ready", refuses=(503,))
async def get_readiness(router: DetectorRouter, /) -> dict[str, Any]:
    """Readiness: code is compiled, models loaded, state recovered, decisions can be made durable, behind a broker a
    worker lives; else 503 with the reason, which `POST /predict` would give.
    """
    reasons = {name: reason for name, served in router.items() if (reason := served.unable) is not None}
    if reasons:
        raise RequestRefused(503, "; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
    degraded = {name: reason for name, served in router.items() if (reason := served.degraded) is not None}
    said: dict[str, Any] = {"status": "ready", "detectors": list(router)}
    return said | {"degraded": degraded} if degraded else said


_EXPOSED = text_content("text/plain", 'penstock_decisions_total{detector="card",decision="approve"} 1200.0\n')


@route("GET", "/metrics", Right.READ | Right.OPERATE, responses={200: {"description": "One a line.", "content": _EXPOSED}})
async def get_metrics(exposition: Exposition, /) -> Response:
    """Counters and latencies for Prometheus."""
    return Response(exposition.text(), headers={"content-type": CONTENT_TYPE})


@route("GET", "/openapi.json", SOMEBODY, hidden=True)
async def openapi(document: ApiDocument, /) -> dict[str, Any]:
    """The OpenAPI document."""
    return document.make()
