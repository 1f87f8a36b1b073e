"""The ring of a key: the keys that it is linked with through what few share, from the newest decisions; bounded.

Keys of the entity in question are the *members*; keys of other entities are what members *share*. From a member the walk goes
to everything in its transactions, from what is shared to its members. What more than `max_degree` members share is a *hub*:
it is part of the ring, and the walk ends there, since the ip of a café incriminates nobody. The key in the middle is always
followed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from penstock.codes import NULL
from penstock.engine.recent_decisions import DecisionChunk
from penstock.messages import Action

STEPS = 6
"""How far the walk goes: from a member over three shared keys."""

MOST_ROWS, MOST_ROWS_OF_STEP = 20_000, 5_000
"""Transactions of a ring, and those searched in one step: the newest."""

Key = tuple[str, int]
"""An entity and the code of one of its keys."""

Outcome = Literal["known_fraud", "blocked", "reviewed", "legitimate", "undecided"]
OUTCOMES: tuple[Outcome, ...] = ("known_fraud", "blocked", "reviewed", "legitimate", "undecided")
"""What became of a transaction, the gravest first: its label, else its decision."""

_DECIDED: Mapping[Action, Outcome] = {
    Action.APPROVE: "undecided",
    Action.CHALLENGE: "reviewed",
    Action.REVIEW: "reviewed",
    Action.BLOCK: "blocked",
}

Truth = Callable[[Sequence[int]], Mapping[int, bool]]
"""Which decisions, by sequence number, are known now: whether they are fraud."""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """A key of a ring. outcomes: its transactions by place in `OUTCOMES`; actions: by decision; newest: the last one."""

    distance: int
    shared_by: int
    hub: bool
    actions: tuple[int, ...]
    outcomes: tuple[int, ...]
    newest: int

    @property
    def transactions(self) -> int:
        """How many, among those of the ring."""
        return sum(self.actions)

    @property
    def outcome(self) -> Outcome:
        """The gravest of its transactions."""
        return next((name for name, count in zip(OUTCOMES, self.outcomes, strict=True) if count), "undecided")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys in order of distance; pairs of a member and what it shares, with their transactions by outcome.

    truncated: there are more keys than the limit, more steps, or more transactions than were searched.
    """

    keys: dict[Key, KeyFigures]
    edges: dict[tuple[Key, Key], tuple[int, ...]]
    truncated: bool


def ring_of(centre: Key, rows: DecisionChunk, over: Sequence[str], truth: Truth, *, max_degree: int, limit: int) -> KeyRing:
    """The ring of a key in these decisions, the oldest first.

    over: entities whose keys are followed when they are shared. limit: maximum number of keys, with hubs.
    """
    walk = _Walk(rows, centre[0], over, truth)
    chosen, hubs, degrees = {centre: 0}, set[Key](), walk.degrees([centre])
    frontier, truncated = [centre], False
    for distance in range(1, STEPS + 2):
        found, more = walk.neighbours(frontier)
        beyond = [key for key in found if key not in chosen]
        room = limit - len(chosen) if distance <= STEPS else 0
        truncated |= more or len(beyond) > room
        level = beyond[:room]
        chosen |= dict.fromkeys(level, distance)
        degrees |= walk.degrees(level)
        hubs |= {key for key in level if degrees[key] > max_degree}
        frontier = [key for key in level if key not in hubs]
        if not frontier:
            break
    of_ring, more = _newest(walk.about([key for key in chosen if key not in hubs]), MOST_ROWS)
    inside = _Walk(rows.take(of_ring), centre[0], over, truth)
    return KeyRing(inside.figures(chosen, degrees, hubs), inside.edges(chosen), truncated or more)


