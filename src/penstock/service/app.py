"""The service as an ASGI application: the hot path in front, FastAPI behind it, micro-batchers between it and the engines."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

import penstock
from penstock.config import Settings
from penstock.errors import PenstockError
from penstock.service.access import oidc, session
from penstock.service.access.authorize import Access
from penstock.service.access.rights import Rights
from penstock.service.asgi import EntryPoint
from penstock.service.changes import backtests
from penstock.service.changes import models as model_routes
from penstock.service.changes import routes as changes_routes
from penstock.service.changes import trials as trial_routes
from penstock.service.changes.administration import Administration
from penstock.service.changes.feature_follower import FeaturesFollower
from penstock.service.changes.followers import Follower, RulesFollower
from penstock.service.decide import ingest, transactions
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.predict import Predict
from penstock.service.http.openapi import answers, document
from penstock.service.http.problems import RequestRefused, headers, of_error
from penstock.service.insights import routes as insights_routes
from penstock.service.investigate import cases as case_routes
from penstock.service.investigate import context, links
from penstock.service.investigate.verdicts import Verdicts
from penstock.service.lifespan import Background
from penstock.service.live import replay_jobs, web, websocket
from penstock.service.live.replay_jobs import ReplayJobs
from penstock.service.live.stream import Live
from penstock.service.live.traffic import Traffic
from penstock.service.metrics import CONTENT_TYPE, Exposition
from penstock.service.operations import drift
from penstock.service.operations import routes as operations_routes
from penstock.service.operations.drift import Drifting
from penstock.service.operations.health import Board
from penstock.service.parts import ServiceParts
from penstock.service.port import Serving
from penstock.service.records import decisions, definitions, erasures, evaluations, profiles, results, verification
from penstock.service.records.decisions import json_response
from penstock.service.records.personal import Unmasking
from penstock.wiring.reports.drift import DriftWork

DESCRIPTION = "Decides about every transaction while it happens: approve, review or block, with reasons."


class Service(EntryPoint):
    """The ASGI application. `stopping()` ends streams and waiting requests before a graceful stop."""

    def __init__(self, app: FastAPI, desks: DetectorRouter, settings: Settings, live: Live, parts: ServiceParts) -> None:
        timeout_s = settings.body_timeout_s
        super().__init__(app, desks, Predict(desks, settings), parts.access, parts.tracing, body_timeout_s=timeout_s)
        self._served = desks
        self.live = live

    def desk(self, name: str) -> Serving:
        """The serving side of this detector."""
        return self._served[name]

    def stopping(self) -> None:
        """Prepare for the stop: end live streams, and answer callers who wait for a status."""
        self.live.stop()
        for desk in self._served.values():
            desk.feed.watch.cancel_all()


def create_app(
    desks: Mapping[str, Serving],
    settings: Settings,
    parts: ServiceParts | None = None,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_failure: Callable[[BaseException], None] = lambda _error: None,
) -> Service:
    """Build the service for these detectors.

    Args:
        desks: the serving side of each detector, by name. Those not open yet are opened when the application starts.
        settings: limits.
        parts: optional parts of the service; none unless given.
        on_ready: called once when all detectors are open.
        on_failure: called when one cannot be opened, or not be closed; until the process ends, /ready says why.
    """
    served, parts = DetectorRouter(desks), parts or ServiceParts()
    background = Background(served, on_ready, on_failure)
    inside = _Inside(served, settings, parts)
    inside.work(background)
    app = FastAPI(
        title="Penstock",
        version=penstock.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # it redirects to the host that the request names
        lifespan=background.lifespan,
        exception_handlers=_handlers(),
    )
    service = Service(app, served, settings, inside.live, parts)
    _add_own_routes(app, served, Exposition(served, service, inside.drifting), parts.access)
    inside.add_routes(app)
    if parts.access is not None:
        parts.access.guard(Rights(app.routes))
    return service


class _Inside:
    """The wired parts of a service: background work and routes."""

    def __init__(self, desks: DetectorRouter, settings: Settings, parts: ServiceParts) -> None:
        self.desks, self.settings, self.parts = desks, settings, parts
        self.live = Live(desks)
        self.unmasking = parts.personal or Unmasking()
        self.replaying = ReplayJobs(desks, parts.replays)
        self.trying = backtests.Backtests(desks, settings)
        self.verifying = verification.Verifying(desks, settings, self.unmasking)
        self.drifting = Drifting(desks, parts.drift or DriftWork(settings))
        every_s = settings.follow_every_s
        self.models = {name: Follower(desks[name], newer, every_s) for name, newer in parts.champions.items()}
        self.rules = {name: RulesFollower(desks[name], newer) for name, newer in parts.rules.items()}
        self.features = {name: FeaturesFollower(desks[name], growing) for name, growing in parts.features.items()}
        self.tried = None if parts.trials is None else trial_routes.Trials(desks, parts.trials, self.models)
        self.shelf = None if parts.books is None else Administration(parts.books, desks, self.rules, settings)
        self.verdicts = None if parts.cases is None else Verdicts(parts.cases, desks)
        self.board = None if parts.operating is None else Board(desks, parts.operating, self.rules)

    def work(self, background: Background) -> None:
        """Register background work, in the order in which it starts and ends."""
        background.first += [each.look for each in self.rules.values()]
        for followers in (self.models, self.features, self.rules):
            background.following += [each.run for each in followers.values()]
        background.beside.append(self.drifting.run)
        background.closing += [self.replaying.close, self.trying.close, *(each.close for each in self.features.values())]
        background.closing += [each.close for each in (self.shelf, self.tried, self.drifting) if each is not None]
        background.beside += [each.run for each in (self.verdicts, self.board) if each is not None]
        if self.parts.access is not None:
            background.beside.append(self.parts.access.follow)
        if self.tried is not None:
            background.first.append(self.tried.begin)
            background.following.append(self.tried.run)
        if self.parts.traffic is not None:
            background.following.append(partial(_send, self.parts.traffic, self.desks))

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes of all parts."""
        self._add_deciding(app)
        self._add_looking(app)
        self._add_changing(app)
        websocket.add_routes(app, self.live)
        web.add_routes(app, self.desks, self.live, self.parts.traffic)

    def _add_deciding(self, app: FastAPI) -> None:
        """Add the routes for decisions, and those for users and keys."""
        session.add_routes(app, self.parts.access)
        oidc.add_routes(app, self.parts.access, self.settings.public_url)
        transactions.add_routes(app, self.desks, self.settings)
        replay_jobs.add_routes(app, self.replaying, self.settings)
        ingest.add_routes(app, self.desks, self.settings)

    def _add_looking(self, app: FastAPI) -> None:
        """Add the routes that read decisions and definitions."""
        desks, cases, unmasking = self.desks, self.parts.cases, self.unmasking
        decisions.add_routes(app, desks, unmasking)
        backtests.add_routes(app, self.trying, self.settings)
        drift.add_routes(app, self.drifting)
        results.add_routes(app, desks)
        profiles.add_routes(app, desks)
        insights_routes.add_routes(app, desks, cases)
        verification.add_routes(app, self.verifying)
        definitions.add_routes(app, desks, self.verifying)
        evaluations.add_routes(app, desks, self.settings)
        context.add_routes(app, desks, cases, unmasking)
        links.add_routes(app, desks, unmasking)

    def _add_changing(self, app: FastAPI) -> None:
        """Add the routes for cases, changes and operations."""
        desks, settings, parts = self.desks, self.settings, self.parts
        erasures.add_routes(app, desks, self.unmasking)
        challengers = {} if parts.trials is None else parts.trials.challengers
        if self.tried is not None:
            trial_routes.add_routes(app, self.tried)
            model_routes.add_routes(app, model_routes.Models(desks, challengers, settings))
        if parts.cases is not None and self.verdicts is not None:
            case_routes.add_routes(app, parts.cases, desks, self.verdicts, settings, self.unmasking)
        if self.shelf is not None:
            changes_routes.add_routes(app, self.shelf, settings, parts.features, challengers, desks, self.trying)
        if parts.operating is not None and self.board is not None:
            operations_routes.add_routes(app, self.board, desks, parts.operating, parts.access)


