"""A detector: one fraud problem, declared once and compiled when it is declared.

`Detector(...)` checks everything it is given and raises a `DeclarationError` that names the place and the remedy, so a
detector that exists can run. `plan` is the compiled form that the engine, replay and Spark execute.
"""

import hashlib
import inspect
import re
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import polars as pl
import polars as pl

from penstock.clock import duration_us
from penstock.decision import Policy
from penstock.errors import DeclarationError, did_you_mean
from penstock.expressions import Expression, Program, assemble, parse
from penstock.features import Aggregate, Derived, Entity, Label
from penstock.features.entity import REMEMBERED
from penstock.features.lookups import Loaded, Lookup
from penstock.features.money import Conversion, Money
from penstock.features.plan import EntityPlan, Stream, compile_entity
from penstock.features.state import FeatureState
from penstock.ingest import Schema
from penstock.messages import Column, Layout, Type
from penstock.models import Model
from penstock.rules import Rule, RuleSet

Feature = Aggregate | Derived | Lookup | Money
Step = Program | Loaded | Conversion
SCORE = "score"
"""The column of the ensemble's probability, which rules may read."""


class DetectorWarning(UserWarning):
    """Something in a detector works, but probably not as meant."""


@dataclass(slots=True)
class Plan:
    """A compiled detector: what happens to a batch, in order.

    before: steps over fields alone, then the filters of aggregates. entities: kernel plans. after: derived features
    that read aggregates. features: names of all features in order of declaration. inputs: columns that models read.
    """

    layout: Layout
    before: list[Step]
    entities: list[EntityPlan]
    after: list[Step]
    features: tuple[str, ...]
    inputs: tuple[str, ...]
    rules: RuleSet
    remembered: dict[str, list[Column]]
    fingerprints: dict[str, str]
    score: Column | None = None


@dataclass(slots=True)
class _Scope:
    """The columns that expressions may read at some point of the path, with their types."""

    layout: Layout
    hidden: set[str] = field(default_factory=set)

    def types(self) -> dict[str, Type]:
        return {name: column.type for name, column in self.layout.items() if ":" not in name and name not in self.hidden}


