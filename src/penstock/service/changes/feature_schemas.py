"""Request and response schemas of the features API."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.governance.feature_versions import State, Version
from penstock.service.changes.rule_requests import Name, Note
from penstock.service.changes.rule_schemas import RequestForm
from penstock.service.changes.version_info import VersionInfo, version_info


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