async def _send(traffic: Traffic, desks: DetectorRouter) -> None:
    await traffic.run(desks.named(traffic.detector))


def _add_own_routes(routes: FastAPI, desks: DetectorRouter, exposition: Exposition, access: Access | None) -> None:
    """Add the routes for health, readiness and metrics."""

    @routes.get("/health", tags=["service"], responses=answers("Health"))
    async def health() -> Response:
        """Liveness: the process is up, the versions it serves, what is `degraded`, and whether a key is needed."""
        models = {name: {"model_version": _model_version(desk), **_degraded(desk)} for name, desk in desks.items()}
        let_in = "open" if access is None or access.open else "closed"
        ways = ["password", "oidc"] if access is not None and access.sign_on is not None else ["password"]
        about = {"status": "ok", "version": penstock.__version__}
        found = {**about, "access": let_in, "sign_in": ways, "detectors": models}
        return json_response(msgspec.json.encode(found))

    @routes.get("/ready", tags=["service"], responses=answers("Ready", 503))
    async def ready() -> Response:
        """Readiness: code is compiled, models loaded, state recovered, decisions can be made durable, behind a broker a
        worker lives; else 503 with the reason, which `POST /predict` would give.
        """
        reasons = {name: reason for name, desk in desks.items() if (reason := desk.unable) is not None}
        if reasons:
            detail = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise RequestRefused(503, detail)
        degraded = {name: reason for name, desk in desks.items() if (reason := desk.degraded) is not None}
        said = {"status": "ready", "detectors": list(desks)}
        return json_response(msgspec.json.encode(said | {"degraded": degraded} if degraded else said))

    @routes.get("/metrics", tags=["service"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters and latencies for Prometheus."""
        return Response(exposition.text(), headers={"content-type": CONTENT_TYPE})

    @routes.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return json_response(msgspec.json.encode(document(routes, desks)))


def _model_version(desk: Serving) -> str | None:
    return desk.engine.model_version if desk.not_ready is None else None


def _degraded(desk: Serving) -> dict[str, str]:
    """The `degraded` entry of a detector: why some decisions are the policy's `on_failure`; empty without a reason."""
    reason = desk.degraded if desk.not_ready is None else None
    return {} if reason is None else {"degraded": reason}


def _handlers() -> dict[Any, Any]:
    """Exception handlers: every failure becomes a problem document."""

    async def failed(_request: Request, error: Exception) -> Response:
        return _problem(of_error(error))

    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        errors = [(".".join(map(str, found["loc"][1:])) or None, str(found["msg"])) for found in error.errors()]
        return _problem(RequestRefused(422, "; ".join(f"{field}: {message}" for field, message in errors), errors))

    async def http(_request: Request, error: HTTPException) -> Response:
        extra = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
        detail = "there is nothing at this path; /docs lists what there is" if error.status_code == 404 else error.detail
        return _problem(RequestRefused(error.status_code, detail, headers=extra))

    return {
        RequestRefused: failed,
        PenstockError: failed,
        RequestValidationError: invalid,
        HTTPException: http,
        Exception: failed,
    }


def _problem(refused: RequestRefused) -> Response:
    response = Response(refused.problem, status_code=refused.status)
    response.raw_headers = headers(refused.status, len(refused.problem), refused.headers)
    return response
