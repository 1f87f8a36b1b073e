"""`GET /detectors/{name}/definition`: the definition of a detector, for forms and lists."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.clock import EVER_US, iso
from penstock.decision.phrases import phrase_of
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.features import Aggregate, Derived
from penstock.identity.roles import Right
from penstock.ingest.field import Field
from penstock.ingest.schema import EventType
from penstock.messages import Type
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.route import Routes
from penstock.service.records.example import ExampleEvent, samples, value_for
from penstock.service.records.verification import Parity, Verifying

Roles = Literal["id", "time", "amount", "label", "key"]


class FieldDefinition(msgspec.Struct):
    """A field of the event, for a form."""

    name: Annotated[str, Meta(description="As it is sent.")]
    type: Annotated[
        Literal["number", "integer", "text", "boolean", "time"], Meta(description="What it holds; a time is ISO 8601.")
    ]
    optional: Annotated[bool, Meta(description="It may be left out, or be null.")]
    description: Annotated[str | None, Meta(description="What it means; null where nothing is written of it.")]
    example: Annotated[Any, Meta(description="A value that fits; null where none comes to mind.")]
    choices: Annotated[list[Any] | None, Meta(description="The values it may have, where it names them.")]
    minimum: Annotated[float | None, Meta(description="The least value it may have.")]
    maximum: Annotated[float | None, Meta(description="The greatest value it may have.")]
    roles: Annotated[list[Roles], Meta(description="id, time, amount, label (known only later: not for a form), key.")]
    entities: Annotated[list[str], Meta(description="The entities whose keys it holds.")]
    personal: Annotated[bool, Meta(description="It is replaced by a token on arrival.")]


class UsedBy(msgspec.Struct):
    """The readers of a feature."""

    models: Annotated[bool, Meta(description="The models that decide, or that are declared where none decides.")]
    rules: Annotated[list[str], Meta(description="Rules whose condition or reason reads it.")]
    features: Annotated[list[str], Meta(description="Features that are derived of it.")]


class FeatureDefinition(msgspec.Struct, kw_only=True):
    """A feature."""

    name: Annotated[str, Meta(description="Its name.")]
    label: Annotated[str, Meta(description="What it is called in words.")]
    type: Annotated[str, Meta(description="number, boolean, time or text.")]
    unit: Annotated[str | None, Meta(description="count, duration (in seconds), km, amount, times, share or number; or null.")]
    kind: Annotated[Literal["aggregate", "derived"], Meta(description="aggregate: over a window of a key; derived: of others.")]
    entity: Annotated[str | None, Meta(description="Of an aggregate: over whose events.")] = None
    aggregate: Annotated[str | None, Meta(description="count, sum, mean, std, min, max, distinct, last, ...")] = None
    field: Annotated[str | None, Meta(description="Of an aggregate: what is aggregated.")] = None
    window: Annotated[str | None, Meta(description="Of an aggregate: such as 1h; `ever` has no end.")] = None
    window_s: Annotated[float | None, Meta(description="The same in seconds; null where it has no end.")] = None
    where: Annotated[str | None, Meta(description="Of an aggregate: only events for which this SQL holds.")] = None
    delay: Annotated[str | None, Meta(description="Of an aggregate: the window ends so long before the event.")] = None
    role: Annotated[str | None, Meta(description="Of an aggregate: only events in which the key has this role.")] = None
    of: Annotated[list[str], Meta(description="Of an aggregate: over these event types; the transaction's where empty.")] = []
    current: Annotated[bool | None, Meta(description="Of an aggregate: whether the event itself counts.")] = None
    expression: Annotated[str | None, Meta(description="Of a derived one: the SQL, or how it is written in Python.")] = None
    usual: Annotated[Any, Meta(description="The usual value, as the models that decide learned it; null where unknown.")] = None
    made: Annotated[bool, Meta(description="People added it at run time; it is not in the detector's file.")] = False
    used_by: Annotated[UsedBy, Meta(description="Who reads it.")]


class EntityDefinition(msgspec.Struct):
    """An entity and its feature state."""

    name: Annotated[str, Meta(description="Its name.")]
    fields: Annotated[list[list[str]], Meta(description="The fields of its key, for each of its roles.")]
    features: Annotated[int, Meta(description="Aggregates over it.")]
    keys: Annotated[int, Meta(description="Keys in state.")]
    bytes: Annotated[int, Meta(description="Memory of its state.")]


class ModelDefinition(msgspec.Struct):
    """A declared model."""

    name: Annotated[str, Meta(description="Its name among the scores.")]
    kind: Annotated[str, Meta(description="Such as XGBoost.")]
    weight: Annotated[float | None, Meta(description="Its declared share of the ensemble; null: chosen by training.")]


class RuleDefinition(msgspec.Struct):
    """A rule in force."""

    name: Annotated[str, Meta(description="Its name.")]
    when: Annotated[str, Meta(description="Its condition.")]
    then: Annotated[str, Meta(description="What it asks for.")]
    hard: Annotated[bool, Meta(description="A block that no allow can lift.")]
    override: Annotated[bool, Meta(description="Lowers what the score or other rules ask for.")]
    reason: Annotated[str | None, Meta(description="The sentence it says.")]


class PolicyDefinition(msgspec.Struct):
    """The score from which each decision is made; null: never by score."""

    challenge_at: Annotated[float | None, Meta(description="Challenged from here.")]
    review_at: Annotated[float | None, Meta(description="Reviewed from here.")]
    block_at: Annotated[float | None, Meta(description="Blocked from here.")]
    on_failure: Annotated[str, Meta(description="What is decided where a part fails.")]
    order: Annotated[str, Meta(description="`severest`, or `rules_first` as in version 0.1.")]


class InformingDefinition(msgspec.Struct):
    """An informing event: it changes state and gets no decision."""

    type: Annotated[str, Meta(description="The value of its field `type`.")]
    description: Annotated[str | None, Meta(description="What it is.")]
    fields: Annotated[list[FieldDefinition], Meta(description="Its fields.")]


class VersionsDefinition(msgspec.Struct):
    """The versions that decide now."""

    detector: Annotated[str, Meta(description="Of the declaration.")]
    model: Annotated[str | None, Meta(description="Of the models; null for rules alone.")]
    rules: Annotated[str, Meta(description="Of the rules.")]
    lists: Annotated[str | None, Meta(description="Of the lists that rules ask.")]


class Freshness(msgspec.Struct):
    """How fresh the feature state is."""

    newest_event_at: Annotated[str | None, Meta(description="The newest event time in state; null before the first event.")]
    behind_s: Annotated[float | None, Meta(description="How long that is ago, in seconds.")]
    newest_decided_at: Annotated[str | None, Meta(description="When the newest decision was made.")]
    notes: Annotated[list[str], Meta(description="What is worth knowing: what was rebuilt, what is missing.")]


class DetectorDefinition(msgspec.Struct):
    """The definition of a detector."""

    name: Annotated[str, Meta(description="Its name.")]
    description: Annotated[str | None, Meta(description="What its events are.")]
    ready: Annotated[bool, Meta(description="It decides.")]
    versions: Annotated[VersionsDefinition, Meta(description="What decides now.")]
    fields: Annotated[list[FieldDefinition], Meta(description="Of the event, in the order of declaration.")]
    examples: Annotated[list[ExampleEvent], Meta(description="Events that may be sent; at least one.")]
    entities: Annotated[list[EntityDefinition], Meta(description="What features are computed of.")]
    features: Annotated[list[FeatureDefinition], Meta(description="In the order of declaration.")]
    models: Annotated[list[ModelDefinition], Meta(description="Declared ones.")]
    rules: Annotated[list[RuleDefinition], Meta(description="In force, in their order.")]
    policy: Annotated[PolicyDefinition, Meta(description="How scores become decisions.")]
    informs: Annotated[list[InformingDefinition], Meta(description="Events that only inform.")]
    freshness: Annotated[Freshness, Meta(description="How fresh the state is.")]
    parity: Annotated[Parity | None, Meta(description="The last verification here; null where there was none.")]


def definition_of(engine: Engine, parity: Parity | None) -> DetectorDefinition:
    """The definition that an engine decides by; call it on the thread that decides."""
    detector, described = engine.detector, engine.describe()
    examples = samples(detector.folder, detector.event, detector.time, clock=engine.clock)
    versions = engine.active.format.versions
    return DetectorDefinition(
        name=detector.name,
        description=_about(detector.event),
        ready=engine.ready is None,
        versions=VersionsDefinition(
            engine.detector.version,
            engine.model_version,
            versions.rules,
            versions.lists if isinstance(versions.lists, str) else None,
        ),
        fields=fields_of(detector, detector.schema.events[0], examples[0].event),
        examples=examples,
        entities=_entities(engine),
        features=_features(engine),
        models=[ModelDefinition(each.name, type(each).__name__, each.weight) for each in detector.models],
        rules=[
            RuleDefinition(rule.name, rule.expression.sql, rule.action, rule.hard, rule.override, rule.rule.reason)
            for rule in detector.plan.rules
        ],
        policy=PolicyDefinition(**described["policy"]),
        informs=[
            InformingDefinition(each.struct.__name__, _about(each.struct), fields_of(detector, each, {}))
            for each in detector.schema.events[1:]
        ],
        freshness=_freshness(engine, described["notes"]),
        parity=parity,
    )


def _about(struct: type) -> str | None:
    """The docstring of an event type; None without one, or with msgspec's default."""
    return (struct.__dict__.get("__doc__") or "").strip().partition("\n\n")[0] or None


