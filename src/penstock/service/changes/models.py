"""`/detectors/{name}/models`: model versions, trials, promotion and rollback."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from fastapi import FastAPI, Request, Response

from penstock.config import Settings
from penstock.decision import Guard
from penstock.engine.trials.challenger import MOST
from penstock.errors import BundleError, DeclarationError, RegistryError
from penstock.governance import approvals
from penstock.governance.trial_steps import ModelTrial
from penstock.service.changes.model_schemas import (
    AskForModel,
    GoBack,
    ModelList,
    ModelVersion,
    Moved,
    StartRollout,
    StartShadow,
    Why,
    trial_form,
)
from penstock.service.changes.rule_schemas import RequestForm, request_form
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.openapi import answers, may_take, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import json_answer, parse_body, who
from penstock.wiring.changes.challengers import Challengers

T = TypeVar("T")

_REFUSED = (400, 404, 408, 409, 413, 415)
_MODELS = "/detectors/{name}/models"
_VERSION = _MODELS + "/{version}"


class Models:
    """Runs the model operations of each detector in threads, with errors mapped for users."""

    def __init__(self, desks: DetectorRouter, challengers: Mapping[str, Challengers], settings: Settings) -> None:
        self._desks, self._challengers, self.most_bytes = desks, challengers, settings.max_body_bytes

    async def do(self, name: str, work: Callable[[Challengers], T]) -> T:
        """Run an operation on the challengers of a detector.

        Raises:
            RequestRefused: 404 no such detector, 409 it has no models, 422 invalid request, 503 the registry.
            NotFound, Conflict, MalformedEvent: as `Challengers`.
        """
        self._desks.named(name)
        if name not in self._challengers:
            raise RequestRefused(409, f"detector {name!r} declares no models, so there is nothing to try")
        try:
            return await asyncio.to_thread(work, self._challengers[name])
        except (BundleError, DeclarationError) as error:
            raise RequestRefused(422, str(error), [(None, str(error))]) from None
        except RegistryError as error:
            raise RequestRefused(503, str(error)) from None


def add_routes(routes: FastAPI, models: Models) -> None:
    """Add the routes."""
    _add_trying(routes, models)
    _add_settling(routes, models)


def _add_trying(routes: FastAPI, models: Models) -> None:
    @routes.get(_MODELS, tags=["models"], responses=answers(ModelList, 404, 409))
    async def listed(name: str) -> Response:
        """Model versions: the champion, running and past trials, and requests that wait."""
        return json_answer(await models.do(name, _list))

    @routes.post(
        _VERSION + "/shadow", tags=["models"], responses=answers("TrialForm", *_REFUSED), openapi_extra=may_take("StartShadow")
    )
    async def shadow(name: str, version: str, request: Request) -> Response:
        """Start a shadow trial: the version scores the same events as the champion and decides nothing; several may run."""
        given, by = await parse_body(request, StartShadow, models.most_bytes), who(request)
        trial = await models.do(name, lambda c: c.shadow(version, who=by, why=given.note, guards=_plain(given.guards)))
        return json_answer(trial_form(trial))

    @routes.post(
        _VERSION + "/rollout", tags=["models"], responses=_or_waits("TrialForm"), openapi_extra=requires("StartRollout")
    )
    async def rollout(name: str, version: str, request: Request) -> Response:
        """Start a rollout: the version decides for a share of the keys, under guards; the champion decides the others."""
        given, by = await parse_body(request, StartRollout, models.most_bytes), who(request)
        share: dict[str, Any] = {"percent": given.percent, "share_of": given.of, "guards": _plain(given.guards)}
        return _done(await models.do(name, lambda c: c.rollout(version, **share, who=by, why=given.note)))

    @routes.post(
        _VERSION + "/request", tags=["models"], status_code=202, responses=answers(RequestForm, *_REFUSED, status=202),
        openapi_extra=may_take("AskForModel"),
    )  # fmt: skip
    async def ask(name: str, version: str, request: Request) -> Response:
        """Ask others to promote a version, or to roll it out."""
        given, by = await parse_body(request, AskForModel, models.most_bytes), who(request)
        details: dict[str, Any] = {} if given.action == "promote" else {"percent": given.percent, "of": given.of}
        return _done(await models.do(name, lambda c: c.ask(version, given.action, who=by, why=given.note, **details)))


def _add_settling(routes: FastAPI, models: Models) -> None:
    @routes.post(_VERSION + "/promote", tags=["models"], responses=_or_waits("Moved"), openapi_extra=may_take("Why"))
    async def promote(name: str, version: str, request: Request) -> Response:
        """Promote a version to champion."""
        given = await parse_body(request, Why, models.most_bytes)
        promoted = partial(Challengers.promote, version=version, who=who(request), why=given.note)
        done = await models.do(name, promoted)
        return _done(Moved("promote", done, done) if isinstance(done, str) else done)

    @routes.post(
        _MODELS + "/rollback", tags=["models"], responses=answers("Moved", *_REFUSED), openapi_extra=may_take("GoBack")
    )
    async def rollback(name: str, request: Request) -> Response:
        """End the trial of a version; without one, undo the last step: the rollout, else what began or changed last."""
        given = await parse_body(request, GoBack, models.most_bytes)
        return json_answer(await models.do(name, lambda c: c.rollback(given.version, who=who(request), why=given.note)))


def _or_waits(name: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that may create a request, where four eyes are required."""
    return {**answers(name, *_REFUSED), 202: answers(RequestForm, status=202)[202]}


def _done(done: ModelTrial | Moved | approvals.Request) -> Response:
    """The answer to a change: 202 if it waits for approval."""
    if isinstance(done, approvals.Request):
        return json_answer(request_form(done), 202)
    return json_answer(trial_form(done) if isinstance(done, ModelTrial) else done)


def _list(challengers: Challengers) -> ModelList:
    pending = challengers.trials.approvals.all("pending")
    return ModelList(
        champion=challengers.champion,
        four_eyes=challengers.trials.four_eyes,
        versions=[
            ModelVersion(entry.version, entry.created_at, list(entry.aliases), dict(entry.figures))
            for entry in challengers.versions()
        ],
        running=[trial_form(trial) for trial in challengers.trials.running()],
        trials=[trial_form(trial) for trial in challengers.trials.all()],
        pending=[request_form(each) for each in pending if each.kind == "model"],
        most=MOST,
    )


def _plain(given: Sequence[Guard] | None) -> list[dict[str, Any]] | None:
    found: list[dict[str, Any]] | None = msgspec.to_builtins(given)
    return found
