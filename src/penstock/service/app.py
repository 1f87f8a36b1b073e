"""The service as an ASGI application: the hot path in front, FastAPI behind it, the desks between it and the engines."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

import penstock
from penstock.assemble.books import Books
from penstock.assemble.drift import DriftWork
from penstock.assemble.growing import Growing
from penstock.assemble.operations import Operating
from penstock.assemble.trials import TrialWork
from penstock.config import Settings
from penstock.errors import PenstockError
from penstock.office.cases import Cases
from penstock.rules import NewerRules
from penstock.service import (
    backtests,
    book_routes,
    context,
    definitions,
    erasures,
    evaluations,
    insights,
    latest,
    links,
    operation_routes,
    pages,
    profiles,
    records,
    redirects,
    session,
    sockets,
    streams,
    transactions,
    verification,
    writes,
)
from penstock.service import cases as case_routes
from penstock.service import models as model_routes
from penstock.service import trials as trial_routes
from penstock.service.access import Access
from penstock.service.background import Background
from penstock.service.desks import Desks
from penstock.service.drift import Drifting
from penstock.service.drift import add_routes as add_drift
from penstock.service.follow import Follower, Newer, RulesFollower
from penstock.service.front import Front
from penstock.service.growing import FeaturesFollower
from penstock.service.live import Live
from penstock.service.metrics import CONTENT_TYPE, Exposition
from penstock.service.openapi import answers, document
from penstock.service.personal import Unmasking
from penstock.service.port import Serving
from penstock.service.predict import Predict
from penstock.service.problems import RequestRefused, headers, of_error
from penstock.service.records import json_response
from penstock.service.rights import Rights
from penstock.service.shelf import Shelf
from penstock.service.streams import Replays, Streams
from penstock.service.tracing import Tracing
from penstock.service.traffic import Traffic
from penstock.service.verdicts import Verdicts

DESCRIPTION = "Decides about every transaction while it happens: approve, review or block, with reasons."


class Service(Front):
    """The ASGI application. `stopping()` ends what would otherwise go on for ever, before a graceful stop."""

    def __init__(
        self, app: FastAPI, desks: Desks, predict: Predict, live: Live, access: Access | None, tracing: Tracing | None
    ) -> None:
        super().__init__(app, desks, predict, access, tracing)
        self._served = desks
        self._live = live

    def stopping(self) -> None:
        """The service is about to stop: live pages, and whoever waits for a status, are let go."""
        self._live.stop()
        for desk in self._served.values():
            desk.feed.watch.let_go()


def create_app(
    desks: Mapping[str, Serving],
    settings: Settings,
    *,
    traffic: Traffic | None = None,
    replays: Replays | None = None,
    champions: Mapping[str, Newer] | None = None,
    rules: Mapping[str, NewerRules] | None = None,
    access: Access | None = None,
    cases: Cases | None = None,
    drift: DriftWork | None = None,
    trials: TrialWork | None = None,
    books: Mapping[str, Books] | None = None,
    features: Mapping[str, Growing] | None = None,
    personal: Unmasking | None = None,
    operating: Operating | None = None,
    tracing: Tracing | None = None,
    on_ready: Callable[[], None] = lambda: None,
    on_failure: Callable[[BaseException], None] = lambda _error: None,
) -> Service:
    """The service over these desks.

    Args:
        desks: one per detector, by its name. Those that are not open yet are opened when the application starts.
        settings: limits.
        traffic: simulated traffic to send through one of the desks.
        replays: where `POST /stream` takes transactions from; nowhere unless given.
        champions: by detector, where newer models come from; without it those of the start decide for ever.
        rules: by detector, where newer rules come from; without it those of its file decide for ever.
        access: who is let in; everybody unless given, so that whoever embeds the service guards it.
        cases: what people work on; there are no routes for it unless given.
        drift: looks at the drift of what is served; one of the settings unless given.
        trials: what is tried beside what decides; nothing, and there are no routes for it, unless given.
        books: by detector, the rules and lists that people change; there are no routes for them unless given.
        features: by detector, the features that people make; none unless given, and no routes for them without books.
        personal: what personal fields said, for those who may see it; nothing is known of that unless given.
        operating: what runs beside the detectors; there are no routes for operations, users and keys unless given.
        tracing: traces requests for decisions; none is traced unless given.
        on_ready: called once when all desks are open.
        on_failure: called when one cannot be opened; until the process ends, /ready says why.
    """
    served = Desks(desks)
    background = Background(served, on_ready, on_failure)
    live = Live(served)
    unmasking = personal or Unmasking()
    replaying = Streams(served, replays)
    trying = backtests.Backtests(served, settings)
    drifting = Drifting(served, drift or DriftWork(settings))
    followers = {name: Follower(served[name], newer, settings.follow_every_s) for name, newer in (champions or {}).items()}
    tried = None if trials is None else trial_routes.Trials(served, trials, followers)
    ruling = {name: RulesFollower(served[name], newer) for name, newer in (rules or {}).items()}
    fed = {name: FeaturesFollower(served[name], growing) for name, growing in (features or {}).items()}
    shelf = None if books is None else Shelf(books, served, ruling, settings)
    verdicts = None if cases is None else Verdicts(cases, served)

    background.first += [book.look for book in ruling.values()]
    background.following += [follower.run for follower in followers.values()]
    background.following += [*(each.run for each in fed.values()), *(book.run for book in ruling.values())]
    background.beside.append(drifting.run)
    background.closing += [replaying.close, trying.close, *(each.close for each in fed.values())]
    background.closing += [*([] if shelf is None else [shelf.close]), *([] if tried is None else [tried.close]), drifting.close]
    if access is not None:
        background.beside.append(access.follow)
    if verdicts is not None:
        background.beside.append(verdicts.run)
    if tried is not None:
        background.first.append(tried.begin)
        background.following.append(tried.run)
    if traffic is not None:
        background.following.append(partial(_send, traffic, served))

    app = FastAPI(
        title="Penstock",
        version=penstock.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=background.lifespan,
        exception_handlers=_handlers(),
    )
    service = Service(app, served, Predict(served, settings), live, access, tracing)
    _add_routes(app, served, Exposition(served, service, drifting), access)
    session.add_routes(app, access)
    redirects.add_routes(app, access, settings.public_url)
    transactions.add_routes(app, served, settings)
    streams.add_routes(app, replaying, settings)
    records.add_routes(app, served, unmasking)
    erasures.add_routes(app, served, unmasking)
    backtests.add_routes(app, trying, settings)
    add_drift(app, drifting)
    if trials is not None and tried is not None:
        trial_routes.add_routes(app, tried)
        model_routes.add_routes(app, model_routes.Models(served, trials.challengers, settings))
    latest.add_routes(app, served)
    profiles.add_routes(app, served)
    insights.add_routes(app, served, cases)
    verifying = verification.Verifying(served, settings, unmasking)
    verification.add_routes(app, verifying)
    definitions.add_routes(app, served, verifying)
    evaluations.add_routes(app, served, settings)
    context.add_routes(app, served, cases, unmasking)
    links.add_routes(app, served, unmasking)
    writes.add_routes(app, served, settings)
    if cases is not None and verdicts is not None:
        case_routes.add_routes(app, cases, served, verdicts, settings, unmasking)
    if shelf is not None:
        challengers = {} if trials is None else trials.challengers
        book_routes.add_routes(app, shelf, settings, features or {}, challengers, served)
    if operating is not None:
        background.beside.append(operation_routes.add_routes(app, served, operating, access, ruling).run)
    sockets.add_routes(app, live)
    pages.add_routes(app, served, live, traffic)
    if access is not None:
        access.guard(Rights(app.routes))
    return service


async def _send(traffic: Traffic, desks: Desks) -> None:
    await traffic.run(desks.named(traffic.detector))


def _add_routes(routes: FastAPI, desks: Desks, exposition: Exposition, access: Access | None) -> None:
    """What the service says about itself."""

    @routes.get("/health", tags=["service"], responses=answers("Health"))
    async def health() -> Response:
        """The process is up; which versions it serves; whether a key is needed."""
        models = {name: {"model_version": _model_version(desk)} for name, desk in desks.items()}
        let_in = "open" if access is None or access.open else "closed"
        ways = ["password", "oidc"] if access is not None and access.sign_on is not None else ["password"]
        about = {"status": "ok", "version": penstock.__version__}
        found = {**about, "access": let_in, "sign_in": ways, "detectors": models}
        return json_response(msgspec.json.encode(found))

    @routes.get("/ready", tags=["service"], responses=answers("Ready", 503))
    async def ready() -> Response:
        """Models are loaded and state is recovered; 503 with the reason until then."""
        reasons = {name: desk.not_ready for name, desk in desks.items() if desk.not_ready is not None}
        if reasons:
            detail = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise RequestRefused(503, detail)
        return json_response(msgspec.json.encode({"status": "ready", "detectors": list(desks)}))

    @routes.get("/metrics", tags=["service"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters and latencies for Prometheus."""
        return Response(exposition.text(), headers={"content-type": CONTENT_TYPE})

    @routes.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return json_response(msgspec.json.encode(document(routes, desks)))


def _model_version(desk: Serving) -> str | None:
    return desk.engine.model_version if desk.not_ready is None else None


def _handlers() -> dict[Any, Any]:
    """Every way in which a request can fail, as one kind of answer."""

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
