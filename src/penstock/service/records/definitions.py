"""`GET /detectors/{name}/definition`: the definition of a detector, for forms and lists."""

from typing import Any

from penstock.clock import EVER_US, iso
from penstock.engine import Engine
from penstock.features import Aggregate, Derived
from penstock.identity.roles import Right
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.service.records import definition_schemas as forms
from penstock.service.records.event_fields import fields_of
from penstock.service.records.example import samples
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


# ---------------------------------------------------------------- routes

route = Routes("service")


@route("GET", "/detectors/{name}/definition", Right.READ, refuses=(404,))
async def definition(desks: DetectorRouter, verifying: Verifying, /, name: str) -> forms.DetectorDefinition:
    """The definition of a detector: event, features, models, rules, thresholds, versions, state; and examples to try."""
    engine = desks.named(name).engine
    if not isinstance(engine, Engine):
        raise RequestRefused(422, f"detector {name!r} says no more of itself here than `/detectors`")
    return definition_of(engine, verifying.parity(name))