def _entities(engine: Engine) -> list[EntityDefinition]:
    features = [each for each in engine.detector.features if isinstance(each, Aggregate)]
    return [
        EntityDefinition(
            name=table.plan.entity.name,
            fields=[[column.name for column in columns] for columns in table.plan.keys],
            features=sum(each.entity.name == table.plan.entity.name for each in features),
            keys=table.keys,
            bytes=table.used_bytes,
        )
        for table in engine.pipeline.state.tables
    ]


def _features(engine: Engine) -> list[FeatureDefinition]:
    detector, ensemble = engine.detector, engine.pipeline.ensemble
    declared = detector.plan.inputs if detector.models else ()
    inputs = frozenset(ensemble.features if ensemble is not None else declared)
    usual = ensemble.usual_values() if ensemble is not None else {}
    reads = {each.name: detector.reads_of(each) for each in detector.features}
    rules = {rule.name: {*rule.reads, *rule.said} for rule in detector.plan.rules}
    made = {each.name for each in detector.added}
    found = []
    for feature in detector.features:
        name = feature.name
        used = UsedBy(
            models=name in inputs,
            rules=[rule for rule, read in rules.items() if name in read],
            features=[other for other, read in reads.items() if name in read and other != name],
        )
        phrase = phrase_of(name, detector.words)
        common: dict[str, Any] = {
            "name": name,
            "label": phrase.label,
            "unit": phrase.unit,
            "type": detector.plan.layout[name].type.value,
            "usual": usual.get(name),
            "made": name in made,
        }
        if isinstance(feature, Aggregate):
            found.append(FeatureDefinition(kind="aggregate", used_by=used, **common, **_aggregate(feature)))
        else:
            sql = feature.sql if isinstance(feature, Derived) else repr(feature)
            found.append(FeatureDefinition(kind="derived", used_by=used, expression=sql, **common))
    return found


