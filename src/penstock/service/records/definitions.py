"""`GET /detectors/{name}/definition`: the definition of a detector, for forms and lists."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.clock import EVER_US, iso
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.features import Aggregate, Derived
from penstock.identity.roles import Right
from penstock.ingest.field import Field
from penstock.ingest.schema import EventType
from penstock.messages import Type
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.service.records import definition_schemas as forms
from penstock.service.records.definition_schemas import FieldDefinition, Roles
from penstock.service.records.example import samples, value_for
from penstock.service.records.verification import Verifying


def definition_of(engine: Engine, parity: forms.Parity | None) -> forms.DetectorDefinition:
    """The definition that an engine decides by; call it on the thread that decides."""
    detector, told = engine.detector, engine.describe()
    examples = samples(detector.folder, detector.event, detector.time, clock=engine.clock)
    versions = engine.active.format.versions
    return forms.DetectorDefinition(
        name=detector.name,
        description=_about(detector.event),
        ready=engine.ready is None,
        versions=forms.VersionsDefinition(
            engine.detector.version,
            engine.model_version,
            versions.rules,
            versions.lists if isinstance(versions.lists, str) else None,
        ),
        fields=fields_of(detector, detector.schema.events[0], examples[0].event),
        examples=[forms.ExampleEvent(each.event, each.about) for each in examples],
        entities=_entities(engine),
        features=_features(engine),
        models=[forms.ModelDefinition(each.name, type(each).__name__, each.weight) for each in detector.models],
        rules=[
            forms.RuleDefinition(rule.name, rule.expression.sql, rule.action, rule.hard, rule.override, rule.rule.reason)
            for rule in detector.plan.rules
        ],
        policy=forms.PolicyDefinition(**told["policy"]),
        informs=[
            forms.InformingDefinition(each.struct.__name__, _about(each.struct), fields_of(detector, each, {}))
            for each in detector.schema.events[1:]
        ],
        freshness=_freshness(engine, told["notes"]),
        parity=parity,
    )


def _about(struct: type) -> str | None:
    """The docstring of an event type; None without one, or with msgspec's default."""
    return (struct.__dict__.get("__doc__") or "").strip().partition("\n\n")[0] or None


def _entities(engine: Engine) -> list[forms.EntityDefinition]:
    features = [each for each in engine.detector.features if isinstance(each, Aggregate)]
    return [
        forms.EntityDefinition(
            name=table.plan.entity.name,
            fields=[[column.name for column in columns] for columns in table.plan.keys],
            features=sum(each.entity.name == table.plan.entity.name for each in features),
            keys=table.keys,
            bytes=table.used_bytes,
        )
        for table in engine.pipeline.state.tables
    ]


def _features(engine: Engine) -> list[forms.FeatureDefinition]:
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
        used = forms.UsedBy(
            models=name in inputs,
            rules=[rule for rule, read in rules.items() if name in read],
            features=[other for other, read in reads.items() if name in read and other != name],
        )
        common: dict[str, Any] = {
            "name": name,
            "type": detector.plan.layout[name].type.value,
            "usual": usual.get(name),
            "made": name in made,
        }
        if isinstance(feature, Aggregate):
            found.append(forms.FeatureDefinition(kind="aggregate", used_by=used, **common, **_aggregate(feature)))
        else:
            sql = feature.sql if isinstance(feature, Derived) else repr(feature)
            found.append(forms.FeatureDefinition(kind="derived", used_by=used, expression=sql, **common))
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


def _freshness(engine: Engine, notes: list[str]) -> forms.Freshness:
    clock_us = engine.pipeline.state.clock_us
    newest = next(iter(engine.ledger.recent(engine.detector.name, limit=1)), None)
    return forms.Freshness(
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
async def definition(desks: DetectorRouter, verifying: Verifying, /, name: str) -> forms.DetectorDefinition:
    """The definition of a detector: event, features, models, rules, thresholds, versions, state; and examples to try."""
    engine = desks.named(name).engine
    if not isinstance(engine, Engine):
        raise RequestRefused(422, f"detector {name!r} says no more of itself here than `/detectors`")
    return definition_of(engine, verifying.parity(name))
