"""Compilation of an entity's linked aggregates into the flat tables that the kernel reads.

Features that ask the same (links, window, filter, event types) are answers to one question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.features.entity import Aggregate, Entity
from penstock.features.kernel import link_words as k
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


def linked_role(feature: Aggregate) -> str | None:
    """The role whose key a feature links: as declared, else the first."""
    roles = feature.entity.roles
    return feature.role or (roles[0] if roles else None)


def compile_links(features: Sequence[Aggregate], layout: Layout, stream: Stream) -> EntityLinks:
    """Compile the linked aggregates of one entity and role; their output columns are already in the layout."""
    return _Compiler(features, layout, stream).compile()


class _Compiler:
    def __init__(self, features: Sequence[Aggregate], layout: Layout, stream: Stream) -> None:
        self.features, self.layout, self.stream = features, layout, stream
        self.entity, self.role = features[0].entity, linked_role(features[0])
        asked = dict.fromkeys([self.role, *(feature.at or self.role for feature in features)])
        self.by_role = {role: column for column, role in enumerate(asked)}
        self.links: dict[tuple[object, ...], list[int]] = {}
        self.amounts: dict[tuple[int, str], list[int]] = {}
        self.fields = [row for role, column in self.by_role.items() for row in self._fields(self._key(role), column)]

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

    def _key(self, role: str | None) -> list[Column]:
        names = self.entity.keys[self.entity.roles.index(role) if role else 0]
        return [self.layout[name] for name in names]

    def _fields(self, columns: Sequence[Column], place: int) -> list[list[int]]:
        return [[place, column.type is Type.TEXT, column.index] for column in columns]

    def _link(self, feature: Aggregate, name: str) -> int:
        """The number of a link, which is made if it is new; its windows and amounts are those of all features that use it."""
        kinds = sum(1 << self.stream.kinds[of] for of in feature.of) or 1
        identity = (name, feature.where, kinds, feature.max_degree)
        number = list(self.links).index(identity) if identity in self.links else len(self.links)
        if number == len(self.links):
            column = len(self.by_role) + number
            self.fields += self._fields([self.layout[name]], column)
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
