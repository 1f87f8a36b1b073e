"""The service as an ASGI application: the hot path in front, FastAPI behind it, micro-batchers between it and the engines."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

import penstock
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.engine.following import ModelFollower, Newer, RulesFollower, TrialFollower
from penstock.engine.trials.challenger import NewerTrial
from penstock.errors import PenstockError
from penstock.governance.administration import RuleAdministration
from penstock.governance.feature_activation import FeatureActivation
from penstock.governance.saved_views import SavedViews
from penstock.governance.trials import TrialWork
from penstock.rules import NewerRules
from penstock.service.access.authorize import Access, Rights
from penstock.service.access.users_keys import UsersAndKeys
from penstock.service.asgi import EntryPoint
from penstock.service.changes.administration import Administration
from penstock.service.changes.backtests import Backtests
from penstock.service.changes.followers import FollowerTask
from penstock.service.changes.models import Models
from penstock.service.changes.trials import Trials
from penstock.service.decide.detectors import DetectorRouter, visible_detectors
from penstock.service.decide.port import ServedDetector
from penstock.service.decide.predict import Predict
from penstock.service.http.compression import CompressedReads
from penstock.service.http.openapi import document
from penstock.service.http.problems import RequestRefused, headers, of_error
from penstock.service.http.query import worded_errors
from penstock.service.http.tracing import Tracing
from penstock.service.insights.routes import Insights
from penstock.service.investigate.verdicts import VerdictSubmission
from penstock.service.live.preparation import Preparation
from penstock.service.live.replay_jobs import ReplayJobs, ReplaySources
from penstock.service.live.stream import Live
from penstock.service.live.traffic import TrafficSender
from penstock.service.live.web import Console
from penstock.service.operations.alert_channels import AlertChannelSetup
from penstock.service.operations.alerts import Deliveries
from penstock.service.operations.audit import Audit
from penstock.service.operations.drift import Drifting
from penstock.service.operations.health import Board
from penstock.service.operations.probes import ApiDocument, Exposition
from penstock.service.operations.quarantine import Quarantine, Resubmission
from penstock.service.operations.reports import Reports
from penstock.service.records.personal import Unmasking
from penstock.service.records.profiles import RiskProfiles
from penstock.service.records.snoozes import SnoozesByDetector
from penstock.service.records.verification import Verifying
from penstock.service.routes import LIMITED, ROUTES, TABLE
from penstock.webhooks.delivery import Webhooks
from penstock.wiring.health import ServiceHealth
from penstock.wiring.reports.drift import DriftWork

DESCRIPTION = "Decides about every transaction while it happens: approve, review or block, with reasons."

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class ServiceParts:
    """The optional parts of one service; a part that is not given is absent, with its routes.

    Args:
        traffic: simulated traffic for one of the detectors.
        preparation: the progress of what is made before the detectors open, shown in place of the console.
        replays: sources for `POST /stream`; none unless given.
        champions: by detector, the source of newer models; without it those of the start decide for ever.
        rules: by detector, the source of newer rules; without it those of its file decide for ever.
        access: authorizes requests; open to everybody unless given, so programs that embed the service guard it themselves.
        cases: the case store.
        webhooks: endpoints of webhooks and their delivery.
        drift: measures the drift of the served models; made from the settings unless given.
        trials: running trials of candidates.
        administrations: by detector, the rule and list services.
        features: by detector, the feature services; their routes need `administrations`.
        personal: original values of personal fields, for those who may see them; unavailable unless given.
        operating: operations data, users and keys.
        tracing: traces decision requests.
    """

    traffic: TrafficSender | None = None
    preparation: Preparation | None = None
    replays: ReplaySources | None = None
    champions: Mapping[str, Newer] = field(default_factory=dict)
    rules: Mapping[str, NewerRules] = field(default_factory=dict)
    access: Access | None = None
    cases: Cases | None = None
    webhooks: Webhooks | None = None
    drift: DriftWork | None = None
    trials: TrialWork | None = None
    administrations: Mapping[str, RuleAdministration] | None = None
    features: Mapping[str, FeatureActivation] = field(default_factory=dict)
    personal: Unmasking | None = None
    operating: ServiceHealth | None = None
    tracing: Tracing | None = None


@dataclass(slots=True)
class Background:
    """The background work of one application, from its start to its end; every part adds its own.

    first: runs in this order when the detectors are open, before any decision. following: tasks started after that.
    always: tasks that run from the start, whether detectors are open or not. closing: runs in this order at the end,
    before the detectors are closed.

    Args:
        router: the detectors; opened at the start, closed at the end.
        on_ready: called once when they are open, and `first` is done.
        on_failure: called when opening fails, and nothing is followed then; and when a part cannot be closed.
    """

    router: DetectorRouter
    on_ready: Callable[[], None] = lambda: None
    on_failure: Callable[[BaseException], None] = lambda _error: None
    first: list[Work] = field(default_factory=list)
    following: list[Work] = field(default_factory=list)
    always: list[Work] = field(default_factory=list)
    closing: list[Work] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """The context of the running application."""
        async with contextlib.AsyncExitStack() as ending:  # last in, first out; each runs even if others fail
            ending.push_async_callback(self._close_detectors)
            for close in reversed(self.closing):
                ending.push_async_callback(self._closed, close)
            for work in (self._run, *self.always):
                ending.push_async_callback(_cancel, asyncio.ensure_future(work()))
            yield

    async def _close_detectors(self) -> None:
        await asyncio.gather(*(self._closed(served.close) for served in self.router.values()))

    async def _closed(self, close: Work) -> None:
        """Close one part; a failure goes to `on_failure`."""
        try:
            await close()
        except Exception as error:  # noqa: BLE001 - the others are closed all the same
            self.on_failure(error)

    async def _run(self) -> None:
        try:
            for work in self._opening():
                await work()
        except Exception as error:  # noqa: BLE001 - the starter of the service decides what a failed start means
            self.on_failure(error)
            return
        self.on_ready()
        await asyncio.gather(*(work() for work in self.following))

    def _opening(self) -> Sequence[Work]:
        return [*(served.open for served in self.router.values()), *self.first]


async def _cancel(task: "asyncio.Future[object]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class Service(EntryPoint):
    """The ASGI application. `stopping()` ends streams and waiting requests before a graceful stop."""

    def __init__(self, app: FastAPI, router: DetectorRouter, settings: Settings, live: Live, parts: ServiceParts) -> None:
        timeout_s = settings.body_timeout_s
        super().__init__(app, router, Predict(router, settings), parts.access, parts.tracing, body_timeout_s=timeout_s)
        self._router = router
        self.live = live

    def document(self) -> dict[str, Any]:
        """The OpenAPI document, with the events of the detectors that are open."""
        open_ = {name: each.not_ready is None for name, each in self._router.items()}
        events = {name: each.engine.detector.event if open_[name] else None for name, each in self._router.items()}
        return document(self.app, ROUTES, events)

    def served(self, name: str) -> ServedDetector:
        """The served detector of this name."""
        return self._router[name]

    def stopping(self) -> None:
        """Prepare for the stop: end live streams, and answer callers who wait for a status."""
        self.live.stop()
        for served in self._router.values():
            served.feed.watch.cancel_all()


def create_app(
    detectors: Mapping[str, ServedDetector],
    settings: Settings,
    parts: ServiceParts | None = None,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_failure: Callable[[BaseException], None] = lambda _error: None,
) -> Service:
    """Build the service for these detectors.

    Args:
        detectors: the served detectors by name. Those not open yet are opened when the application starts.
        settings: limits.
        parts: optional parts of the service; none unless given.
        on_ready: called once when all detectors are open.
        on_failure: called when one cannot be opened, or not be closed; until the process ends, /ready says why.
    """
    router, parts = DetectorRouter(detectors), parts or ServiceParts()
    background = Background(router, on_ready, on_failure)
    composition = _Composition(router, settings, parts)
    composition.work(background)
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
    app.add_middleware(CompressedReads)
    service = Service(app, router, settings, composition.live, parts)
    found = composition.parts() | {
        Exposition: Exposition(router, service, composition.drifting, webhooks=parts.webhooks),
        ApiDocument: ApiDocument(service.document),
    }
    for route in ROUTES:
        route.add(app, found)
    if parts.access is not None:
        parts.access.guard(Rights(app.routes, TABLE, LIMITED))
    return service


class _Composition:
    """The wired parts of a service, and their background work."""

    def __init__(self, router: DetectorRouter, settings: Settings, parts: ServiceParts) -> None:
        self.router, self.settings, self.given = router, settings, parts
        self.cases = None if parts.cases is None else parts.cases.limited_by(visible_detectors)
        self.live = Live(router)
        self.unmasking = parts.personal or Unmasking()
        self.replays = ReplayJobs(router, parts.replays)
        self.backtests = Backtests(router, settings)
        self.verifying = Verifying(router, settings, self.unmasking)
        self.drifting = Drifting(router, parts.drift or DriftWork(settings))
        every_s = settings.follow_every_s
        self.models = {
            name: FollowerTask(router[name], ModelFollower(name, newer, every_s)) for name, newer in parts.champions.items()
        }
        self.rules = {name: FollowerTask(router[name], RulesFollower(name, newer)) for name, newer in parts.rules.items()}
        self.features = {name: FollowerTask(router[name], feature) for name, feature in parts.features.items()}
        self.trials = None if parts.trials is None else Trials(router, parts.trials)
        self.tried = {} if self.trials is None else {name: self._tried(name, newer) for name, newer in self.trials.newer()}
        self.challengers = {} if parts.trials is None else parts.trials.challengers
        of_rules = self.rules, parts.features, self.challengers
        self.administration = (
            None if parts.administrations is None else Administration(parts.administrations, router, *of_rules, settings)
        )
        self.verdicts = None if self.cases is None else VerdictSubmission(self.cases, router)
        self.board = None if parts.operating is None else Board(router, parts.operating, self.rules)
        self.reports = None if parts.operating is None else Reports(router, parts.operating.settings)

    def _tried(self, name: str, newer: NewerTrial) -> FollowerTask:
        """Follow the trials of a detector; a promotion is in force as soon as its trial has ended."""
        model = self.models.get(name)
        return FollowerTask(self.router[name], TrialFollower(name, newer), None if model is None else model.look)

    def work(self, background: Background) -> None:
        """Register background work, in the order in which it starts and ends."""
        background.first += [each.look for each in (*self.rules.values(), *self.tried.values())]
        for followers in (self.models, self.features, self.rules, self.tried):
            background.following += [each.run for each in followers.values()]
        background.always.append(self.drifting.run)
        background.closing += [self.replays.close, self.backtests.close, *(each.close for each in self.features.values())]
        computing = (self.administration, self.reports, self.trials, self.drifting)
        background.closing += [each.close for each in computing if each is not None]
        background.always += [each.run for each in (self.verdicts, self.board) if each is not None]
        if self.given.access is not None:
            background.always.append(self.given.access.follow)
        if self.trials is not None:
            background.following.append(self.trials.run)
        if self.given.traffic is not None:
            background.following.append(partial(_send, self.given.traffic, self.router))

    def parts(self) -> dict[type, object]:
        """By type, the parts that routes name, without those that this service lacks."""
        router, given, operating = self.router, self.given, self.given.operating
        found = [router, self.settings, self.live, self.unmasking, self.replays, self.backtests, self.verifying, self.drifting]
        found += [Console(preparation=given.preparation), Insights(router, self.cases), RiskProfiles(router)]
        found.append(SnoozesByDetector(given.administrations or {}))
        found += [
            given.access,
            given.traffic,
            self.cases,
            given.webhooks,
            self.trials,
            self.administration,
            self.verdicts,
            self.board,
            self.reports,
        ]
        if given.trials is not None:
            found.append(Models(router, self.challengers))
        if operating is not None:
            quarantine = Quarantine(router, operating.office)
            found += [quarantine, Resubmission(router, quarantine), Deliveries(operating), AlertChannelSetup(operating)]
            found += [
                UsersAndKeys(operating.office, given.access, tuple(router)),
                Audit(operating.office),
                SavedViews(operating.office),
            ]
        return {type(part): part for part in found if part is not None}


async def _send(traffic: TrafficSender, router: DetectorRouter) -> None:
    await traffic.run(router.named(traffic.detector))


def _handlers() -> dict[Any, Any]:
    """Exception handlers: every failure becomes a problem document."""

    async def failed(_request: Request, error: Exception) -> Response:
        return _problem(of_error(error))

    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        errors = worded_errors(error.errors())
        return _problem(RequestRefused(422, "; ".join(message for _, message in errors), errors))

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
