"""The risk profile of a user: current features, decisions, known frauds."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response

from penstock.errors import DeclarationError, MalformedEvent
from penstock.identity.roles import Actor
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.openapi import answers
from penstock.service.http.problems import RequestRefused
from penstock.service.port import Serving
from penstock.service.records.decisions import DetectorName, json_response
from penstock.service.records.personal import actor_of, as_kept

USER = "user"
"""The default entity of the path, if the detector has one of this name and does not know the key otherwise."""

MOST_AT_ONCE = 2
"""Maximum of concurrent profiles; each reads tens of thousands of decisions."""


def add_routes(routes: FastAPI, desks: DetectorRouter) -> None:
    """Add the routes."""
    room = asyncio.Semaphore(MOST_AT_ONCE)

    @routes.get("/users/{key:path}/risk-profile", tags=["records"], responses=answers("RiskProfile", 404))
    async def risk_profile(
        key: str,
        request: Request,
        detector: DetectorName = None,
        entity: Annotated[str | None, Query(max_length=200, description="Another entity than the detector's first.")] = None,
    ) -> Response:
        """The risk profile of a user, the first entity of the detector: features, decisions, labels."""
        async with room:
            who = actor_of(request)
            found = [each for desk in desks.chosen(detector) if (each := await _known(desk, entity, key, who)) is not None]
        if len(found) > 1:
            names = ", ".join(each["detector"] for each in found)
            raise RequestRefused(
                422, f"several detectors know this key ({names}); name one with ?detector=", [("detector", names)]
            )
        if not found:
            raise RequestRefused(404, f"nothing is known about {key[:200]!r}; {_sought(desks.chosen(detector), entity)}")
        return json_response(msgspec.json.encode(found[0]))


def _entities(desk: Serving, entity: str | None) -> list[str]:
    """The entities of a detector that a user may be."""
    known = desk.engine.pipeline.entities
    if entity is not None:
        return [entity] if entity in known else []
    return [name for place, name in enumerate(known) if place == 0 or name == USER]


def _sought(among: Sequence[Serving], entity: str | None) -> str:
    each = [f"{name} of {desk.name}" for desk in among for name in _entities(desk, entity)]
    return f"looked for as {', '.join(each)}" if each else "no detector has such an entity"


async def _known(desk: Serving, entity: str | None, given: str, who: Actor) -> dict[str, Any] | None:
    """The profile of a key, from the first of these entities that the detector has seen."""
    for name in _entities(desk, entity):
        key = as_kept([desk], name, given, who)
        state = _state(desk, name, key)
        decided = await asyncio.to_thread(desk.engine.history.of_key, name, key)
        if state is not None or decided["decisions"]["total"]:
            about = {"entity": name, "key": key, "detector": desk.name}
            return {**about, "as_of": None, "features": None, **(state or {}), **decided}
    return None


def _state(desk: Serving, entity: str, key: str) -> dict[str, Any] | None:
    try:
        return desk.engine.entity(entity, key)
    except (DeclarationError, MalformedEvent):
        return None
