"""The fields of an event for a form, from the declaration and from the JSON schema of its Struct."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.detector import Detector
from penstock.ingest.field import Field
from penstock.ingest.schema import EventType
from penstock.messages import Type
from penstock.service.records.definition_schemas import FieldDefinition, Roles
from penstock.service.records.example import value_for

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
