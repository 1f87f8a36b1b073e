"""The definition of the deciding detector, and the current features of a key."""

from typing import Any

import numpy as np

from penstock.clock import EVER_US, iso
from penstock.decision.phrases import phrase_of
from penstock.detector import Detector
from penstock.engine.active_detector import ActiveDetector
from penstock.features import Aggregate
from penstock.features.kernel.hash_tables import find_slot
from penstock.messages import Batch, Type


def features_of_key(active: ActiveDetector, entity: str, key: str) -> dict[str, Any] | None:
    """The features of one key as of the stream's clock, without a new event; None where it was never seen.

    A key of several fields is written with | between them.

    Raises:
        DeclarationError: the detector has no such entity.
        MalformedEvent: the text cannot be a key of it.
    """
    detector, state = active.detector, active.pipeline.state
    table = active.pipeline.table(entity)
    several = len(table.plan.keys[0]) > 1
    code = state.key_of(table, key.split("|") if several else [key])
    if find_slot(table.state, code) < 0:
        return None
    batch = state.look(table, code)
    features = {
        feature.name: _value(detector, batch, feature.name)
        for feature in detector.features
        if isinstance(feature, Aggregate)
        and (feature.entity.fields, feature.entity.roles) == (table.plan.entity.fields, table.plan.entity.roles)
    }
    return {
        "entity": entity,
        "key": key,
        "detector": detector.name,
        "as_of": iso(int(batch.time_us[0])),
        "features": features,
    }


def _value(detector: Detector, batch: Batch, name: str) -> float | int | str | None:
    column = detector.plan.layout[name]
    if column.type is Type.TEXT:
        return batch.texts[name][0]
    value = float(batch.x[0, column.index])
    if np.isnan(value):
        return None
    return int(value) if value.is_integer() else value


def describe(active: ActiveDetector, notes: list[str]) -> dict[str, Any]:
    """The detector as served: fields, features, models, rules, policy, versions. notes: of its recovery."""
    detector, pipeline = active.detector, active.pipeline
    ensemble, thresholds = pipeline.ensemble, pipeline.judge.thresholds
    return {
        "name": detector.name,
        "version": detector.version,
        "model_version": ensemble.version if ensemble else None,
        "ready": active.ready is None,
        "fields": {name: type_.value for name, type_ in detector.schema.columns.items()},
        "required": sorted(detector.schema.needed),
        "informs": [event.__name__ for event in detector.informs],
        "features": [_feature(detector, feature) for feature in detector.features],
        "models": [{"name": model.name, "weight": model.weight} for model in detector.models],
        "rules": [
            {
                "name": rule.name,
                "when": rule.expression.sql,
                "then": rule.action,
                "hard": rule.hard,
                "override": rule.override,
                "reason": rule.rule.reason,
            }
            for rule in detector.plan.rules
        ],
        "policy": {
            "challenge_at": _finite(thresholds.challenge_at),
            "review_at": _finite(thresholds.review_at),
            "block_at": _finite(thresholds.block_at),
            "on_failure": detector.policy.on_failure,
            "order": detector.policy.order,
        },
        "inputs": list(ensemble.features) if ensemble else list(detector.plan.inputs),
        "state": {table.plan.entity.name: table.counts() | {"bytes": table.used_bytes} for table in pipeline.state.tables},
        "notes": [*notes, *detector.warnings],
    }


def _feature(detector: Detector, feature: Any) -> dict[str, Any]:
    type_ = detector.plan.layout[feature.name].type.value
    phrase = phrase_of(feature.name, detector.words)
    if not isinstance(feature, Aggregate):
        return {
            "name": feature.name,
            "label": phrase.label,
            "unit": phrase.unit,
            "type": type_,
            "definition": getattr(feature, "sql", None) or repr(feature),
        }
    window = "ever" if feature.window_us == EVER_US else feature.window
    return {
        "name": feature.name,
        "label": phrase.label,
        "unit": phrase.unit,
        "type": type_,
        "entity": feature.entity.name,
        "aggregate": feature.kind,
        "field": feature.field,
        "window": window,
    }


def _finite(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None
