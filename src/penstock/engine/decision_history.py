"""What became of one transaction, and what was decided about one key: recorded decisions in the forms that people ask for."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from penstock.clock import iso
from penstock.detector import Detector
from penstock.engine.recent_decisions import Chunk, joined
from penstock.errors import MalformedEvent
from penstock.ledger import Label
from penstock.messages import Action, Type

if TYPE_CHECKING:
    from penstock.engine.engine import Engine

_ORIGINS, _DESTINATIONS = ("origin", "nameOrig"), ("destination", "nameDest")


class _Told(msgspec.Struct):
    """What is read of a decision as it was answered."""

    decided_at: str
    decision: str
    fraud_probability: float | None
    explanation: "_Explained"


class _Explained(msgspec.Struct):
    reasons: list[dict[str, Any]]


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
        told = msgspec.json.decode(engine.queries.render(record, [row])[0], type=_Told)
        score = None if told.fraud_probability is None else round(100 * told.fraud_probability, 2)
        return {
            "transaction_id": transaction_id,
            "detector": engine.detector.name,
            "decision": told.decision,
            "fraud_probability": told.fraud_probability,
            "fraud_score": score,
            "reasons": told.explanation.reasons,
            **{fact: engine.queries.value(record, row, field) for fact, field in self._facts.items()},
            "processed_at": told.decided_at,
        }

    def of_key(self, entity: str, key: str, *, newest: int = 20) -> dict[str, Any]:
        """What was decided about a key, as far as the newest decisions of the detector say: see `recent`.

        Raises:
            DeclarationError: the detector has no such entity.
        """
        seen = self._engine.recent_decisions.seen()
        try:
            chunk = seen.about(entity, [self._engine.recent_decisions.code_of(entity, key)])
        except MalformedEvent:  # it cannot be a key, so nothing was ever decided about it
            chunk = joined([])
        seqs: list[int] = chunk.seqs[::-1].tolist()
        return {
            "decisions": summed(chunk),
            "labels": self._labels(seqs, newest),
            "recent": self._newest(seqs[:newest]),
            "counted": {
                "decisions": seen.total,
                "since": None if seen.since_us is None else iso(seen.since_us),
                "complete": seen.complete,
            },
        }

    def _newest(self, seqs: Sequence[int]) -> list[msgspec.Raw]:
        """These decisions, as they were answered."""
        found = [self._engine.ledger.record_of(seq) for seq in seqs]
        return [msgspec.Raw(self._engine.queries.render(each[0], [each[1]])[0]) for each in found if each is not None]

    def _labels(self, seqs: Sequence[int], most: int) -> dict[str, Any]:
        """How many of these decisions are known to be fraud or good, and the newest that are known."""
        ledger = self._engine.ledger
        known = self._engine.label_outcomes.of(seqs)
        found = [ledger.record_of(seq) for seq in list(known)[:most]]
        labels = [self._engine.queries.label(*each) for each in found if each is not None]
        counts = Counter(known.values())
        return {
            "fraud": counts[True],
            "good": counts[False],
            "newest": [_shown(label) for label in labels if label is not None],
        }


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


def summed(chunk: Chunk) -> dict[str, Any]:
    """Counts by action, the highest score, and when the first and the last of these events took place."""
    counts = np.bincount(chunk.action, minlength=len(Action))
    highest = float(np.fmax.reduce(chunk.scores)) if len(chunk) else math.nan
    return {
        "total": len(chunk),
        **{action.name.lower(): int(counts[action.value]) for action in Action},
        "highest_score": None if math.isnan(highest) else highest,
        "first_seen": iso(int(chunk.time_us.min())) if len(chunk) else None,
        "last_seen": iso(int(chunk.time_us.max())) if len(chunk) else None,
    }


def _shown(label: Label) -> dict[str, Any]:
    return {
        "transaction_id": label.transaction_id,
        "fraud": label.fraud,
        "kind": label.kind,
        "source": label.source,
        "known_at": iso(label.known_us),
    }
