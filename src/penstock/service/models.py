"""`/detectors/{name}/models`: which version decides, which is tried, and the way forward and back."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from fastapi import FastAPI, Request, Response

from penstock.assemble.challengers import Challengers
from penstock.config import Settings
from penstock.errors import BundleError, DeclarationError, RegistryError
from penstock.office.roles import LOCAL
from penstock.service import bodies
from penstock.service.access import ACTOR
from penstock.service.desks import Desks
from penstock.service.model_forms import ModelList, ModelVersion, Moved, StartRollout, StartShadow, Why, trial_form
from penstock.service.openapi import answers, may_take, requires
from penstock.service.problems import RequestRefused
from penstock.service.records import json_response

T = TypeVar("T")
F = TypeVar("F", bound=msgspec.Struct)

_REFUSED = (400, 404, 408, 409, 413, 415)


class Models:
    """What the routes ask: the challengers of each detector, in threads, with errors as people should see them."""

    def __init__(self, desks: Desks, challengers: Mapping[str, Challengers], settings: Settings) -> None:
        self._desks, self._challengers, self._settings = desks, challengers, settings

    async def do(self, name: str, work: Callable[[Challengers], T]) -> T:
        """Ask the challengers of a detector.

        Raises:
            RequestRefused: 404 no such detector, 409 it has no models, 422 what was asked does not fit, 503 the registry.
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

    async def read(self, request: Request, form: type[F]) -> F:
        """The body of a request.

        Raises:
            RequestRefused: it does not fit.
        """
        bodies.check_encoding(request.headers.raw)
        return bodies.read_as(await bodies.read_body(request.scope, request.receive, self._settings.max_body_bytes), form)


def add_routes(routes: FastAPI, models: Models) -> None:
    """Add the routes."""
    _add_trying(routes, models)
    _add_settling(routes, models)


def _add_trying(routes: FastAPI, models: Models) -> None:
    @routes.get("/detectors/{name}/models", tags=["models"], responses=answers("ModelList", 404, 409))
    async def listed(name: str) -> Response:
        """The versions of a detector's models: which decides, which is tried, and every trial there was."""
        return _answer(await models.do(name, _list))

    @routes.post(
        "/detectors/{name}/models/{version}/shadow",
        tags=["models"],
        responses=answers("TrialForm", *_REFUSED),
        openapi_extra=may_take("StartShadow"),
    )
    async def shadow(name: str, version: str, request: Request) -> Response:
        """Let a version score the same events as the champion, and decide nothing."""
        asked, who = await models.read(request, StartShadow), _who(request)
        guards = _guards(asked.guards)
        trial = await models.do(name, lambda c: c.shadow(version, who=who, why=asked.note, guards=guards))
        return _answer(trial_form(trial))

    @routes.post(
        "/detectors/{name}/models/{version}/rollout",
        tags=["models"],
        responses=answers("TrialForm", *_REFUSED),
        openapi_extra=requires("StartRollout"),
    )
    async def rollout(name: str, version: str, request: Request) -> Response:
        """Let a version decide for a share of the keys, under guards; the champion goes on for the others."""
        asked, who = await models.read(request, StartRollout), _who(request)
        guards = _guards(asked.guards)
        trial = await models.do(
            name,
            lambda c: c.rollout(version, percent=asked.percent, share_of=asked.of, who=who, why=asked.note, guards=guards),
        )
        return _answer(trial_form(trial))


def _add_settling(routes: FastAPI, models: Models) -> None:
    @routes.post(
        "/detectors/{name}/models/{version}/promote",
        tags=["models"],
        responses=answers("Moved", *_REFUSED),
        openapi_extra=may_take("Why"),
    )
    async def promote(name: str, version: str, request: Request) -> Response:
        """Let a version decide everything."""
        asked, who = await models.read(request, Why), _who(request)
        found = await models.do(name, lambda c: c.promote(version, who=who, why=asked.note))
        return _answer(Moved("promote", found, found))

    @routes.post(
        "/detectors/{name}/models/rollback",
        tags=["models"],
        responses=answers("Moved", *_REFUSED),
        openapi_extra=may_take("Why"),
    )
    async def rollback(name: str, request: Request) -> Response:
        """Undo the last step: end the trial that runs; where none does, return to the champion before this one."""
        asked, who = await models.read(request, Why), _who(request)
        return _answer(await models.do(name, lambda c: c.rollback(who=who, why=asked.note)))


def _list(challengers: Challengers) -> ModelList:
    trials = challengers.trials.all()
    return ModelList(
        champion=challengers.champion,
        versions=[
            ModelVersion(entry.version, entry.created_at, list(entry.aliases), dict(entry.figures))
            for entry in challengers.versions()
        ],
        trial=next((trial_form(trial) for trial in trials if trial.running), None),
        trials=[trial_form(trial) for trial in trials],
    )


def _guards(given: Any) -> list[dict[str, Any]] | None:
    found: list[dict[str, Any]] | None = msgspec.to_builtins(given)
    return found


def _who(request: Request) -> str:
    return str(request.scope.get(ACTOR, LOCAL).name)


def _answer(found: Any) -> Response:
    return json_response(msgspec.json.encode(found))