def _aggregate(feature: Aggregate) -> dict[str, Any]:
    ever = feature.window_us == EVER_US
    return {
        "entity": feature.entity.name,
        "aggregate": feature.kind,
        "field": feature.field,
        "window": "ever" if ever else feature.window,
        "window_s": None if ever else feature.window_us / 1e6,
        "where": feature.where,
        "delay": feature.delay,
        "role": feature.role,
        "of": [each.__name__ for each in feature.of],
        "current": feature.current,
    }


def _freshness(engine: Engine, notes: list[str]) -> Freshness:
    clock_us = engine.pipeline.state.clock_us
    newest = next(iter(engine.ledger.recent(engine.detector.name, limit=1)), None)
    return Freshness(
        newest_event_at=iso(clock_us) if clock_us > 0 else None,
        behind_s=(engine.clock() - clock_us) / 1e6 if clock_us > 0 else None,
        newest_decided_at=None if newest is None else iso(newest[0].meta["decided_us"]),
        notes=notes,
    )


_TIME = {"type": "string", "format": "date-time"}


def fields_of(detector: Detector, event: EventType, example: Mapping[str, Any]) -> list[FieldDefinition]:
    """Every field of an event type in the order of declaration, including the label. example: an event of it."""
    schemas = _properties(event.struct)
    label = detector.schema.label_field if event.kind == 0 else None
    declared = {field.name: field for field in [*event.fields, *([label] if label is not None else [])]}
    ordered = [declared[name] for name in schemas if name in declared]
    return [_field(detector, event, field, schemas[field.name], example) for field in ordered]


def _field(
    detector: Detector, event: EventType, field: Field, schema: dict[str, Any], example: Mapping[str, Any]
) -> FieldDefinition:
    inner = _inner(schema)
    shape = _TIME if field.type is Type.TIME else schema
    keys = {
        plan.entity.name
        for plan in detector.plan.entities
        for role in plan.keys
        for column in role
        if column.name == field.name
    }
    return FieldDefinition(
        name=field.name,
        type="integer" if field.whole and field.type is Type.NUMBER else field.type.value,
        optional=not field.needed or field.nullable,
        description=schema.get("description") or inner.get("description"),
        example=example.get(field.name, None if field.name == detector.schema.label else value_for(field.name, shape)),
        choices=list(field.choices) if field.choices is not None else inner.get("enum"),
        minimum=inner.get("minimum", inner.get("exclusiveMinimum")),
        maximum=inner.get("maximum", inner.get("exclusiveMaximum")),
        roles=_roles(detector, event, field, keys),
        entities=sorted(keys),
        personal=field.name in detector.schema.personal,
    )


def _roles(detector: Detector, event: EventType, field: Field, keys: set[str]) -> list[Roles]:
    held: dict[Roles, bool] = {
        "id": field.name == event.id.name,
        "time": field.name == event.time.name,
        "amount": field.name == detector.schema.amount,
        "label": field.name == detector.schema.label,
        "key": bool(keys),
    }
    return [role for role, holds in held.items() if holds]


def _properties(struct: type) -> dict[str, dict[str, Any]]:
    """The JSON schema of each field, by its name in JSON, in the order of declaration."""
    _, components = msgspec.json.schema_components([struct], schema_hook=lambda _kind: {})
    schema = components.get(struct.__name__) or next(iter(components.values()))
    properties: dict[str, dict[str, Any]] = schema["properties"]
    return properties


def _inner(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without its null alternative."""
    return next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)


# ---------------------------------------------------------------- routes

route = Routes("service")


@route("GET", "/detectors/{name}/definition", Right.READ, refuses=(404,))
async def get_detector_definition(router: DetectorRouter, verifying: Verifying, /, name: str) -> DetectorDefinition:
    """The definition of a detector: event, features, models, rules, thresholds, versions, state; and examples to try."""
    return definition_of(router.named(name).engine, verifying.parity(name))
