"""What became of one transaction, and what was decided about one key: recorded decisions in the forms that people ask for."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from penstock.clock import iso
from penstock.detector import Detector
from penstock.engine.look import KeyRows
from penstock.ledger import Label
from penstock.messages import Action, Record, Type

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

SCANNED, SCANNED_S = 50_000, 0.25
"""The newest decisions are what the history of one key is looked for in: at most so many, for at most so long. Those that
were decided one by one take a fifth of a millisecond each, those decided together hardly anything."""

MOST_LABELS = 1_000
"""Decisions about a key whose labels are looked up: the newest ones."""

_ORIGINS, _DESTINATIONS = ("origin", "nameOrig"), ("destination", "nameDest")


class _Told(msgspec.Struct):
    """What is read of a decision as it was answered."""

    decided_at: str
    decision: str
    fraud_probability: float | None
    explanation: "_Explained"


class _Explained(msgspec.Struct):
    reasons: list[dict[str, Any]]


class Found(NamedTuple):
    """The decisions about a key in one record."""

    record: Record
    rows: list[int]


class History:
    """Read-only questions to the records of one engine; may be asked from any thread."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._facts = facts_of(engine.detector)

    def outcome(self, transaction_id: str) -> dict[str, Any] | None:
        """What became of a transaction, and the facts of its event; None where no decision about it is durable."""
        engine = self._engine
        found = engine.ledger.find(engine.detector.name, transaction_id)
        if found is None:
            return None
        record, row = found
        told = msgspec.json.decode(engine.look.render(record, [row])[0], type=_Told)
        score = None if told.fraud_probability is None else round(100 * told.fraud_probability, 2)
        return {
            "transaction_id": transaction_id,
            "detector": engine.detector.name,
            "decision": told.decision,
            "fraud_probability": told.fraud_probability,
            "fraud_score": score,
            "reasons": told.explanation.reasons,
            **{fact: engine.look.value(record, row, field) for fact, field in self._facts.items()},
            "processed_at": told.decided_at,
        }

    def of_key(self, entity: str, key: str, *, newest: int = 20) -> dict[str, Any]:
        """What was decided about a key, as far as the newest decisions of the detector say: see `SCANNED`.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        counted = Counted()
        found = list(self._about(entity, key, counted))
        ids = [each.record.ids[row] for each in found for row in reversed(each.rows)]
        return {
            "decisions": summed(found),
            "labels": self._labels(ids[:MOST_LABELS], newest),
            "recent": self._newest(found, newest),
            "counted": {
                "decisions": counted.decisions,
                "since": None if counted.since_us is None else iso(counted.since_us),
                "complete": counted.complete,
            },
        }

    def _about(self, entity: str, key: str, counted: "Counted") -> Iterator[Found]:
        """The decisions about a key, the newest record first."""
        engine = self._engine
        key_rows = KeyRows(engine.look, engine.look.table(entity), key)
        held: Record | None = None
        until = time.perf_counter() + SCANNED_S
        for record, _row in engine.ledger.recent(engine.detector.name):
            if record is held:
                continue
            if counted.decisions >= SCANNED or time.perf_counter() > until:
                counted.complete = False
                return
            held = record
            counted.decisions += len(record)
            counted.since_us = int(record.meta["decided_us"])
            rows = key_rows.of(record)
            if rows:
                yield Found(record, rows)

    def _newest(self, found: Sequence[Found], most: int) -> list[msgspec.Raw]:
        """The newest of them, as they were answered."""
        shown: list[bytes] = []
        for record, rows in found:
            shown += self._engine.look.render(record, rows[::-1][: most - len(shown)])
            if len(shown) == most:
                break
        return [msgspec.Raw(decision) for decision in shown]

    def _labels(self, ids: Sequence[str], most: int) -> dict[str, Any]:
        """How many of these transactions are known to be fraud or good, and the newest that are known."""
        tables, name = self._engine.ledger.tables, self._engine.detector.name
        known = [label for label in (tables.label_of(name, transaction_id) for transaction_id in ids) if label is not None]
        counts = Counter(label.fraud for label in known)
        return {"fraud": counts[True], "good": counts[False], "newest": [_shown(label) for label in known[:most]]}


class Counted:
    """How much was looked through."""

    def __init__(self) -> None:
        self.decisions = 0
        self.since_us: int | None = None
        self.complete = True


def facts_of(detector: Detector) -> dict[str, str]:
    """Which fields of a detector's events are what every payment has: amount, type, origin and destination.

    Origin and destination are the two roles of an entity that has two, in their order, or fields of these names; the type
    is the field of this name, or the only text that ends in `_type`.
    """
    schema = detector.schema
    texts = [name for name, type_ in schema.columns.items() if type_ is Type.TEXT]
    typed = ["type"] if "type" in texts else [name for name in texts if name.endswith("_type")]
    facts: dict[str, str | None] = {"amount": schema.amount, "type": typed[0] if len(typed) == 1 else None}
    entities = [plan.entity for plan in detector.plan.entities]
    two = next((entity.fields for entity in entities if len(entity.roles) == 2), None)
    if two is not None:
        facts |= zip(("origin", "destination"), two, strict=True)
    for fact, names in (("origin", _ORIGINS), ("destination", _DESTINATIONS)):
        facts.setdefault(fact, next((name for name in names if name in schema.columns), None))
    return {fact: field for fact, field in facts.items() if field is not None}


def summed(found: Sequence[Found]) -> dict[str, Any]:
    """Counts by action, the highest score, and when the first and the last of these events took place."""
    counts = np.zeros(len(Action), np.int64)
    highest, times = math.nan, []
    for record, rows in found:
        columns: Any = record.columns
        counts += np.bincount(columns["action"][rows], minlength=len(Action))
        highest = float(np.fmax(highest, np.fmax.reduce(columns["scores"][rows, 0])))
        times += [int(record.time_us[rows].min()), int(record.time_us[rows].max())]
    return {
        "total": int(counts.sum()),
        **{action.name.lower(): int(counts[action.value]) for action in Action},
        "highest_score": None if math.isnan(highest) else highest,
        "first_seen": iso(min(times)) if times else None,
        "last_seen": iso(max(times)) if times else None,
    }


def _shown(label: Label) -> dict[str, Any]:
    return {
        "transaction_id": label.transaction_id,
        "fraud": label.fraud,
        "kind": label.kind,
        "source": label.source,
        "known_at": iso(label.known_us),
    }
