"""`/detectors/{name}/features`: features defined at run time, backfilled from the log, from draft to archived."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from penstock.clock import iso
from penstock.errors import BundleError, DeclarationError, did_you_mean
from penstock.governance import approvals
from penstock.governance.feature_versions import State, Version
from penstock.identity.roles import Right
from penstock.service.changes.rule_schemas import GiveReason, Name, Note, RequestForm, VersionInfo, version_info
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, json_answer, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.wiring.changes.feature_activation import FeatureActivation

T = TypeVar("T")


class NewFeature(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a feature, as a draft. body: `derive`, an SQL expression; or the `kind` of an aggregate, with `entity`
    (and `keys` or `roles` of a new one), `field`, `window`, `delay`, `where`, `current`, `role`, `at`, `of`, `by`.
    """

    name: Name
    body: dict[str, Any]
    note: Note = ""


class TryFeature(msgspec.Struct, forbid_unknown_fields=True):
    """A feature to check."""

    name: Name
    body: dict[str, Any]


class ActivateFeature(msgspec.Struct, forbid_unknown_fields=True):
    """The version to backfill and activate; the newest unless given."""

    version: Annotated[int, Meta(ge=1)] | None = None
    note: Note = ""


class FeatureVersion(VersionInfo):
    """One version of a feature, with its state, since when, and who changed it. since_event: the time of the first event
    that it could count. whole_from: from when on its windows lie within the log; null for windows without end. history:
    the same as a sentence. trouble: why the backfill failed.
    """

    feature: str
    state: State
    body: dict[str, Any]
    since_event: str | None
    whole_from: str | None
    history: str | None
    trouble: str | None


class FeatureForm(msgspec.Struct):
    """A feature. state: of the version that is being backfilled, else of the active one, else of the newest."""

    name: str
    state: State
    versions: list[FeatureVersion]


class FeatureList(msgspec.Struct):
    """The run-time features of a detector. computed: those that the engine computes, where it is here. pending: requests
    that wait.
    """

    detector: str
    revision: int
    four_eyes: bool
    computed: list[str] | None
    features: list[FeatureForm]
    pending: list[RequestForm]


class FeatureTested(msgspec.Struct):
    """A valid feature. type: number, boolean, text or time. reads: fields and features."""

    name: str
    type: str
    reads: list[str]


def feature_form(versions: Sequence[Version]) -> FeatureForm:
    """The response form of a feature, from its versions, oldest first."""
    states = {each.state for each in versions}
    ordered: tuple[State, ...] = ("filling", "active")
    state = next((each for each in ordered if each in states), versions[-1].state)
    return FeatureForm(versions[-1].name, state, [_version(each) for each in reversed(versions)])


def _version(version: Version) -> FeatureVersion:
    reach = version.reach or {}

    def at(name: str) -> str | None:
        return None if reach.get(name) is None else iso(reach[name])

    return FeatureVersion(
        **version_info(version),
        feature=version.name,
        state=version.state,
        body=version.body,
        since_event=at("since_us"),
        whole_from=at("whole_us"),
        history=reach.get("sentence"),
        trouble=version.trouble,
    )


class FeatureAdministration:
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
        """The run-time features that the engine computes now; None until it is open."""
        desk = self._desks.named(name)
        if desk.not_ready is not None:
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
            return json_answer(filled(RequestForm, done), 202)
        return json_answer(feature_form(await self.look(partial(self.of(name).book.known, feature))), status)


# ---------------------------------------------------------------- routes

route = Routes("features")


@route("GET", "/detectors/{name}/features", Right.READ, refuses=(404,))
async def listed(administration: FeatureAdministration, /, name: str, *, archived: bool = False) -> FeatureList:
    """Run-time features: their state, and which history they could not be given."""
    book, computed = administration.of(name).book, administration.computed(name)

    def found() -> FeatureList:
        revision, versions = book.revision(), book.versions()
        names = sorted({each.name for each in versions})
        forms = [feature_form([each for each in versions if each.name == one]) for one in names]
        kept = [each for each in forms if archived or each.state != "archived"]
        waiting = [filled(RequestForm, each) for each in book.approvals.all("pending") if each.kind == "feature"]
        return FeatureList(name, revision, book.four_eyes, computed, kept, waiting)

    return await administration.look(found)


@route("GET", "/detectors/{name}/features/{feature}", Right.READ, refuses=(404,))
async def one(administration: FeatureAdministration, /, name: str, feature: str) -> FeatureForm:
    """A feature with all its versions, the newest first."""
    return feature_form(await administration.look(partial(administration.of(name).book.known, feature)))


@route("POST", "/detectors/{name}/features", Right.AUTHOR, answers=FeatureForm, refuses=CHANGING, status=201)
async def add(administration: FeatureAdministration, /, name: str, request: Request, body: Body[NewFeature]) -> Response:
    """Add a version of a feature as a draft: it is checked, and not computed yet."""
    book, given = administration.of(name).book, await body
    work = partial(book.add, given.name, given.body, who=who(request), why=given.note)
    return await administration.changed(name, given.name, work, 201)


@route("POST", "/detectors/{name}/features/test", Right.AUTHOR | Right.APPROVE, refuses=CHANGING)
async def test(administration: FeatureAdministration, /, name: str, body: Body[TryFeature]) -> FeatureTested:
    """Check a feature without saving it: names, types and windows, as in a detector's file."""
    found, given = administration.of(name), await body
    return FeatureTested(*await administration.look(partial(found.test, given.name, given.body)))


@route(
    "POST",
    "/detectors/{name}/features/{feature}/request",
    Right.AUTHOR | Right.APPROVE,
    answers=RequestForm,
    refuses=CHANGING,
    status=202,
)
async def ask(
    administration: FeatureAdministration, /, name: str, feature: str, request: Request, body: Body[ActivateFeature]
) -> Response:
    """Ask others to activate a version."""
    book, given = administration.of(name).book, await body
    return await administration.changed(
        name, feature, partial(book.ask, feature, given.version, who=who(request), why=given.note)
    )


@route(
    "POST",
    "/detectors/{name}/features/{feature}/activate",
    Right.APPROVE,
    answers=FeatureForm,
    waits=RequestForm,
    refuses=CHANGING,
)
async def activate(
    administration: FeatureAdministration, /, name: str, feature: str, request: Request, body: Body[ActivateFeature]
) -> Response:
    """Backfill a version from the log; it becomes active when the backfill is complete."""
    book, given = administration.of(name).book, await body
    return await administration.changed(
        name, feature, partial(book.activate, feature, given.version, who=who(request), why=given.note)
    )


@route("POST", "/detectors/{name}/features/{feature}/rollback", Right.APPROVE, answers=FeatureForm, refuses=CHANGING)
async def rollback(
    administration: FeatureAdministration, /, name: str, feature: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Undo the last step: cancel the backfill, or backfill the version that was active before."""
    book, given = administration.of(name).book, await body
    return await administration.changed(name, feature, partial(book.rollback, feature, who=who(request), why=given.note))


@route("POST", "/detectors/{name}/features/{feature}/archive", Right.APPROVE, answers=FeatureForm, refuses=CHANGING)
async def archive(
    administration: FeatureAdministration, /, name: str, feature: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Stop computing a feature; refused while a rule, a model or another feature reads it."""
    book, given = administration.of(name).book, await body
    return await administration.changed(name, feature, partial(book.archive, feature, who=who(request), why=given.note))
