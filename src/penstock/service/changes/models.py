"""`/detectors/{name}/models`: model versions, trials, promotion and rollback."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from penstock.clock import iso
from penstock.decision import Guard
from penstock.engine.trials.challenger import MOST
from penstock.errors import BundleError, ConfigurationError, DeclarationError, RegistryError
from penstock.governance import approvals
from penstock.governance.challengers import Challengers
from penstock.governance.model_trials import ModelTrial
from penstock.identity.roles import Right
from penstock.service.changes.rule_schemas import Note, RequestForm
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, json_answer, who
from penstock.service.http.route import CHANGING, Body, Routes

T = TypeVar("T")


class StartShadow(msgspec.Struct, forbid_unknown_fields=True):
    """The reason, and guards that replace those of the policy."""

    note: Note = ""
    guards: list[Guard] | None = None


class StartRollout(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rollout to a share of the keys of a text field or feature, with the reason, and guards that replace those of the
    policy.
    """

    percent: Annotated[float, Meta(gt=0, le=100)]
    of: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Note = ""
    guards: list[Guard] | None = None


class AskForModel(msgspec.Struct, forbid_unknown_fields=True):
    """The requested change: promote a version, or roll it out to a share of the keys of a field."""

    action: Literal["promote", "rollout"] = "promote"
    percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    of: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class SetThresholds(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The thresholds by which the champion is to decide, with the reason."""

    review_at: Annotated[float, Meta(gt=0, le=1, description="Review from this probability on.")]
    block_at: Annotated[float, Meta(gt=0, le=1, description="Block from this probability on.")]
    note: Note = ""


class GoBack(msgspec.Struct, forbid_unknown_fields=True):
    """The reason, and the version whose trial ends; the last step is undone unless given."""

    version: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """The reason."""

    note: Note = ""


class TrialForm(msgspec.Struct):
    """A trial of a model. state: shadow, rollout, promoted, rolled_back or withdrawn. champion: the version that decided at
    its start. guards: null where those of the policy apply. reason: why it ended.
    """

    id: str
    version: str
    champion: str | None
    state: str
    percent: float
    of: str | None
    guards: list[dict[str, Any]] | None
    who: str
    note: str
    since: str
    ended_at: str | None
    ended_by: str | None
    reason: str | None


class ModelVersion(msgspec.Struct):
    """One version, with its aliases and its test figures."""

    version: str
    created_at: str
    aliases: list[str]
    figures: dict[str, float | None]


class ModelList(msgspec.Struct):
    """The versions of a detector's models. champion: the version that decides. running: current trials, oldest first;
    trials: all trials, newest first. pending: requests that wait. most: the maximum of concurrent trials.
    """

    champion: str | None
    four_eyes: bool
    versions: list[ModelVersion]
    running: list[TrialForm]
    trials: list[TrialForm]
    pending: list[RequestForm]
    most: int


class Moved(msgspec.Struct):
    """The result of a promotion or rollback. champion: the version that decides now; version: the one promoted or rolled
    back.
    """

    action: str
    version: str
    champion: str | None


def trial_form(trial: ModelTrial) -> TrialForm:
    """The response form of a trial."""
    return filled(TrialForm, trial, of=trial.share_of, since=iso(trial.at_us))


class Models:
    """Runs the model operations of each detector in threads, with errors mapped for users."""

    def __init__(self, router: DetectorRouter, challengers: Mapping[str, Challengers]) -> None:
        self._router, self._challengers = router, challengers

    async def do(self, name: str, work: Callable[[Challengers], T]) -> T:
        """Run an operation on the challengers of a detector.

        Raises:
            RequestRefused: 404 no such detector, 409 it has no models, 422 invalid request, 503 the registry.
            NotFound, Conflict, MalformedEvent: as `Challengers`.
        """
        self._router.named(name)
        if name not in self._challengers:
            raise RequestRefused(409, f"detector {name!r} declares no models, so there is nothing to try")
        try:
            return await asyncio.to_thread(work, self._challengers[name])
        except (BundleError, ConfigurationError, DeclarationError) as error:
            raise RequestRefused(422, str(error), [(None, str(error))]) from None
        except RegistryError as error:
            raise RequestRefused(503, str(error)) from None


def _done(done: ModelTrial | Moved | approvals.Request) -> Response:
    """The answer to a change: 202 if it waits for approval."""
    if isinstance(done, approvals.Request):
        return json_answer(filled(RequestForm, done), 202)
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
        pending=[filled(RequestForm, each) for each in pending if each.kind == "model"],
        most=MOST,
    )


def _plain(given: Sequence[Guard] | None) -> list[dict[str, Any]] | None:
    found: list[dict[str, Any]] | None = msgspec.to_builtins(given)
    return found


# ---------------------------------------------------------------- routes

route = Routes("models")


@route("GET", "/detectors/{name}/models", Right.READ, refuses=(404, 409))
async def list_models(models: Models, /, name: str) -> ModelList:
    """Model versions: the champion, running and past trials, and requests that wait."""
    return await models.do(name, _list)


@route("POST", "/detectors/{name}/models/{version}/shadow", Right.APPROVE, refuses=CHANGING)
async def shadow_model(models: Models, /, name: str, version: str, request: Request, body: Body[StartShadow]) -> TrialForm:
    """Start a shadow trial: the version scores the same events as the champion and decides nothing; several may run."""
    given, by = await body, who(request)
    return trial_form(await models.do(name, lambda c: c.shadow(version, who=by, why=given.note, guards=_plain(given.guards))))


@route(
    "POST",
    "/detectors/{name}/models/{version}/rollout",
    Right.APPROVE,
    answers=TrialForm,
    waits=RequestForm,
    refuses=CHANGING,
)
async def roll_out_model(models: Models, /, name: str, version: str, request: Request, body: Body[StartRollout]) -> Response:
    """Start a rollout: the version decides for a share of the keys, under guards; the champion decides the others."""
    given, by = await body, who(request)
    share: dict[str, Any] = {"percent": given.percent, "share_of": given.of, "guards": _plain(given.guards)}
    return _done(await models.do(name, lambda c: c.rollout(version, **share, who=by, why=given.note)))


@route(
    "POST",
    "/detectors/{name}/models/{version}/request",
    Right.AUTHOR | Right.APPROVE,
    answers=RequestForm,
    refuses=CHANGING,
    status=202,
)
async def request_model(models: Models, /, name: str, version: str, request: Request, body: Body[AskForModel]) -> Response:
    """Ask others to promote a version, or to roll it out."""
    given, by = await body, who(request)
    details: dict[str, Any] = {} if given.action == "promote" else {"percent": given.percent, "of": given.of}
    return _done(await models.do(name, lambda c: c.ask(version, given.action, who=by, why=given.note, **details)))


@route("POST", "/detectors/{name}/models/{version}/promote", Right.APPROVE, answers=Moved, waits=RequestForm, refuses=CHANGING)
async def promote_model(models: Models, /, name: str, version: str, request: Request, body: Body[Why]) -> Response:
    """Promote a version to champion."""
    given = await body
    promoted = partial(Challengers.promote, version=version, who=who(request), why=given.note)
    done = await models.do(name, promoted)
    return _done(Moved("promote", done, done) if isinstance(done, str) else done)


@route(
    "POST", "/detectors/{name}/models/{version}/thresholds", Right.APPROVE, answers=Moved, waits=RequestForm, refuses=CHANGING
)
async def set_thresholds(models: Models, /, name: str, version: str, request: Request, body: Body[SetThresholds]) -> Response:
    """Let the champion decide by other thresholds: a version with the same models, promoted; `rollback` undoes it."""
    given, by = await body, who(request)
    wanted = {"review_at": given.review_at, "block_at": given.block_at}
    made, done = await models.do(name, lambda c: c.set_thresholds(version, **wanted, who=by, why=given.note))
    return _done(Moved("thresholds", made, done) if isinstance(done, str) else done)


@route("POST", "/detectors/{name}/models/rollback", Right.APPROVE, answers=Moved, refuses=CHANGING)
async def roll_back_model(models: Models, /, name: str, request: Request, body: Body[GoBack]) -> object:
    """End the trial of a version; without one, undo the last step: the rollout, else what began or changed last."""
    given = await body
    return await models.do(name, lambda c: c.rollback(given.version, who=who(request), why=given.note))
