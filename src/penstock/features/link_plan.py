"""Compilation of an entity's linked aggregates into the flat tables that the kernel reads.

Features that ask the same (links, window, filter, event types) are answers to one question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.features.entity import Aggregate, Entity
from penstock.features.kernel import link_words as k
from penstock.features.kernel.components import words as c
from penstock.features.plan import DEFAULT_SCALE, Stream
from penstock.features.vocabulary import KINDS
from penstock.messages import Column, Layout, Type


@dataclass(slots=True)
class EntityLinks:
    """The kernel plan of an entity's links.

    role: whose key is linked; None where the entity has no roles. by_role: the column of codes with the key of each role that
    is asked about. labelled: whether known frauds are counted.
    """

    entity: Entity
    role: str | None
    by_role: Mapping[str | None, int]
    plan: k.LinkPlan
    labelled: bool


@dataclass(slots=True)
class EntityRingPlan:
    """The kernel plan of one kind of ring of an entity's keys; the rest as of `EntityLinks`."""

    entity: Entity
    role: str | None
    by_role: Mapping[str | None, int]
    plan: c.RingPlan
    labelled: bool


def linked_role(feature: Aggregate) -> str | None:
    """The role whose key a feature links: as declared, else the first."""
    roles = feature.entity.roles
    return feature.role or (roles[0] if roles else None)


def compile_links(features: Sequence[Aggregate], layout: Layout, stream: Stream) -> EntityLinks:
    """Compile the linked aggregates of one entity and role; their output columns are already in the layout."""
    return _LinkCompiler(features, layout, stream).compile()


def compile_ring(features: Sequence[Aggregate], layout: Layout, stream: Stream) -> EntityRingPlan:
    """Compile the features of one ring of an entity and role; their output columns are already in the layout."""
    first, role = features[0], linked_role(features[0])
    asked = dict.fromkeys([role, *(feature.at or role for feature in features)])
    by_role = {name: column for column, name in enumerate(asked)}
    fields = [row for name, column in by_role.items() for row in _fields(_key(first.entity, name, layout), column)]
    values = [len(by_role) + number for number in range(len(first.links))]
    fields += [row for name, column in zip(first.links, values, strict=True) for row in _fields([layout[name]], column)]
    questions = [
        [
            by_role[feature.at or role],
            int(feature.current and by_role[feature.at or role] == 0),
            KINDS[feature.kind].op,
            layout[feature.name].index,
            feature.delay_us,
            feature.links.index(feature.field) if feature.field else -1,
        ]
        for feature in features
    ]
    plan = c.RingPlan(
        lateness=stream.lateness_us,
        window=first.window_us,
        degree=first.max_degree,
        where=stream.wheres[first.where].index if first.where else -1,
        kinds=sum(1 << stream.kinds[of] for of in first.of) or 1,
        values=np.array(values, np.int64),
        fields=np.array(fields, np.int64),
        questions=_table(questions, c.QUESTION_WIDTH),
    )
    labelled = any(feature.kind == "ring_frauds" for feature in features)
    return EntityRingPlan(first.entity, role, by_role, plan, labelled)


def _key(entity: Entity, role: str | None, layout: Layout) -> list[Column]:
    return [layout[name] for name in entity.keys[entity.roles.index(role) if role else 0]]


def _fields(columns: Sequence[Column], place: int) -> list[list[int]]:
    return [[place, column.type is Type.TEXT, column.index] for column in columns]


class _LinkCompiler:
    def __init__(self, features: Sequence[Aggregate], layout: Layout, stream: Stream) -> None:
        self.features, self.layout, self.stream = features, layout, stream
        self.entity, self.role = features[0].entity, linked_role(features[0])
        asked = dict.fromkeys([self.role, *(feature.at or self.role for feature in features)])
        self.by_role = {role: column for column, role in enumerate(asked)}
        self.links: dict[tuple[object, ...], list[int]] = {}
        self.amounts: dict[tuple[int, str], list[int]] = {}
        self.fields = [row for role, column in self.by_role.items() for row in _fields(_key(self.entity, role, layout), column)]

    def compile(self) -> EntityLinks:
        questions: dict[tuple[int, ...], list[list[int]]] = {}
        for feature in self.features:
            links = [self._link(feature, name) for name in feature.links]
            mask = sum(1 << link for link in links)
            at = self.by_role[feature.at or self.role]
            current = int(at == 0 and feature.current)
            questions.setdefault((at, feature.window_us, current, mask), []).append(self._answer(feature, links[0]))
        rows: list[list[int]] = []
        answers: list[list[int]] = []
        for asked, answered in questions.items():
            rows.append([*asked, len(answers), len(answers) + len(answered)])
            answers += answered
        plan = k.LinkPlan(
            lateness=self.stream.lateness_us,
            skew=self.stream.skew_us,
            fields=np.array(self.fields, np.int64),
            links=_table(list(self.links.values()), k.LINK),
            amounts=_table(list(self.amounts.values()), k.AMOUNT),
            scales=np.array([self.stream.scales.get(field, DEFAULT_SCALE) for _, field in self.amounts], np.float64),
            questions=_table(rows, k.QUESTION_WIDTH),
            answers=_table(answers, k.ANSWER),
        )
        labelled = any(row[k.A_OP] in (k.FRAUDS, k.FRAUD_SHARE) for row in answers)
        return EntityLinks(self.entity, self.role, self.by_role, plan, labelled)

    def _link(self, feature: Aggregate, name: str) -> int:
        """The number of a link, which is made if it is new; its windows and amounts are those of all features that use it."""
        kinds = sum(1 << self.stream.kinds[of] for of in feature.of) or 1
        identity = (name, feature.where, kinds, feature.max_degree)
        number = list(self.links).index(identity) if identity in self.links else len(self.links)
        if number == len(self.links):
            column = len(self.by_role) + number
            self.fields += _fields([self.layout[name]], column)
            where = self.stream.wheres[feature.where].index if feature.where else -1
            self.links[identity] = [column, where, kinds, feature.max_degree, 0, 1, self.stream.lateness_us]
        row = self.links[identity]
        row[k.K_WINDOW] = max(row[k.K_WINDOW], feature.window_us)
        if feature.field is not None and (number, feature.field) not in self.amounts:
            word = 1 + sum(link == number for link, _ in self.amounts)
            self.amounts[number, feature.field] = [number, self.layout[feature.field].index, word]
            row[k.K_WIDTH] = 1 << word.bit_length()
        if any(link == number for link, _ in self.amounts):
            row[k.K_REACH] = self.stream.lateness_us + row[k.K_WINDOW]
        return number

    def _answer(self, feature: Aggregate, link: int) -> list[int]:
        amount = list(self.amounts).index((link, feature.field)) if feature.field is not None else -1
        return [KINDS[feature.kind].op, self.layout[feature.name].index, feature.delay_us, amount]


def _table(rows: Sequence[Sequence[int]], width: int) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(len(rows), width)
