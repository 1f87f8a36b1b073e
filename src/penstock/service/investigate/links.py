"""`GET /links/{entity}/{key}`: the link graph of a key, from the newest decisions; bounded."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np
from fastapi import Query, Request
from msgspec import Meta

from penstock.engine import Engine
from penstock.engine.recent_decisions import Chunk, RecentWindow, joined
from penstock.errors import DeclarationError, MalformedEvent
from penstock.identity.roles import Actor, Right
from penstock.messages import Action
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused, printable
from penstock.service.http.requests import DetectorName, actor_of
from penstock.service.http.route import Routes
from penstock.service.insights.insight_schemas import Count, Outcomes
from penstock.service.investigate.keys import Records, combinations, keys_of, known_among, looked_through, shown
from penstock.service.records.personal import Unmasking, as_kept
from penstock.service.records.profiles import LookedThrough

MOST, USUAL = 300, 40
"""Keys in a graph: maximum and default."""

MOST_ROWS = 5_000
"""Transactions searched for neighbours: the newest."""

Code = tuple[str, int]
"""An entity and the code of one of its keys."""


class LinkNode(msgspec.Struct):
    """A key."""

    id: Annotated[str, Meta(description="`ENTITY:KEY`, unique in the graph.")]
    entity: Annotated[str, Meta(description="What it is.")]
    key: Annotated[str, Meta(description="The key as it is kept.")]
    shown: Annotated[str, Meta(description="The key as the caller may see it.")]
    distance: Annotated[int, Meta(description="0: the key that was asked about; 1: shares a transaction with it; 2: with one "
                                              "of those.")]  # fmt: skip
    transactions: Annotated[Count, Meta(description="Of it, among those that were looked at.")]
    outcomes: Annotated[Outcomes, Meta(description="How these were decided.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]
    good: Annotated[Count, Meta(description="Of these, known to be good.")]
    lists: Annotated[list[str], Meta(description="Names of the lists that hold it now.")]


class LinkEdge(msgspec.Struct):
    """Two keys that occur in the same transactions."""

    source: Annotated[str, Meta(description="The id of one.")]
    target: Annotated[str, Meta(description="The id of the other.")]
    transactions: Annotated[Count, Meta(description="In how many.")]
    stopped: Annotated[Count, Meta(description="Of these, not approved.")]
    fraud: Annotated[Count, Meta(description="Of these, known to be fraud.")]


class LinkGraph(msgspec.Struct):
    """Keys that share transactions with a key, from recorded decisions; bounded."""

    detector: Annotated[str, Meta(description="Whose decisions.")]
    entity: Annotated[str, Meta(description="What the key in the middle is.")]
    key: Annotated[str, Meta(description="The key in the middle, as it is kept.")]
    nodes: Annotated[list[LinkNode], Meta(description="The key in the middle first, then by distance, the busiest first.")]
    edges: Annotated[list[LinkEdge], Meta(description="Between these, the busiest first.")]
    truncated: Annotated[bool, Meta(description="There are more keys than `limit`, or more transactions than were looked at.")]
    counted: Annotated[LookedThrough, Meta(description="Over which decisions was looked.")]


class _Graph:
    """The link graph of one key of one detector, for one actor."""

    def __init__(self, served: ServedDetector, engine: Engine, personal: Unmasking, actor: Actor) -> None:
        self._served, self._engine, self._personal, self._actor = served, engine, personal, actor
        self._records = Records(engine)
        self._combinations = combinations(engine)

    def around(self, entity: str, key: str, code: int, limit: int) -> LinkGraph | None:
        """The graph; None if there are no recent decisions about the key. Waits for the disk and the database."""
        window = self._engine.recent_decisions.window()
        centre = (entity, code)
        chosen, cut = {centre: 0}, False
        for distance in (1, 2):
            around, more = _newest(_about(window, [each for each in chosen if chosen[each] == distance - 1]))
            if distance == 1 and not len(around):
                return None
            ranked = _ranked(around, self._truth(around))
            others = [each for each in ranked if each not in chosen and each[0] not in self._combinations]
            room = limit - len(chosen)
            cut |= more or len(others) > room
            chosen |= dict.fromkeys(others[:room], distance)
        rows, more = _newest(_about(window, list(chosen)), most=4 * MOST_ROWS)
        truth = self._truth(rows)
        nodes = self._nodes(chosen, rows, truth)
        return LinkGraph(
            detector=self._served.name,
            entity=entity,
            key=key,
            nodes=nodes,
            edges=_edges({code: node.id for code, node in zip(chosen, nodes, strict=True)}, rows, truth),
            truncated=cut or more,
            counted=looked_through(window),
        )

    def _truth(self, rows: Chunk) -> dict[int, bool]:
        return self._engine.label_outcomes.of(rows.seqs.tolist())

    def _nodes(self, chosen: Mapping[Code, int], rows: Chunk, truth: Mapping[int, bool]) -> list[LinkNode]:
        now_us = self._engine.clock()
        listed = {name: members.at(now_us) for name, members in self._engine.detector.lists.items()}
        return [self._node(code, distance, rows, truth, listed) for code, distance in chosen.items()]

    def _node(
        self, code: Code, distance: int, rows: Chunk, truth: Mapping[int, bool], listed: Mapping[str, frozenset[str]]
    ) -> LinkNode:
        mine = np.flatnonzero((rows.keys[code[0]] == code[1]).any(axis=1))
        counts = np.bincount(rows.action[mine], minlength=len(Action))
        fraud, good = known_among(truth, rows.seqs[mine].tolist())
        named, said = self._named(code, rows.seqs[mine][::-1].tolist())
        return LinkNode(
            id=f"{code[0]}:{named}",
            entity=code[0],
            key=named,
            shown=said,
            distance=distance,
            transactions=len(mine),
            outcomes=Outcomes(**{action.name.lower(): int(counts[action.value]) for action in Action}),
            fraud=fraud,
            good=good,
            lists=sorted(name for name, values in listed.items() if named in values),
        )

    def _named(self, code: Code, seqs: Sequence[int]) -> tuple[str, str]:
        """A key as stored and as displayed, from its newest transaction in the log."""
        for seq in seqs:
            found = self._records.row(seq)
            if found is None:
                continue
            key = next((each for each in keys_of(self._engine, *found) if (each.entity, each.code) == code), None)
            if key is not None:
                hidden = self._engine.personal.fields
                if not any(name in hidden for name in key.fields):
                    return key.key, key.key
                said = self._personal.of(self._served, found[0].ids[found[1]], self._actor)
                return key.key, shown(key, {} if said is None else said["fields"])
        return str(code[1]), str(code[1])


def _about(window: RecentWindow, codes: Sequence[Code]) -> Chunk:
    """Decisions about any of these keys, oldest first."""
    by_entity: dict[str, list[int]] = {}
    for entity, code in codes:
        by_entity.setdefault(entity, []).append(code)
    whole = joined([window.about(entity, some) for entity, some in by_entity.items()])
    _, first = np.unique(whole.seqs, return_index=True)
    return whole.take(first)


def _newest(rows: Chunk, most: int = MOST_ROWS) -> tuple[Chunk, bool]:
    return rows.take(slice(max(len(rows) - most, 0), None)), len(rows) > most


def _ranked(rows: Chunk, truth: Mapping[int, bool]) -> list[Code]:
    """The keys of some decisions: by known frauds, then by stopped transactions, then by number of transactions."""
    fraud = np.array([truth.get(seq, False) for seq in rows.seqs.tolist()], np.int64)
    stopped = (rows.action != Action.APPROVE.value).astype(np.int64)
    found: dict[Code, tuple[int, int, int]] = {}
    for entity, codes in rows.keys.items():
        values, places = np.unique(codes.ravel(), return_inverse=True)
        of_rows = np.repeat(np.arange(len(rows)), codes.shape[1])
        pairs = np.unique(np.stack([places.ravel(), of_rows]), axis=1)  # a key in two roles of a transaction counts once
        weights = (fraud, stopped, np.ones(len(rows), np.int64))
        sums = [np.bincount(pairs[0], weights=each[pairs[1]], minlength=len(values)).astype(int).tolist() for each in weights]
        for place, value in enumerate(values.tolist()):
            if value:
                found[entity, value] = (sums[0][place], sums[1][place], sums[2][place])
    return sorted(found, key=lambda code: (*(-n for n in found[code]), code))


def _edges(ids: Mapping[Code, str], rows: Chunk, truth: Mapping[int, bool]) -> list[LinkEdge]:
    """Pairs of these keys that share transactions, most frequent first."""
    columns = [(entity, codes[:, role]) for entity, codes in rows.keys.items() for role in range(codes.shape[1])]
    known = {code: place for place, code in enumerate(ids)}
    each_row: list[set[int]] = [set() for _ in range(len(rows))]
    for entity, codes in columns:
        for row, code in enumerate(codes.tolist()):
            place = known.get((entity, code))
            if place is not None:
                each_row[row].add(place)
    transactions: Counter[tuple[int, int]] = Counter()
    stopped: Counter[tuple[int, int]] = Counter()
    fraud: Counter[tuple[int, int]] = Counter()
    actions, seqs = rows.action.tolist(), rows.seqs.tolist()
    for row, places in enumerate(each_row):
        ordered = sorted(places)
        pairs = [(a, b) for k, a in enumerate(ordered) for b in ordered[k + 1 :]]
        transactions.update(pairs)
        if actions[row] != Action.APPROVE.value:
            stopped.update(pairs)
        if truth.get(seqs[row]):
            fraud.update(pairs)
    named = list(ids.values())
    return [LinkEdge(named[a], named[b], count, stopped[a, b], fraud[a, b]) for (a, b), count in transactions.most_common()]


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("GET", "/links/{entity}/{key:path}", Right.READ, refuses=(404,))
async def get_links(
    router: DetectorRouter,
    personal: Unmasking,
    /,
    entity: str,
    key: str,
    request: Request,
    *,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Keys in the graph, at most.")] = USUAL,
    detector: DetectorName = None,
) -> LinkGraph:
    """The keys that share transactions with a key: how often, and their known outcomes."""
    actor = actor_of(request)
    for served in router.chosen(detector):
        engine = served.engine
        if entity not in engine.pipeline.entities:
            continue
        kept = as_kept([served], entity, printable(key), actor)
        try:
            code = engine.recent_decisions.code_of(entity, kept)
        except MalformedEvent:
            continue
        graph = await asyncio.to_thread(_Graph(served, engine, personal, actor).around, entity, kept, code, limit)
        if graph is not None:
            return graph
    known = sorted({name for served in router.chosen(detector) for name in served.engine.pipeline.entities})
    if entity not in known:
        raise DeclarationError(f"no detector has an entity {entity[:200]!r}; there are {', '.join(known) or 'none'}")
    raise RequestRefused(404, f"no recent decision is about {entity[:200]} {key[:200]!r}")
