"""`GET /entities/{entity}/{key}/ring`: the keys that are linked with a key, from the newest decisions; bounded."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import msgspec
import numpy as np
from fastapi import Query, Request
from msgspec import Meta

from penstock.cases.queues import undecided_about
from penstock.cases.store import Cases
from penstock.clock import duration_us, iso
from penstock.engine import Engine
from penstock.engine.keys.ring import OUTCOMES, Key, KeyFigures, KeyRing, Outcome, ring_of
from penstock.engine.recent_decisions import joined
from penstock.errors import DeclarationError, MalformedEvent, did_you_mean
from penstock.identity.roles import Actor, Right
from penstock.messages import Action
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused, printable
from penstock.service.http.requests import DetectorName, actor_of
from penstock.service.http.route import Routes
from penstock.service.insights.insight_schemas import Count, Outcomes
from penstock.service.investigate.keys import Records, combinations, keys_of, looked_through, shown
from penstock.service.records.personal import Unmasking, as_kept
from penstock.service.records.profiles import LookedThrough

MOST, USUAL = 300, 40
"""Keys in a ring: maximum and default."""

MAX_DEGREE = 20
"""The default number of members above which what they share is a hub."""


class RingKey(msgspec.Struct):
    """A key of a ring."""

    id: Annotated[str, Meta(description="`ENTITY:KEY`, unique in the ring.")]
    entity: Annotated[str, Meta(description="What it is.")]
    key: Annotated[str, Meta(description="The key as it is kept.")]
    shown: Annotated[str, Meta(description="The key as the caller may see it.")]
    member: Annotated[bool, Meta(description="It is of the entity that was asked about; otherwise members share it.")]
    distance: Annotated[int, Meta(description="0: the key that was asked about; 1: shares a transaction with it; and so on.")]
    outcome: Annotated[Outcome, Meta(description="The gravest of its transactions: their labels, else their decisions.")]
    shared_by: Annotated[Count, Meta(description="Other members with which it shares transactions.")]
    hub: Annotated[bool, Meta(description="More than `max_degree` members share it: it is not followed.")]
    note: Annotated[str | None, Meta(description="Of a hub, by how many it is shared.")]
    transactions: Annotated[Count, Meta(description="Of it, among those of the ring.")]
    outcomes: Annotated[Outcomes, Meta(description="How these were decided.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]
    good: Annotated[Count, Meta(description="Of these, known to be good.")]
    lists: Annotated[list[str], Meta(description="Names of the lists that hold it now.")]


class RingEdge(msgspec.Struct):
    """A member and what occurs in the same transactions."""

    source: Annotated[str, Meta(description="The id of one.")]
    target: Annotated[str, Meta(description="The id of the other.")]
    transactions: Annotated[Count, Meta(description="In how many.")]
    outcome: Annotated[Outcome, Meta(description="The gravest of these.")]


class EntityRing(msgspec.Struct):
    """The keys that are linked with a key through what few share, from recorded decisions; bounded."""

    detector: Annotated[str, Meta(description="Whose decisions.")]
    entity: Annotated[str, Meta(description="What the members are.")]
    key: Annotated[str, Meta(description="The key that was asked about, as it is kept.")]
    since: Annotated[
        str | None,
        Meta(
            description="Transactions count from this event time, `window` before the key's newest one; null where it has none."
        ),
    ]
    over: Annotated[list[str], Meta(description="Entities whose keys members may share.")]
    nodes: Annotated[
        list[RingKey],
        Meta(description="The key that was asked about, then by distance, gravest first. Empty without recent decisions."),
    ]
    edges: Annotated[list[RingEdge], Meta(description="Between these, the busiest first.")]
    undecided_cases: Annotated[list[str], Meta(description="Ids of undecided cases about members, at most 1,000.")]
    truncated: Annotated[bool, Meta(description="There are more keys than `limit`, or more transactions than were searched.")]
    counted: Annotated[LookedThrough, Meta(description="Over which decisions was looked.")]


class _Rings:
    """Rings of one detector, for one actor."""

    def __init__(self, served: ServedDetector, personal: Unmasking, actor: Actor, cases: Cases | None) -> None:
        self._served, self._engine, self._personal, self._actor = served, served.engine, personal, actor
        self._cases, self._records = cases, Records(served.engine)

    def around(self, key: Key, kept: str, over: list[str] | None, *, window_us: int, max_degree: int, limit: int) -> EntityRing:
        """The ring of a key; without keys if no recent decision is about it. Waits for the disk and the database."""
        engine, entity = self._engine, key[0]
        window, followed = engine.recent_decisions.window(), _followed(engine, entity, over)
        counted = looked_through(window)
        mine = window.about(entity, [key[1]])
        if not len(mine):
            return EntityRing(self._served.name, entity, kept, None, followed, [], [], [], truncated=False, counted=counted)
        since_us = max(int(mine.time_us.max()) - window_us, 0)
        rows = joined(window.chunks)
        within, truth = rows.take(np.flatnonzero(rows.time_us >= since_us)), engine.label_outcomes.of
        ring = ring_of(key, within, followed, truth, max_degree=max_degree, limit=limit)
        nodes = self._nodes(ring)
        members = [node.key for node in nodes if node.member and not node.hub]
        return EntityRing(
            detector=self._served.name,
            entity=entity,
            key=kept,
            since=iso(since_us),
            over=followed,
            nodes=nodes,
            edges=_edges(ring, {each: node.id for each, node in zip(ring.keys, nodes, strict=True)}),
            undecided_cases=[] if self._cases is None else undecided_about(self._cases, self._served.name, entity, members),
            truncated=ring.truncated,
            counted=counted,
        )

    def _nodes(self, ring: KeyRing) -> list[RingKey]:
        now_us = self._engine.clock()
        listed = {name: members.at(now_us) for name, members in self._engine.detector.lists.items()}
        named = self._named(ring.keys)
        member = next(iter(ring.keys))[0]
        return [_node(key, figures, *named[key], member, listed) for key, figures in ring.keys.items()]

    def _named(self, keys: Mapping[Key, KeyFigures]) -> dict[Key, tuple[str, str]]:
        """Keys as stored and as displayed, from their newest transactions in the log: each names the others in it, too."""
        found: dict[Key, tuple[str, str]] = {}
        hidden, codes = self._engine.personal.fields, {code for _, code in keys}
        for key in sorted(keys, key=lambda key: -keys[key].newest):
            row = None if key in found else self._records.row(keys[key].newest)
            if row is None:
                continue
            every = keys_of(self._engine, *row)
            masked = any(name in hidden for each in every for name in each.fields)
            said = self._personal.of(self._served, row[0].ids[row[1]], self._actor) if masked else None
            fields = {} if said is None else said["fields"]
            found |= {(each.entity, each.code): (each.key, shown(each, fields)) for each in every if each.code in codes}
        return {key: found.get(key, (str(key[1]), str(key[1]))) for key in keys}


def _node(key: Key, figures: KeyFigures, kept: str, said: str, member: str, listed: Mapping[str, frozenset[str]]) -> RingKey:
    became = dict(zip(OUTCOMES, figures.outcomes, strict=True))
    return RingKey(
        id=f"{key[0]}:{kept}",
        entity=key[0],
        key=kept,
        shown=said,
        member=key[0] == member,
        distance=figures.distance,
        outcome=figures.outcome,
        shared_by=figures.shared_by,
        hub=figures.hub,
        note=f"shared by {figures.shared_by:,} keys of {member}: not followed" if figures.hub else None,
        transactions=figures.transactions,
        outcomes=Outcomes(**{action.name.lower(): figures.actions[action.value] for action in Action}),
        fraud=became["known_fraud"],
        good=became["legitimate"],
        lists=sorted(name for name, values in listed.items() if kept in values),
    )


def _edges(ring: KeyRing, ids: Mapping[Key, str]) -> list[RingEdge]:
    by_count = sorted(ring.edges.items(), key=lambda edge: (-sum(edge[1]), edge[0]))
    return [
        RingEdge(ids[a], ids[b], sum(became), next(name for name, count in zip(OUTCOMES, became, strict=True) if count))
        for (a, b), became in by_count
    ]


def _duration_us(window: str) -> int:
    """A window in microseconds.

    Raises:
        RequestRefused: 422, it is not understood.
    """
    try:
        return duration_us(window, what="window")
    except DeclarationError as error:
        raise RequestRefused(422, str(error), [("window", str(error))]) from None


def _followed(engine: Engine, entity: str, over: list[str] | None) -> list[str]:
    """The entities whose keys may be shared: those that were named, or all but the ones that combine another with something.

    Raises:
        RequestRefused: 422, the detector has no such entity.
    """
    names = list(engine.pipeline.entities)
    for name in over or ():
        if name not in names:
            message = f"{name[:200]!r} is no entity of this detector.{did_you_mean(name, names)}"
            raise RequestRefused(422, f"over: {message}", [("over", message)])
    combined = combinations(engine)
    return sorted(set(over or (name for name in names if name not in combined)) - {entity})


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("GET", "/entities/{entity}/{key:path}/ring", Right.READ, refuses=(404,))
async def get_ring(
    router: DetectorRouter,
    cases: Cases | None,
    personal: Unmasking,
    /,
    entity: str,
    key: str,
    request: Request,
    *,
    window: Annotated[str, Query(max_length=20, description="How far back from the key's newest transaction.")] = "30d",
    over: Annotated[list[str] | None, Query(description="Entities whose keys may be shared; all unless given.")] = None,
    max_degree: Annotated[int, Query(ge=1, le=1000, description="What more members share is a hub.")] = MAX_DEGREE,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Keys in the ring, at most.")] = USUAL,
    detector: DetectorName = None,
) -> EntityRing:
    """The keys that are linked with a key through what few share: their outcomes, and hubs that are not followed."""
    actor, window_us, empty = actor_of(request), _duration_us(window), None
    for served in router.chosen(detector):
        engine = served.engine
        if entity not in engine.pipeline.entities:
            continue
        kept = as_kept([served], entity, printable(key), actor)
        try:
            code = engine.recent_decisions.code_of(entity, kept)
        except MalformedEvent:
            continue
        rings = _Rings(served, personal, actor, cases)
        bounds = {"window_us": window_us, "max_degree": max_degree, "limit": limit}
        ring = await asyncio.to_thread(rings.around, (entity, code), kept, over, **bounds)
        if ring.nodes:
            return ring
        empty = empty or ring
    if empty is not None:
        return empty
    known = sorted({name for served in router.chosen(detector) for name in served.engine.pipeline.entities})
    if entity not in known:
        raise DeclarationError(f"no detector has an entity {entity[:200]!r}; there are {', '.join(known) or 'none'}")
    raise RequestRefused(404, f"{key[:200]!r} cannot be a key of {entity[:200]}")