class Detector:
    """One fraud problem: event schema, features, models, rules and policy.

    Args:
        name: unique among the detectors served together; letters, digits and `_`.
        event: a msgspec Struct, one field per column; `id` and `time` name two of them.
        features: aggregates of entities, `derive(...)`, `lookup(...)`, `Money(...)`; none is needed.
        models: what scores; [] is a detector of rules alone.
        rules, policy: what decides.
        label: where recorded data keeps the truth; see `Label`.
        informs: further event types that change state and get no decision.
        skew: how far clocks jitter. lateness: how far behind a key's newest event one may still enter its state.
        max_ahead: how far ahead of its arrival an event may be stamped and still enter state.
        dedupe: how long an id is remembered.
        naive_times: the zone of times without one; refused where it is None.
        personal: text fields that are replaced by keyed hashes before anything is written.
        keep_unknown: keep fields that the schema does not know, in the ledger.
        inputs: the columns that models read; every numeric field and feature unless given.
        words: a phrase for a feature or field, used in reasons.
        recorded: turns the columns of a recorded file, as published, into those of the event.

    Raises:
        DeclarationError: naming the place and the remedy.
    """

    def __init__(
        self,
        name: str,
        *,
        event: type[msgspec.Struct],
        id: str,  # noqa: A002  the public name
        time: str,
        features: Sequence[Feature] = (),
        models: Sequence[Model] = (),
        rules: Sequence[Rule] = (),
        policy: Policy | None = None,
        label: Label | None = None,
        informs: Sequence[type[msgspec.Struct]] = (),
        skew: str = "5s",
        lateness: str = "1d",
        max_ahead: str = "1d",
        dedupe: str = "30d",
        naive_times: str | None = None,
        personal: Collection[str] = (),
        keep_unknown: bool = False,
        inputs: Sequence[str] | None = None,
        words: dict[str, str] | None = None,
        recorded: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
            raise DeclarationError(f"detector name {name!r}: use up to 63 lower-case letters, digits and _, as in 'card_payments'")
        self.name = name
        self.event, self.id, self.time = event, id, time
        self.features, self.models, self.rules = tuple(features), tuple(models), tuple(rules)
        self.policy = policy or Policy()
        self.label, self.informs = label, tuple(informs)
        self.skew_us = duration_us(skew, what=f"detector {name!r}: skew")
        self.lateness_us = duration_us(lateness, what=f"detector {name!r}: lateness")
        self.max_ahead_us = duration_us(max_ahead, what=f"detector {name!r}: max_ahead")
        self.dedupe_us = duration_us(dedupe, what=f"detector {name!r}: dedupe")
        self.words = dict(words or {})
        self.recorded = recorded
        self.folder = _declaring_folder()
        self.schema = Schema(
            event,
            informs,
            id=id,
            time=time,
            label=label.field if label else None,
            label_time=label.known_at if label else None,
            naive_times=naive_times,
            personal=personal,
            keep_unknown=keep_unknown,
        )
        _check_models(name, self.models)
        self.plan = _Compiler(self, inputs).compile()
        self.version = self._version()

    def __repr__(self) -> str:
        return f"Detector({self.name!r}, {len(self.features)} features, {len(self.models)} models, {len(self.rules)} rules)"

    @property
    def warnings(self) -> list[str]:
        """What works, but probably not as meant."""
        return [*_self_comparisons(self), *self.plan.rules.warnings]

    def state(self, *, memory_limit: int | None = None) -> FeatureState:
        """An empty state for this detector's features."""
        plan = self.plan
        return FeatureState(
            plan.entities,
            plan.layout,
            remembered=plan.remembered,
            max_ahead_us=self.max_ahead_us,
            memory_limit=memory_limit,
        )

    @property
    def state_fingerprint(self) -> str:
        """Changes when the state must be rebuilt: with any aggregate, its inputs, or how late events are treated."""
        aggregates = sorted(f.name for f in self.features if isinstance(f, Aggregate))
        parts = [f"{name}={self.plan.fingerprints[name]}" for name in aggregates]
        return _hash("\n".join([*parts, f"{self.skew_us} {self.lateness_us} {self.max_ahead_us}"]))

    def fingerprint(self, names: Sequence[str]) -> str:
        """A hash of the definitions of these columns: a model is bound to that of the features it reads."""
        return _hash("\n".join(f"{name}={self.plan.fingerprints[name]}" for name in names))

    def _version(self) -> str:
        parts = [f"{name}={print_}" for name, print_ in sorted(self.plan.fingerprints.items())]
        parts += [repr(self.models), repr(self.policy), self.plan.rules.version, repr(self.label), str(self.dedupe_us)]
        return _hash("\n".join(parts))[:12]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _declaring_folder() -> Path:
    """The folder of the file that declares the detector: paths in it are relative to that."""
    here = Path(__file__).resolve()
    for frame in inspect.stack()[1:]:
        path = Path(frame.filename)
        if path.suffix == ".py" and path.resolve() != here:
            return path.resolve().parent
    return Path.cwd()


def _check_models(name: str, models: Sequence[Model]) -> None:
    names = [model.name for model in models]
    for model in names:
        if names.count(model) > 1:
            raise DeclarationError(f"detector {name!r}: two models are called {model!r}; give one of them another name=...")


class _Compiler:
    """Puts every declared thing in its place on the path: before the kernel, in it, or after."""

    def __init__(self, detector: Detector, inputs: Sequence[str] | None) -> None:
        self.detector = detector
        self.declared_inputs = inputs
        self.layout = Layout()
        for name, type_ in detector.schema.columns.items():
            self.layout.add(name, type_)
        self.scope = _Scope(self.layout)
        self.prints = {name: f"field {type_.value}" for name, type_ in detector.schema.columns.items()}
        self.remembered: dict[str, list[Column]] = {}

    def compile(self) -> Plan:
        self._check_names()
        aggregates = [f for f in self.detector.features if isinstance(f, Aggregate)]
        others = [f for f in self.detector.features if not isinstance(f, Aggregate)]
        before, waiting = self._settle(others)
        before += self._filters(aggregates)
        entities = self._aggregates(aggregates)
        after, waiting = self._settle(waiting)
        if waiting:
            self._refuse(waiting[0])
        inputs = self._inputs()
        score = self.layout.add(SCORE, Type.NUMBER) if self.detector.models and SCORE not in self.layout else None
        rules = RuleSet(self.detector.rules, self.layout, self.scope.types())
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
            score=score,
        )

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
        """Compile whatever reads only columns that exist, until nothing more can be; return the steps and the rest."""
        steps: list[Step] = []
        waiting = list(features)
        pending = {f.name for f in self.detector.features} - set(self.layout)
        while True:
            now = [f for f in waiting if not (_words_of(f) & pending)]
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
        """A program of what has been collected, if anything."""
        if not items:
            return []
        program = assemble(items, self.layout)
        items.clear()
        return [program]

    def _derived(self, feature: Derived) -> Expression:
        expression = parse(feature.sql, self.scope.types(), place=f"feature {feature.name!r}")
        self.layout.add(feature.name, expression.type)
        reads = ",".join(f"{name}:{self.prints[name]}" for name in sorted(expression.names))
        self.prints[feature.name] = _hash(f"derive {expression.sql} [{reads}]")
        return expression

    def _load(self, feature: Lookup | Money) -> Loaded | Conversion:
        loaded = feature.load(self.detector.folder, self.layout)
        self.prints[feature.name] = _hash(f"{feature!r} {loaded.fingerprint}")
        return loaded

    def _refuse(self, feature: Derived | Lookup | Money) -> None:
        waits_for = sorted(_words_of(feature) & ({f.name for f in self.detector.features} - set(self.layout)))
        raise DeclarationError(
            f"feature {feature.name!r} reads {', '.join(waits_for)}, which in turn reads it; break the circle by deriving one of them from fields"
        )

    # ---- aggregates

    def _filters(self, aggregates: Sequence[Aggregate]) -> list[Step]:
        items = []
        for feature in aggregates:
            if feature.where and f"where:{feature.where}" not in self.layout:
                expression = parse(feature.where, self.scope.types(), place=f"feature {feature.name!r}: where", expect=Type.BOOLEAN)
                self.layout.add(f"where:{feature.where}", Type.BOOLEAN)
                items.append((expression, f"where:{feature.where}"))
        return self._flush(items)

    def _aggregates(self, aggregates: Sequence[Aggregate]) -> list[EntityPlan]:
        groups: dict[tuple[object, ...], tuple[Entity, list[Aggregate]]] = {}
        for feature in aggregates:
            self._check_aggregate(feature)
        for feature in aggregates:
            column = self.layout.add(feature.name, self._type(feature))
            self.prints[feature.name] = _hash(self._definition(feature))
            if column.type is Type.TEXT:
                self.remembered.setdefault(feature.field or "", []).append(column)
            key = (feature.entity.fields, feature.entity.roles)
            groups.setdefault(key, (feature.entity, []))[1].append(feature)
        stream = self._stream()
        return [compile_entity(entity, features, self.layout, stream) for entity, features in groups.values()]

    def _stream(self) -> Stream:
        wheres = {name.removeprefix("where:"): column for name, column in self.layout.items() if name.startswith("where:")}
        return Stream(
            skew_us=self.detector.skew_us,
            lateness_us=self.detector.lateness_us,
            kinds=dict(self.detector.schema.kinds),
            labels_kind=len(self.detector.schema.kinds),
            wheres=wheres,
            required=self.detector.schema.required,
            scales=self.detector.schema.scales,
        )

    def _type(self, feature: Aggregate) -> Type:
        return self.layout[feature.field].type if feature.kind in ("last", "first") and feature.field else Type.NUMBER

    def _definition(self, feature: Aggregate) -> str:
        parts = [feature.kind, feature.field, feature.window_us, feature.delay_us, feature.where, feature.current]
        parts += [[of.__name__ for of in feature.of], feature.role, feature.at, feature.by, feature.entity.fields, feature.entity.roles]
        return repr(parts) + self.prints.get(feature.field or "", "")

    def _check_aggregate(self, feature: Aggregate) -> None:
        place = f"feature {feature.name!r}"
        known = {name for name in self.layout if ":" not in name}
        for name in feature.entity.fields:
            if name not in self.layout:
                raise DeclarationError(f"{place}: entity {feature.entity.name} needs the field {name!r}.{did_you_mean(name, known)}")
        for of in feature.of:
            if of not in self.detector.schema.kinds:
                raise DeclarationError(f"{place}: of={of.__name__} is not an event type of this detector; add it to informs=[...]")
        labels = feature.kind in ("label_count", "label_rate")
        if labels and self.detector.label is None:
            raise DeclarationError(f"{place}: counts labels, but the detector declares none; add label=Label(...)")
        if feature.field is None:
            return
        if feature.field not in self.layout:
            what = "another aggregate; aggregates read fields, or features derived from fields" if self._is_feature(feature.field) else ""
            hint = f" It is {what}." if what else did_you_mean(feature.field, known)
            raise DeclarationError(f"{place}: there is no field {feature.field!r} to aggregate.{hint}")
        if feature.kind in ("sum", "mean", "std", "min", "max") and self.layout[feature.field].type not in (Type.NUMBER, Type.BOOLEAN):
            type_ = self.layout[feature.field].type.value
            raise DeclarationError(f"{place}: {feature.kind} needs numbers, but {feature.field} is a {type_}; use distinct, last or first")
        self._check_currency(feature, place)

    def _check_currency(self, feature: Aggregate, place: str) -> None:
        """Sums over mixed currencies mean nothing."""
        moneys = [f for f in self.detector.features if isinstance(f, Money) and f.amount == feature.field]
        if moneys and feature.kind in ("sum", "mean", "std", "min", "max"):
            raise DeclarationError(
                f"{place}: {feature.field} is in the currency that {moneys[0].currency} says, so a {feature.kind} would mix currencies; "
                f"aggregate {moneys[0].name!r}, which is converted to {moneys[0].to}"
            )

    def _is_feature(self, name: str) -> bool:
        return any(f.name == name for f in self.detector.features)

    # ---- models

    def _inputs(self) -> tuple[str, ...]:
        """What models read: as declared, or every number and boolean that is not a key, the time or a personal field."""
        types = self.scope.types()
        if self.declared_inputs is not None:
            for name in self.declared_inputs:
                if types.get(name) not in (Type.NUMBER, Type.BOOLEAN):
                    known = [n for n, t in types.items() if t in (Type.NUMBER, Type.BOOLEAN)]
                    raise DeclarationError(f"detector {self.detector.name!r}: inputs has {name!r}, which is no number or boolean.{did_you_mean(name, known)}")
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


