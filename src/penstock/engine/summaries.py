"""Recorded decisions in one line each: what names the event, what was decided, and the first reason.

What names an event is its amount with the currency, and the fields that its detector declares as the headline.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock.decoding import prepared
from penstock.detector import Detector
from penstock.engine.record_reader import RecordReader
from penstock.features.money import Money
from penstock.messages import Degraded, NamedField, Record
from penstock.wording import key_text

_ROLES = {0: "payer", 1: "payee"}
"""The roles of the first fields of `Detector.headline`."""


class Headline(msgspec.Struct, frozen=True):
    """The headline of an event: the fields that name it in one line."""

    amount: float | None
    currency: str | None
    named: list[NamedField]


class DecisionSummary(msgspec.Struct, kw_only=True):
    """A recorded decision in one line."""

    transaction_id: str
    detector: str
    event_time: str
    decided_at: str
    decision: str
    fraud_probability: float | None
    decision_reason: Annotated[str, Meta(description="The code of who decided: a rule, or `ml_probability`.")]
    reason: Annotated[str | None, Meta(description="The first reason, as a sentence; null for what was approved.")]
    degraded: Annotated[bool, Meta(description="A part failed, and the policy for failures decided.")]
    amount: Annotated[float | None, Meta(description="What it is worth; null where the event does not say.")]
    currency: Annotated[str | None, Meta(description="Of the amount; null where the detector declares none.")]
    named: Annotated[list[NamedField], Meta(description="Who pays, who is paid, and further fields of the headline.")]


class _Reason(msgspec.Struct):
    text: str


class _SummaryExplanation(msgspec.Struct):
    decision_reason: str
    reasons: list[_Reason]


class _Answered(msgspec.Struct):
    """The fields read from a decision's JSON."""

    transaction_id: str
    detector: str
    event_time: str
    decided_at: str
    decision: str
    fraud_probability: float | None
    explanation: _SummaryExplanation
    degraded: Degraded | None


class HeadlineReader:
    """Reads the headlines of a detector's recorded events."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._entities = _entities(detector)
        moneys = (each for each in detector.features if isinstance(each, Money))
        self._money = next((each for each in moneys if each.amount == detector.schema.amount), None)

    def of(self, reader: RecordReader, record: Record, row: int) -> Headline:
        """The headline of one event."""
        amount, currency = self.worth(reader, record, row)
        named = []
        for place, name in enumerate(self._detector.headline):
            value = None if name is None else reader.value(record, row, name)
            if name is not None and value is not None:
                named.append(NamedField(name, key_text(value), _ROLES.get(place, "detail"), self._entities.get(name)))
        return Headline(amount, currency, named)

    def worth(self, reader: RecordReader, record: Record, row: int) -> tuple[float | None, str | None]:
        """The amount of an event, converted by the detector's `Money`, with its currency if declared.

        Without a rate it is the event's original amount, in the currency of its field.
        """
        detector, money = self._detector, self._money
        converted = None if money is None else reader.value(record, row, money.name)
        if money is not None and isinstance(converted, float):
            return converted, money.to
        value = None if detector.schema.amount is None else reader.value(record, row, detector.schema.amount)
        if not isinstance(value, float):
            return None, None
        field = detector.currency_field if money is None else money.currency
        named = detector.currency if field is None else reader.value(record, row, field)
        return value, named if isinstance(named, str) else None


class SummaryReader:
    """Summaries of the recorded decisions of one detector."""

    def __init__(self, detector: Detector, reader: RecordReader) -> None:
        self._reader, self._headlines = reader, HeadlineReader(detector)

    def of(self, record: Record, rows: Sequence[int]) -> list[bytes]:
        """The summaries of some rows of a record, as JSON."""
        return [self._one(record, *each) for each in zip(rows, self._reader.render(record, rows), strict=True)]

    def _one(self, record: Record, row: int, decision: bytes) -> bytes:
        answered = msgspec.json.decode(decision, type=prepared(_Answered))
        headline, explanation = self._headlines.of(self._reader, record, row), answered.explanation
        return msgspec.json.encode(
            DecisionSummary(
                transaction_id=answered.transaction_id,
                detector=answered.detector,
                event_time=answered.event_time,
                decided_at=answered.decided_at,
                decision=answered.decision,
                fraud_probability=answered.fraud_probability,
                decision_reason=explanation.decision_reason,
                reason=explanation.reasons[0].text if explanation.reasons else None,
                degraded=answered.degraded is not None,
                amount=headline.amount,
                currency=headline.currency,
                named=headline.named,
            )
        )


def _entities(detector: Detector) -> Mapping[str, str]:
    """The entity of which each field is the whole key, by field."""
    found: dict[str, str] = {}
    for plan in detector.plan.entities:
        for role in plan.keys:
            if len(role) == 1:
                found.setdefault(role[0].name, plan.entity.name)
    return found
