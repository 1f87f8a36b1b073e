"""`/detectors/{name}/features`: features defined at run time, backfilled from the log, from draft to archived."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response

from penstock.config import Settings
from penstock.engine import Engine
from penstock.errors import BundleError, DeclarationError, did_you_mean
from penstock.governance import approvals
from penstock.service.changes.feature_schemas import (
    ActivateFeature,
    FeatureForm,
    FeatureList,
    FeatureTested,
    NewFeature,
    TryFeature,
    feature_form,
)
from penstock.service.changes.rule_requests import GiveReason
from penstock.service.changes.rule_schemas import RequestForm, request_form
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.openapi import answers, may_take, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import json_answer, parse_body, who
from penstock.wiring.changes.feature_activation import FeatureActivation

T = TypeVar("T")

_REFUSED = (400, 404, 408, 409, 413, 415)
_FEATURES = "/detectors/{name}/features"
_FEATURE = _FEATURES + "/{feature}"


class Fed:
    """Feature services by detector, for routes, with the engines that compute the features."""

    def __init__(self, growing: Mapping[str, FeatureActivation], desks: DetectorRouter) -> None:
        self._growing, self._desks = growing, desks

    def of(self, name: str) -> FeatureActivation:
        """The feature service of a detector.

        Raises:
            RequestRefused: 404, there is no such detector.
        """
        if name not in self._growing:
            raise RequestRefused(404, f"no detector {name!r} is served here.{did_you_mean(name, self._growing)}")
        return self._growing[name]

    def computed(self, name: str) -> list[str] | None:
        """The run-time features that the engine computes now; None where it runs elsewhere."""
        desk = self._desks.named(name)
        if desk.not_ready is not None or not isinstance(desk.engine, Engine):
            return None
        return [each.name for each in desk.engine.detector.added]

    async def look(self, work: Callable[[], T]) -> T:
        """Run a database query in a thread.

        Raises:
            RequestRefused: 422, the request is invalid.
        """
        try:
            return await asyncio.to_thread(work)
        except (DeclarationError, BundleError) as error:
            raise RequestRefused(422, str(error), [(None, str(error))]) from None

    async def changed(self, name: str, feature: str, work: Callable[[], object], status: int = 200) -> Response:
        """Apply a change and answer with the feature, or with the request if it waits for approval."""
        done = await self.look(work)
        if isinstance(done, approvals.Request):
            return json_answer(request_form(done), 202)
        return json_answer(feature_form(await self.look(partial(self.of(name).book.known, feature))), status)


def add_routes(routes: FastAPI, growing: Mapping[str, FeatureActivation], desks: DetectorRouter, settings: Settings) -> None:
    """Add the routes for these detectors."""
    fed = Fed(growing, desks)
    _add_looking(routes, fed)
    _add_writing(routes, fed, settings.max_body_bytes)
    _add_deciding(routes, fed, settings.max_body_bytes)


def _add_looking(routes: FastAPI, fed: Fed) -> None:
    @routes.get(_FEATURES, tags=["features"], responses=answers(FeatureList, 404))
    async def listed(name: str, *, archived: bool = False) -> Response:
        """Run-time features: their state, and which history they could not be given."""
        book, computed = fed.of(name).book, fed.computed(name)

        def found() -> FeatureList:
            revision, versions = book.revision(), book.versions()
            names = sorted({each.name for each in versions})
            forms = [feature_form([each for each in versions if each.name == one]) for one in names]
            kept = [each for each in forms if archived or each.state != "archived"]
            waiting = [request_form(each) for each in book.approvals.all("pending") if each.kind == "feature"]
            return FeatureList(name, revision, book.four_eyes, computed, kept, waiting)

        return json_answer(await fed.look(found))

    @routes.get(_FEATURE, tags=["features"], responses=answers(FeatureForm, 404))
    async def one(name: str, feature: str) -> Response:
        """A feature with all its versions, the newest first."""
        return json_answer(feature_form(await fed.look(partial(fed.of(name).book.known, feature))))


def _add_writing(routes: FastAPI, fed: Fed, most: int) -> None:
    @routes.post(
        _FEATURES, tags=["features"], status_code=201, responses=answers(FeatureForm, *_REFUSED, status=201),
        openapi_extra=requires("NewFeature"),
    )  # fmt: skip
    async def add(name: str, request: Request) -> Response:
        """Add a version of a feature as a draft: it is checked, and not computed yet."""
        book, given = fed.of(name).book, await parse_body(request, NewFeature, most)
        work = partial(book.add, given.name, given.body, who=who(request), why=given.note)
        return await fed.changed(name, given.name, work, 201)

    @routes.post(
        _FEATURES + "/test",
        tags=["features"],
        responses=answers(FeatureTested, *_REFUSED),
        openapi_extra=requires("TryFeature"),
    )
    async def test(name: str, request: Request) -> Response:
        """Check a feature without saving it: names, types and windows, as in a detector's file."""
        found, given = fed.of(name), await parse_body(request, TryFeature, most)
        return json_answer(FeatureTested(*await fed.look(partial(found.test, given.name, given.body))))

    @routes.post(
        _FEATURE + "/request", tags=["features"], status_code=202, responses=answers(RequestForm, *_REFUSED, status=202),
        openapi_extra=may_take("ActivateFeature"),
    )  # fmt: skip
    async def ask(name: str, feature: str, request: Request) -> Response:
        """Ask others to activate a version."""
        book, given = fed.of(name).book, await parse_body(request, ActivateFeature, most)
        return await fed.changed(name, feature, partial(book.ask, feature, given.version, who=who(request), why=given.note))


def _add_deciding(routes: FastAPI, fed: Fed, most: int) -> None:
    waiting: dict[int | str, dict[str, Any]] = {202: answers(RequestForm, status=202)[202]}

    @routes.post(
        _FEATURE + "/activate", tags=["features"], responses={**answers(FeatureForm, *_REFUSED), **waiting},
        openapi_extra=may_take("ActivateFeature"),
    )  # fmt: skip
    async def activate(name: str, feature: str, request: Request) -> Response:
        """Backfill a version from the log; it becomes active when the backfill is complete."""
        book, given = fed.of(name).book, await parse_body(request, ActivateFeature, most)
        return await fed.changed(
            name, feature, partial(book.activate, feature, given.version, who=who(request), why=given.note)
        )

    @routes.post(
        _FEATURE + "/rollback",
        tags=["features"],
        responses=answers(FeatureForm, *_REFUSED),
        openapi_extra=may_take("GiveReason"),
    )
    async def rollback(name: str, feature: str, request: Request) -> Response:
        """Undo the last step: cancel the backfill, or backfill the version that was active before."""
        book, given = fed.of(name).book, await parse_body(request, GiveReason, most)
        return await fed.changed(name, feature, partial(book.rollback, feature, who=who(request), why=given.note))

    @routes.post(
        _FEATURE + "/archive",
        tags=["features"],
        responses=answers(FeatureForm, *_REFUSED),
        openapi_extra=may_take("GiveReason"),
    )
    async def archive(name: str, feature: str, request: Request) -> Response:
        """Stop computing a feature; refused while a rule, a model or another feature reads it."""
        book, given = fed.of(name).book, await parse_body(request, GiveReason, most)
        return await fed.changed(name, feature, partial(book.archive, feature, who=who(request), why=given.note))
