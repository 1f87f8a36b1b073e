"""Findings of a drift comparison in words: the cause, the models and rules affected, and the remedy."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from penstock.models.reference import Reference
from penstock.offline.drift import measures, truth
from penstock.offline.drift.result import Advice, ColumnDrift, Finding, TruthOfDay
from penstock.offline.drift.sketch import Counts

IMPORTANT = 0.01
"""An input with a smaller share in every model's scores, and that no rule reads, may drift as it likes."""

_MISSING = 0.02
_RENAMED = 0.5
_LOST_AREA = 0.05
_LEAST_EXPECTED = 20.0

Cause = Literal["shift", "missing", "unseen", "score"]


def of_column(column: ColumnDrift, live: Counts, training: Counts, *, inputs_moved: bool) -> Finding:
    """The finding about a drifted column. live, training: its bins. inputs_moved: whether important inputs drifted too."""
    cause = _cause(column, live, training)
    advice, because = _advice(column, cause, inputs_moved=inputs_moved)
    return Finding(
        kind=cause,
        alarm=advice != "nothing",
        column=column.name,
        text=_sentence(column, cause),
        advice=advice,
        because=because,
        models={name: column.importance.get(name, 0.0) for name in column.models},
        rules=column.rules,
    )


def matters(column: ColumnDrift) -> bool:
    """Whether a model or a rule depends on a column, or that is unknown."""
    return column.kind == "score" or not column.importance or max(column.importance.values()) >= IMPORTANT or bool(column.rules)


def _cause(column: ColumnDrift, live: Counts, training: Counts) -> Cause:
    if column.kind == "score":
        return "score"
    if abs(column.missing[0] - column.missing[1]) > _MISSING and _without(live, training, 0) <= column.limit:
        return "missing"
    if column.kind == "text" and _without(live, training, len(live) - 1) <= column.limit:
        return "unseen"
    return "shift"


def _without(live: Counts, training: Counts, bin: int) -> float:
    """The index among the rows of all other bins."""
    kept = np.arange(len(live)) != bin
    return float(measures.psi(live[kept], training[kept]))


def _advice(column: ColumnDrift, cause: Cause, *, inputs_moved: bool) -> tuple[Advice, str]:
    if cause == "score":
        if inputs_moved:
            return "retrain", "inputs that matter have moved with it"
        return "recalibrate", "no input that matters has moved by itself; look at precision as labels come"
    if not matters(column):
        return "nothing", "no model leans on it and no rule reads it"
    if cause == "missing":
        return "look at the source", "a value that stops coming, or begins to, is rarely the customers' doing"
    if cause == "unseen" and column.unseen > _RENAMED:
        return "look at the source", "most values are new, as when codes are renamed"
    if column.importance and max(column.importance.values()) < IMPORTANT:
        return "look at the source", f"no model leans on it, but {_listed(column.rules)} may fire more or less often"
    return "retrain", "models lean on it and have not seen it like this"


def _sentence(column: ColumnDrift, cause: Cause) -> str:
    live, training = column.missing
    if cause == "missing":
        return f"{column.name} is missing in {live:.1%} of decisions; in training it was in {training:.1%}"
    if cause == "unseen":
        return f"{column.unseen:.1%} of decisions have a value of {column.name} that training never saw"
    most = max(column.bins, key=lambda each: abs(each.live - each.training), default=None)
    where = f"; most of it: {most.label} in {most.live:.1%}, in training {most.training:.1%}" if most is not None else ""
    if column.lasting <= column.limit and column.recent is not None:
        return f"{column.name} has moved against the week before (PSI {column.recent:.2f}){where}"
    return f"{column.name} has moved against training (PSI {column.psi:.2f}, limit {column.limit:.2f}){where}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def of_whole(reference: Reference, estimate: Mapping[str, float | None], known: Sequence[TruthOfDay]) -> list[Finding]:
    """Findings about the models as a whole, from scores and labels."""
    return [*_of_labels(reference, known), *_of_estimate(reference, estimate)]


def _of_labels(reference: Reference, known: Sequence[TruthOfDay]) -> list[Finding]:
    turned_out, said = reference.expected.get("known_fraud_rate"), reference.expected.get("fraud_rate")
    off = truth.miscalibrated(known, turned_out / said if turned_out and said else 1.0)
    if off is None:
        return []
    frauds, expected, days = off
    text = f"{frauds:,.0f} frauds are known of {days} days whose labels are in; the scores say {expected:,.0f}"
    because = "scores are no longer probabilities; where precision fell as well, train anew"
    return [Finding("calibration", True, None, text, "recalibrate", because)]


def _of_estimate(reference: Reference, estimate: Mapping[str, float | None]) -> list[Finding]:
    before, now = reference.expected.get("roc_auc"), estimate.get("roc_auc")
    enough = (estimate.get("frauds") or 0.0) >= _LEAST_EXPECTED
    if before is None or now is None or not enough or before - now < _LOST_AREA:
        return []
    text = (
        f"by its own scores the ensemble tells frauds apart with an area under the curve of {now:.3f}; in training {before:.3f}"
    )
    return [Finding("estimate", False, None, text, "retrain", "an estimate without labels: wait for them before relying on it")]
