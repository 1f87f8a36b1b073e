"""`/health`, `/ready`, `/metrics` and `/openapi.json`: what machines ask of a service."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import Response

import penstock
from penstock.identity.roles import ANYBODY, SOMEBODY, Right
from penstock.service.access.authorize import Access
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import Serving
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.service.operations.metrics import CONTENT_TYPE, Exposition

route = Routes("service")


class ApiDocument(NamedTuple):
    """The OpenAPI document of the service. make: builds it from what is served now."""

    make: Callable[[], dict[str, Any]]


@route("GET", "/health", ANYBODY, answers="Health")
async def health(desks: DetectorRouter, access: Access | None, /) -> dict[str, Any]:
    """Liveness: the process is up, the versions it serves, what is `degraded`, and whether a key is needed."""
    return {
        "status": "ok",
        "version": penstock.__version__,
        "access": "open" if access is None or access.open else "closed",
        "sign_in": ["password", "oidc"] if access is not None and access.sign_on is not None else ["password"],
        "detectors": {name: _served(desk) for name, desk in desks.items()},
    }


def _served(desk: Serving) -> dict[str, str | None]:
    """The model version of a detector, and why some decisions are the policy's `on_failure`, if they are."""
    if desk.not_ready is not None:
        return {"model_version": None}
    found = {"model_version": desk.engine.model_version}
    return found if desk.degraded is None else found | {"degraded": desk.degraded}


@route("GET", "/ready", ANYBODY, answers="Ready", refuses=(503,))
async def ready(desks: DetectorRouter, /) -> dict[str, Any]:
    """Readiness: code is compiled, models loaded, state recovered, decisions can be made durable, behind a broker a
    worker lives; else 503 with the reason, which `POST /predict` would give.
    """
    reasons = {name: reason for name, desk in desks.items() if (reason := desk.unable) is not None}
    if reasons:
        raise RequestRefused(503, "; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
    degraded = {name: reason for name, desk in desks.items() if (reason := desk.degraded) is not None}
    said: dict[str, Any] = {"status": "ready", "detectors": list(desks)}
    return said | {"degraded": degraded} if degraded else said


@route("GET", "/metrics", Right.READ, responses={200: {"content": {"text/plain": {}}}})
async def metrics(exposition: Exposition, /) -> Response:
    """Counters and latencies for Prometheus."""
    return Response(exposition.text(), headers={"content-type": CONTENT_TYPE})


@route("GET", "/openapi.json", SOMEBODY, hidden=True)
async def openapi(document: ApiDocument, /) -> dict[str, Any]:
    """The OpenAPI document."""
    return document.make()
