"""`/detectors/{name}/features`: features defined at run time, backfilled from the log, from draft to archived."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from penstock.clock import iso
from penstock.governance import approvals
from penstock.governance.features import FeatureState, FeatureStore, StoredFeature
from penstock.identity.roles import Right
from penstock.service.changes.administration import Administration
from penstock.service.changes.rule_schemas import GiveReason, Name, Note, RequestForm, VersionInfo, version_info
from penstock.service.http.requests import filled, json_answer, who
from penstock.service.http.route import CHANGING, Body, Routes


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
    state: FeatureState
    body: dict[str, Any]
    since_event: str | None
    whole_from: str | None
    history: str | None
    trouble: str | None


class FeatureForm(msgspec.Struct):
    """A feature. state: of the version that is being backfilled, else of the active one, else of the newest."""

    name: str
    state: FeatureState
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


def feature_form(versions: Sequence[StoredFeature]) -> FeatureForm:
    """The response form of a feature, from its versions, oldest first."""
    states = {each.state for each in versions}
    ordered: tuple[FeatureState, ...] = ("filling", "active")
    state = next((each for each in ordered if each in states), versions[-1].state)
    return FeatureForm(versions[-1].name, state, [_version(each) for each in reversed(versions)])


def _version(version: StoredFeature) -> FeatureVersion:
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


async def _changed(
    administration: Administration, name: str, feature: str, work: Callable[[FeatureStore], object], status: int = 200
) -> Response:
    """Apply a change and answer with the feature, or with the request if it waits for approval."""
    store = administration.features(name).store
    done = await administration.look(partial(work, store))
    if isinstance(done, approvals.Request):
        return json_answer(filled(RequestForm, done), 202)
    return json_answer(feature_form(await administration.look(partial(store.known, feature))), status)


# ---------------------------------------------------------------- routes

route = Routes("features")


@route("GET", "/detectors/{name}/features", Right.READ, refuses=(404,))
async def list_features(administration: Administration, /, name: str, *, archived: bool = False) -> FeatureList:
    """Run-time features: their state, and which history they could not be given."""
    store, computed = administration.features(name).store, administration.computed_features(name)

    def found() -> FeatureList:
        revision, versions = store.revision(), store.versions()
        names = sorted({each.name for each in versions})
        forms = [feature_form([each for each in versions if each.name == one]) for one in names]
        kept = [each for each in forms if archived or each.state != "archived"]
        waiting = [filled(RequestForm, each) for each in store.approvals.all("pending") if each.kind == "feature"]
        return FeatureList(name, revision, store.four_eyes, computed, kept, waiting)

    return await administration.look(found)


@route("GET", "/detectors/{name}/features/{feature}", Right.READ, refuses=(404,))
async def get_feature(administration: Administration, /, name: str, feature: str) -> FeatureForm:
    """A feature with all its versions, the newest first."""
    return feature_form(await administration.look(partial(administration.features(name).store.known, feature)))


@route("POST", "/detectors/{name}/features", Right.AUTHOR, answers=FeatureForm, refuses=CHANGING, status=201)
async def create_feature(administration: Administration, /, name: str, request: Request, body: Body[NewFeature]) -> Response:
    """Add a version of a feature as a draft: it is checked, and not computed yet."""
    given, by = await body, who(request)
    return await _changed(
        administration, name, given.name, lambda store: store.add(given.name, given.body, who=by, why=given.note), 201
    )


@route("POST", "/detectors/{name}/features/test", Right.AUTHOR | Right.APPROVE, refuses=CHANGING)
async def test_feature(administration: Administration, /, name: str, body: Body[TryFeature]) -> FeatureTested:
    """Check a feature without saving it: names, types and windows, as in a detector's file."""
    found, given = administration.features(name), await body
    return FeatureTested(*await administration.look(partial(found.test, given.name, given.body)))


@route(
    "POST",
    "/detectors/{name}/features/{feature}/request",
    Right.AUTHOR | Right.APPROVE,
    answers=RequestForm,
    refuses=CHANGING,
    status=202,
)
async def request_feature(
    administration: Administration, /, name: str, feature: str, request: Request, body: Body[ActivateFeature]
) -> Response:
    """Ask others to activate a version."""
    given, by = await body, who(request)
    return await _changed(
        administration, name, feature, lambda store: store.ask(feature, given.version, who=by, why=given.note)
    )


@route(
    "POST",
    "/detectors/{name}/features/{feature}/activate",
    Right.APPROVE,
    answers=FeatureForm,
    waits=RequestForm,
    refuses=CHANGING,
)
async def activate_feature(
    administration: Administration, /, name: str, feature: str, request: Request, body: Body[ActivateFeature]
) -> Response:
    """Backfill a version from the log; it becomes active when the backfill is complete."""
    given, by = await body, who(request)
    return await _changed(
        administration, name, feature, lambda store: store.activate(feature, given.version, who=by, why=given.note)
    )


@route("POST", "/detectors/{name}/features/{feature}/rollback", Right.APPROVE, answers=FeatureForm, refuses=CHANGING)
async def roll_back_feature(
    administration: Administration, /, name: str, feature: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Undo the last step: cancel the backfill, or backfill the version that was active before."""
    given, by = await body, who(request)
    return await _changed(administration, name, feature, lambda store: store.rollback(feature, who=by, why=given.note))


@route("POST", "/detectors/{name}/features/{feature}/archive", Right.APPROVE, answers=FeatureForm, refuses=CHANGING)
async def archive_feature(
    administration: Administration, /, name: str, feature: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Stop computing a feature; refused while a rule, a model or another feature reads it."""
    given, by = await body, who(request)
    return await _changed(administration, name, feature, lambda store: store.archive(feature, who=by, why=given.note))