class _Walk:
    """Decisions, searched by key. member: the entity of the ring."""

    def __init__(self, rows: DecisionChunk, member: str, over: Sequence[str], truth: Truth) -> None:
        self._rows, self._member, self._truth = rows, member, truth
        self._sorted: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for entity in dict.fromkeys((member, *over)):
            if entity in rows.keys:
                codes = rows.keys[entity]
                order = np.argsort(codes, axis=None)
                self._sorted[entity] = codes.ravel()[order], order // codes.shape[1]

    def _of(self, entity: str, codes: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places in `codes` with the rows about them, each pair once."""
        found, rows = self._sorted[entity]
        low = np.searchsorted(found, np.asarray(codes, np.int64), "left")
        sizes = np.searchsorted(found, np.asarray(codes, np.int64), "right") - low
        at = np.arange(sizes.sum()) + np.repeat(low - np.cumsum(sizes) + sizes, sizes)
        return _pairs(np.repeat(np.arange(len(codes)), sizes), rows[at])

    def about(self, keys: Sequence[Key]) -> NDArray[np.int64]:
        """The rows about any of these keys, in order."""
        found = [self._of(entity, [code for _, code in some])[1] for entity, some in groupby(sorted(keys), lambda key: key[0])]
        return np.unique(np.concatenate(found))

    def neighbours(self, frontier: Sequence[Key]) -> tuple[list[Key], bool]:
        """Where the walk goes from here: by known frauds, then by stopped transactions, then by all; whether there are more."""
        members = [key for key in frontier if key[0] == self._member]
        shared = [key for key in frontier if key[0] != self._member]
        found: dict[Key, None] = {}
        cut = False
        for keys, entities in ((members, list(self._sorted)), (shared, [self._member])):
            if keys:
                rows, more = _newest(self.about(keys), MOST_ROWS_OF_STEP)
                found |= dict.fromkeys(self._ranked(self._rows.take(rows), entities))
                cut |= more
        return list(found), cut

    def _ranked(self, rows: DecisionChunk, entities: Sequence[str]) -> list[Key]:
        outcomes = _outcomes(rows, self._truth)
        ranks: dict[Key, tuple[int, ...]] = {}
        for entity in entities:
            values, places = np.unique(rows.keys[entity], return_inverse=True)
            places, of_row = _pairs(places.ravel(), np.repeat(np.arange(len(rows)), rows.keys[entity].shape[1]))
            counts = _table(places, outcomes[of_row], len(values), len(OUTCOMES))
            for value, (fraud, blocked, reviewed, *others) in zip(values.tolist(), counts.tolist(), strict=True):
                if value != NULL:
                    ranks[entity, value] = (-fraud, -blocked - reviewed, -sum(others))
        return sorted(ranks, key=lambda key: (ranks[key], key))

    def degrees(self, keys: Sequence[Key]) -> dict[Key, int]:
        """With how many other members each of these keys shares transactions."""
        found: dict[Key, int] = {}
        for entity, some in groupby(sorted(keys), lambda key: key[0]):
            codes = [code for _, code in some]
            places, at = self._of(entity, codes)
            members = self._rows.keys[self._member][at]
            places, others = _pairs(np.repeat(places, members.shape[1]), members.ravel())
            counts = others != NULL
            if entity == self._member:
                counts &= others != np.asarray(codes, np.int64)[places]
            shared_by = np.bincount(places[counts], minlength=len(codes)).tolist()
            found |= {(entity, code): shared_by[place] for place, code in enumerate(codes)}
        return found

    def figures(self, chosen: Mapping[Key, int], degrees: Mapping[Key, int], hubs: set[Key]) -> dict[Key, KeyFigures]:
        """What these decisions say about each chosen key."""
        outcomes = _outcomes(self._rows, self._truth)
        found: dict[Key, KeyFigures] = {}
        for entity, some in groupby(sorted(chosen), lambda key: key[0]):
            codes = [code for _, code in some]
            places, at = self._of(entity, codes)
            actions = _table(places, self._rows.action[at], len(codes), len(Action)).tolist()
            became = _table(places, outcomes[at], len(codes), len(OUTCOMES)).tolist()
            newest = np.full(len(codes), -1)
            np.maximum.at(newest, places, self._rows.seqs[at])
            for place, key in enumerate((entity, code) for code in codes):
                numbers = tuple(actions[place]), tuple(became[place])
                found[key] = KeyFigures(chosen[key], degrees[key], key in hubs, *numbers, int(newest[place]))
        return {key: found[key] for key in chosen}

    def edges(self, chosen: Mapping[Key, int]) -> dict[tuple[Key, Key], tuple[int, ...]]:
        """Pairs of a member and another chosen key in the same transactions, with these by outcome."""
        keys = list(chosen)
        ends = {entity: self._ends(entity, keys) for entity in self._sorted}
        rows = np.arange(len(self._rows))
        pairs, at = [np.empty(0, np.int64)], [rows[:0]]
        for mine in ends[self._member].T:
            for other in (column for columns in ends.values() for column in columns.T):
                both = (mine >= 0) & (other >= 0) & (mine != other)
                pairs.append(np.minimum(mine, other)[both] * len(keys) + np.maximum(mine, other)[both])
                at.append(rows[both])
        edge, of_row = _pairs(np.concatenate(pairs), np.concatenate(at))
        values, places = np.unique(edge, return_inverse=True)
        counts = _table(places, _outcomes(self._rows, self._truth)[of_row], len(values), len(OUTCOMES)).tolist()
        return {
            (keys[value // len(keys)], keys[value % len(keys)]): tuple(count)
            for value, count in zip(values.tolist(), counts, strict=True)
        }

    def _ends(self, entity: str, keys: Sequence[Key]) -> NDArray[np.int64]:
        """Of each row and role the place of its key in `keys`, -1 where it is not there."""
        mine = sorted((code, place) for place, (name, code) in enumerate(keys) if name == entity)
        codes, places = np.array([(NULL, -1), *mine], np.int64).T
        order = np.argsort(codes)
        at = np.minimum(np.searchsorted(codes[order], self._rows.keys[entity]), len(codes) - 1)
        return np.where(codes[order][at] == self._rows.keys[entity], places[order][at], -1)


def _outcomes(rows: DecisionChunk, truth: Truth) -> NDArray[np.int64]:
    """The place in `OUTCOMES` of each decision."""
    found = np.array([OUTCOMES.index(_DECIDED[action]) for action in Action])[rows.action]
    known = truth(rows.seqs.tolist())
    if known:
        seqs, labels = np.array(list(known), np.int64), np.array([not fraud for fraud in known.values()])
        found[np.searchsorted(rows.seqs, seqs)] = labels * OUTCOMES.index("legitimate")
    return found


def _table(lines: NDArray[np.int64], columns: NDArray[np.integer], height: int, width: int) -> NDArray[np.int64]:
    """How often each line meets each column."""
    return np.bincount(lines * width + columns, minlength=height * width).reshape(height, width)


def _pairs(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs in order, each once."""
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    first = np.ones(len(one), np.bool_)
    first[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return one[first], other[first]


def _newest(rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], bool]:
    return rows[max(len(rows) - most, 0) :], len(rows) > most
