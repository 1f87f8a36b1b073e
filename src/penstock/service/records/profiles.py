"""The risk profile of a user: current features, decisions, known frauds."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request

from penstock.errors import DeclarationError, MalformedEvent
from penstock.identity.roles import Actor, Right
from penstock.messages import Decision
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import DetectorName, actor_of
from penstock.service.http.route import Routes
from penstock.service.records.personal import as_kept

USER = "user"
"""The default entity of the path, if the detector has one of this name and does not know the key otherwise."""

MOST_AT_ONCE = 2
"""Maximum of concurrent profiles; each reads tens of thousands of decisions."""


class KeyDecisions(msgspec.Struct):
    """Counts by decision, the highest score, and the times of the first and last event."""

    total: int
    approve: int
    challenge: int
    review: int
    block: int
    highest_score: float | None
    first_seen: str | None
    last_seen: str | None


class KnownLabel(msgspec.Struct):
    """A known outcome of one transaction."""

    transaction_id: str
    fraud: bool
    kind: str
    source: str
    known_at: str


class KeyLabels(msgspec.Struct):
    """How many of the transactions are known to be fraud or good, and the newest of these."""

    fraud: int
    good: int
    newest: list[KnownLabel]


class LookedThrough(msgspec.Struct):
    """The decisions these counts cover: number, start, and whether they are all there are."""

    decisions: int
    since: str | None
    complete: bool


class RiskProfile(msgspec.Struct):
    """The risk profile of one key. features: current ones; null if no event of it is in state."""

    entity: str
    key: str
    detector: str
    as_of: str | None
    features: dict[str, Any] | None
    decisions: KeyDecisions
    labels: KeyLabels
    recent: list[Decision]
    counted: LookedThrough


class RiskProfiles:
    """Risk profiles, a few at a time."""

    def __init__(self, router: DetectorRouter) -> None:
        self._router = router
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def of(self, key: str, detector: str | None, entity: str | None, who: Actor) -> dict[str, Any]:
        """The profile of a key.

        Raises:
            RequestRefused: 404 nothing is known about it, 422 several detectors know it.
        """
        among = self._router.chosen(detector)
        async with self._room:
            found = [each for served in among if (each := await _known(served, entity, key, who)) is not None]
        if len(found) > 1:
            names = ", ".join(each["detector"] for each in found)
            raise RequestRefused(
                422, f"several detectors know this key ({names}); name one with ?detector=", [("detector", names)]
            )
        if not found:
            raise RequestRefused(404, f"nothing is known about {key[:200]!r}; {_sought(among, entity)}")
        return found[0]


def _entities(served: ServedDetector, entity: str | None) -> list[str]:
    """The entities of a detector that a user may be."""
    known = served.engine.pipeline.entities
    if entity is not None:
        return [entity] if entity in known else []
    return [name for place, name in enumerate(known) if place == 0 or name == USER]


def _sought(among: Sequence[ServedDetector], entity: str | None) -> str:
    each = [f"{name} of {served.name}" for served in among for name in _entities(served, entity)]
    return f"looked for as {', '.join(each)}" if each else "no detector has such an entity"


async def _known(served: ServedDetector, entity: str | None, given: str, who: Actor) -> dict[str, Any] | None:
    """The profile of a key, from the first of these entities that the detector has seen."""
    for name in _entities(served, entity):
        key = as_kept([served], name, given, who)
        state = _state(served, name, key)
        decided = await asyncio.to_thread(served.engine.history.of_key, name, key)
        if state is not None or decided["decisions"]["total"]:
            about = {"entity": name, "key": key, "detector": served.name}
            return {**about, "as_of": None, "features": None, **(state or {}), **decided}
    return None


def _state(served: ServedDetector, entity: str, key: str) -> dict[str, Any] | None:
    try:
        return served.engine.entity(entity, key)
    except (DeclarationError, MalformedEvent):
        return None


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("GET", "/users/{key:path}/risk-profile", Right.READ, answers=RiskProfile, refuses=(404,))
async def get_risk_profile(
    profiles: RiskProfiles,
    /,
    key: str,
    request: Request,
    detector: DetectorName = None,
    entity: Annotated[str | None, Query(max_length=200, description="Another entity than the detector's first.")] = None,
) -> dict[str, Any]:
    """The risk profile of a user, the first entity of the detector: features, decisions, labels."""
    return await profiles.of(key, detector, entity, actor_of(request))
