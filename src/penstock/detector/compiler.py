"""The detector compiler: turns a declaration into a plan, or raises an error that names the remedy."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from penstock.detector.plan import SCORE, Plan, Step, fingerprint, scope
from penstock.errors import DeclarationError, did_you_mean
from penstock.expressions import Expression, assemble, parse
from penstock.features import Aggregate, Derived, Entity
from penstock.features.link_plan import EntityLinks, EntityRingPlan, compile_links, compile_ring, linked_role
from penstock.features.lookups import Loaded, Lookup
from penstock.features.money import Conversion, Money
from penstock.features.plan import EntityPlan, Stream, compile_entity
from penstock.features.vocabulary import KINDS, LABELLED, LINKED, RANKED, RINGS, SCANNED
from penstock.messages import Column, Layout, Type
from penstock.rules import RuleSet

if TYPE_CHECKING:
    from penstock.detector.detector import Detector


class Compiler:
    """Puts every declared thing in its place on the path: before the kernel, in it, or after."""

    def __init__(self, detector: "Detector", inputs: Sequence[str] | None) -> None:
        self.detector = detector
        self.declared_inputs = inputs
        self.layout = Layout()
        for name, type_ in detector.schema.columns.items():
            self.layout.add(name, type_, detector.schema.max_characters.get(name, 0))
        self.prints = {name: f"field {type_.value}" for name, type_ in detector.schema.columns.items()}
        self.remembered: dict[str, list[Column]] = {}

    def compile(self) -> Plan:
        """The plan.

        Raises:
            DeclarationError: something declared cannot work.
        """
        self._check_names()
        aggregates = [f for f in self.detector.features if isinstance(f, Aggregate)]
        others = [f for f in self.detector.features if not isinstance(f, Aggregate)]
        before, waiting = self._settle(others)
        before += self._filters(aggregates)
        entities = self._aggregates(aggregates)
        links = self._links([feature for feature in aggregates if feature.kind in LINKED])
        after, waiting = self._settle(waiting)
        if waiting:
            self._refuse(waiting[0])
        inputs = self._inputs()
        score = self.layout.add(SCORE, Type.NUMBER) if self.detector.models and SCORE not in self.layout else None
        rules = RuleSet(self.detector.rules, self.layout, self._scope(), self.detector.lists, self.detector.schema.required)
        return Plan(
            layout=self.layout,
            before=before,
            entities=entities,
            after=after,
            features=tuple(f.name for f in self.detector.features),
            inputs=inputs,
            rules=rules,
            remembered=self.remembered,
            fingerprints=self.prints,
            links=links,
            score=score,
        )

    def _scope(self) -> dict[str, Type]:
        """The columns that expressions may read at this point, with their types."""
        return scope(self.layout)

    def _check_names(self) -> None:
        seen: set[str] = set()
        reserved = set(self.layout) | {self.detector.id}
        for feature in self.detector.features:
            place = f"detector {self.detector.name!r}: feature {feature.name!r}"
            if feature.name in seen:
                raise DeclarationError(f"{place} is declared twice; give one of them another name with .named(...)")
            if feature.name in reserved:
                raise DeclarationError(f"{place} has the name of an event field; give it another name")
            seen.add(feature.name)

    # ---- derived features, lookups and conversions

    def _settle(self, features: Sequence[Derived | Lookup | Money]) -> tuple[list[Step], list[Derived | Lookup | Money]]:
        """Compile all steps whose columns exist, until no more can be; returns the steps and the rest."""
        steps: list[Step] = []
        waiting = list(features)
        pending = {f.name for f in self.detector.features} - set(self.layout)
        while True:
            now = [f for f in waiting if not (words_of(f) & pending)]
            if not now:
                return steps, waiting
            items: list[tuple[Expression, str]] = []
            for feature in now:
                waiting.remove(feature)
                pending.discard(feature.name)
                if isinstance(feature, Derived):
                    items.append((self._derived(feature), feature.name))
                else:
                    steps += self._flush(items)
                    steps.append(self._load(feature))
            steps += self._flush(items)

    def _flush(self, items: list[tuple[Expression, str]]) -> list[Step]:
        """The program of the collected expressions, if any."""
        if not items:
            return []
        program = assemble(items, self.layout)
        items.clear()
        return [program]

    def _derived(self, feature: Derived) -> Expression:
        expression = parse(feature.sql, self._scope(), place=f"feature {feature.name!r}")
        self.layout.add(feature.name, expression.type, expression.max_characters(self.layout))
        reads = ",".join(f"{name}:{self.prints[name]}" for name in sorted(expression.names))
        self.prints[feature.name] = fingerprint(f"derive {expression.sql} [{reads}]")
        return expression

    def _load(self, feature: Lookup | Money) -> Loaded | Conversion:
        loaded = feature.load(self.detector.folder, self.layout)
        self.prints[feature.name] = fingerprint(f"{feature!r} {loaded.fingerprint}")
        return loaded

    def _refuse(self, feature: Derived | Lookup | Money) -> None:
        waits_for = sorted(words_of(feature) & ({f.name for f in self.detector.features} - set(self.layout)))
        raise DeclarationError(
            f"feature {feature.name!r} reads {', '.join(waits_for)}, which in turn reads it; "
            "break the circle by deriving one of them from fields"
        )

    # ---- aggregates

    def _filters(self, aggregates: Sequence[Aggregate]) -> list[Step]:
        items = []
        for feature in aggregates:
            if feature.where and f"where:{feature.where}" not in self.layout:
                expression = parse(feature.where, self._scope(), place=f"feature {feature.name!r}: where", expect=Type.BOOLEAN)
                self.layout.add(f"where:{feature.where}", Type.BOOLEAN)
                items.append((expression, f"where:{feature.where}"))
        return self._flush(items)

    def _aggregates(self, aggregates: Sequence[Aggregate]) -> list[EntityPlan]:
        groups: dict[tuple[object, ...], tuple[Entity, list[Aggregate]]] = {}
        for feature in aggregates:
            self._check_aggregate(feature)
        for feature in aggregates:
            type_ = self._type(feature)
            longest = self.layout[feature.field or ""].max_characters if type_ is Type.TEXT else 0
            column = self.layout.add(feature.name, type_, longest)
            self.prints[feature.name] = fingerprint(self._definition(feature))
            if column.type is Type.TEXT:
                self.remembered.setdefault(feature.field or "", []).append(column)
            if feature.kind not in LINKED:
                key = (feature.entity.fields, feature.entity.roles)
                groups.setdefault(key, (feature.entity, []))[1].append(feature)
        stream = self._stream()
        return [compile_entity(entity, features, self.layout, stream) for entity, features in groups.values()]

    def _links(self, linked: Sequence[Aggregate]) -> list[EntityLinks | EntityRingPlan]:
        """The plans of linked aggregates: one for each entity and role whose keys are linked, and one for each ring."""
        groups: dict[tuple[object, ...], list[Aggregate]] = {}
        for feature in linked:
            of_ring = (feature.links, feature.window_us, feature.where, feature.of, feature.max_degree)
            group = (feature.entity.fields, feature.entity.roles, linked_role(feature), feature.kind in RINGS and of_ring)
            groups.setdefault(group, []).append(feature)
        stream = self._stream()
        return [
            (compile_ring if features[0].kind in RINGS else compile_links)(features, self.layout, stream)
            for features in groups.values()
        ]

    def _stream(self) -> Stream:
        wheres = {name.removeprefix("where:"): column for name, column in self.layout.items() if name.startswith("where:")}
        return Stream(
            skew_us=self.detector.skew_us,
            lateness_us=self.detector.lateness_us,
            kinds=self.detector.schema.kinds,
            labels_kind=len(self.detector.schema.kinds),
            wheres=wheres,
            required=self.detector.schema.required,
            scales=self.detector.schema.scales,
        )

    def _type(self, feature: Aggregate) -> Type:
        return self.layout[feature.field].type if KINDS[feature.kind].gives_field and feature.field else Type.NUMBER

    def _definition(self, feature: Aggregate) -> str:
        parts: list[object] = [feature.kind, feature.field, feature.window_us, feature.delay_us, feature.where, feature.current]
        parts += [
            [of.__name__ for of in feature.of],
            feature.role,
            feature.at,
            feature.by,
            feature.entity.fields,
            feature.entity.roles,
        ]
        if feature.kind in LINKED:
            parts += [feature.links, feature.max_degree, [self.prints.get(link, "") for link in feature.links]]
        if feature.kind in SCANNED:
            parts += [feature.rank, feature.values_read]
        elif feature.kind in RANKED:
            parts += [feature.rank]
        return repr(parts) + self.prints.get(feature.field or "", "")

    def _check_aggregate(self, feature: Aggregate) -> None:
        place = f"feature {feature.name!r}"
        known = {name for name in self.layout if ":" not in name}
        for name in feature.entity.fields:
            if name not in self.layout:
                raise DeclarationError(
                    f"{place}: entity {feature.entity.name} needs the field {name!r}.{did_you_mean(name, known)}"
                )
        for of in feature.of:
            if of not in self.detector.schema.kinds:
                raise DeclarationError(
                    f"{place}: of={of.__name__} is not an event type of this detector; add it to informs=[...]"
                )
        labels = feature.kind in LABELLED
        if labels and self.detector.label is None:
            raise DeclarationError(f"{place}: counts labels, but the detector declares none; add label=Label(...)")
        for link in feature.links:
            if link not in self.layout:
                raise DeclarationError(f"{place}: there is no field {link!r} to link by.{did_you_mean(link, known)}")
        if feature.field is None:
            return
        numbers = [name for name in sorted(known) if self.layout[name].type is Type.NUMBER]
        if feature.field == self.detector.id:
            raise DeclarationError(
                f"{place}: {feature.field!r} is the id of an event, which is not aggregated; numbers are: {', '.join(numbers)}"
            )
        if feature.field not in self.layout:
            what = (
                "another aggregate; aggregates read fields, or features derived from fields"
                if self._is_feature(feature.field)
                else ""
            )
            hint = f" It is {what}." if what else did_you_mean(feature.field, known)
            raise DeclarationError(f"{place}: there is no field {feature.field!r} to aggregate.{hint}")
        computes = KINDS[feature.kind].field == "numbers"
        if computes and self.layout[feature.field].type not in (Type.NUMBER, Type.BOOLEAN):
            type_ = self.layout[feature.field].type.value
            raise DeclarationError(
                f"{place}: {feature.kind} needs numbers, but {feature.field} is a {type_}; use distinct, mode, last or first, "
                f"or a number: {', '.join(numbers)}"
            )
        self._check_currency(feature, place)

    def _check_currency(self, feature: Aggregate, place: str) -> None:
        """Sums over mixed currencies mean nothing."""
        moneys = [f for f in self.detector.features if isinstance(f, Money) and f.amount == feature.field]
        if moneys and KINDS[feature.kind].field == "numbers":
            raise DeclarationError(
                f"{place}: {feature.field} is in the currency that {moneys[0].currency} says, so a {feature.kind} would mix "
                f"currencies; aggregate {moneys[0].name!r}, which is converted to {moneys[0].to}"
            )

    def _is_feature(self, name: str) -> bool:
        return any(f.name == name for f in self.detector.features)

    # ---- models

    def _inputs(self) -> tuple[str, ...]:
        """The inputs of models: as declared, texts included; by default every number and boolean except keys, the time and
        personal fields.
        """
        types = self._scope()
        if self.declared_inputs is not None:
            for name in self.declared_inputs:
                if types.get(name) not in (Type.NUMBER, Type.BOOLEAN, Type.TEXT):
                    known = [n for n, t in types.items() if t is not Type.TIME]
                    place = f"detector {self.detector.name!r}: inputs"
                    raise DeclarationError(f"{place}: {name!r} is no number, boolean or text.{did_you_mean(name, known)}")
            return tuple(self.declared_inputs)
        keys = {name for f in self.detector.features if isinstance(f, Aggregate) for name in f.entity.fields}
        fields = {name for name in self.detector.schema.columns if name not in keys and name in self._main_fields()}
        return tuple(
            name
            for name, type_ in types.items()
            if type_ in (Type.NUMBER, Type.BOOLEAN) and (name in fields or name not in self.detector.schema.columns)
        )

    def _main_fields(self) -> set[str]:
        return {f.name for f in msgspec.structs.fields(self.detector.event)}


def words_of(feature: Derived | Lookup | Money) -> set[str]:
    """The words that may be names of columns in a feature's definition."""
    if isinstance(feature, Derived):
        return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", feature.sql))) - {feature.name}
    return set(feature.reads)