def _words_of(feature: Derived | Lookup | Money) -> set[str]:
    """The words that may be names of columns in a feature's definition."""
    if isinstance(feature, Derived):
        return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", feature.sql))) - {feature.name}
    return set(feature.reads)


def _self_comparisons(detector: Detector) -> list[str]:
    """Expressions that compare a field with an aggregate of it that contains the event itself."""
    found = []
    containing = {
        f.name: f
        for f in detector.features
        if isinstance(f, Aggregate) and f.current and not f.delay and f.field and f.kind not in (*REMEMBERED, "distinct")
    }
    expressions = [(f"feature {f.name!r}", f.sql) for f in detector.features if isinstance(f, Derived)]
    expressions += [(f"rule {rule.name!r}", rule.when) for rule in detector.rules]
    for place, sql in expressions:
        words = set(re.findall(r"[A-Za-z_]\w*", sql))
        for name in sorted(words & containing.keys()):
            feature = containing[name]
            if feature.field in words:
                found.append(
                    f"{place} compares {feature.field} with {name}, which contains the event itself; "
                    f"compare with {feature.entity.name}.{feature.kind}(..., current=False)"
                )
    return found


def warn(detector: Detector) -> None:
    """Say what works, but probably not as meant."""
    for message in detector.warnings:
        warnings.warn(f"detector {detector.name!r}: {message}", DetectorWarning, stacklevel=3)
