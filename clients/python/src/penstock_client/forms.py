"""The answers of the service. Fields that a newer service adds are ignored."""

from typing import Any, Literal

import msgspec

Outcome = Literal["APPROVE", "CHALLENGE", "REVIEW", "BLOCK"]


class Reason(msgspec.Struct, frozen=True):
    """One sentence for a person, with a stable code: what was seen, the value, what is usual."""

    code: str
    text: str
    feature: str | None = None
    value: bool | float | str | None = None
    usual: bool | float | str | None = None


class RuleHit(msgspec.Struct, frozen=True):
    """A rule that fired and what it asked for, with the values it read."""

    name: str
    action: str
    values: dict[str, Any] = {}


class Contribution(msgspec.Struct, frozen=True):
    """How far one feature moved the score, in log-odds."""

    feature: str
    value: float | str | None
    contribution: float


class Explanation(msgspec.Struct, frozen=True):
    """Why a decision is what it is."""

    decision_reason: str
    model_confidence: float | None = None
    reasons: list[Reason] = []
    rules: list[RuleHit] = []
    contributions: list[Contribution] = []


class Degraded(msgspec.Struct, frozen=True):
    """A part failed or ran out of time, and the policy's `on_failure` decided instead."""

    part: str
    cause: str


class Decision(msgspec.Struct, frozen=True):
    """The decision about one transaction. Instants are ISO 8601, in UTC; probabilities are from 0 to 1.

    explanation, features, scores: empty where `explain` was false.
    """

    transaction_id: str
    detector: str
    event_time: str
    decided_at: str
    decision: Outcome
    fraud_probability: float | None
    model_version: str | None
    explanation: Explanation = Explanation("")
    features: dict[str, Any] = {}
    scores: dict[str, float | None] = {}
    degraded: Degraded | None = None
    conflict: bool = False


class Review(msgspec.Struct, frozen=True):
    """The state of a transaction's case, and its verdict."""

    case_id: str
    state: Literal["open", "taken", "escalated", "decided"]
    verdict: Literal["fraud", "good", "unsure"] | None = None
    reason: str | None = None
    decided_at: str | None = None


class Status(msgspec.Struct, frozen=True):
    """The status of a transaction: pending while nothing is known of it. review: None while it has no case."""

    transaction_id: str
    status: Literal["pending", "processed"]
    detector: str | None = None
    decision: Outcome | None = None
    fraud_probability: float | None = None
    reasons: list[Reason] = []
    processed_at: str | None = None
    review: Review | None = None


class LabelAnswer(msgspec.Struct, frozen=True):
    """A label that is on disk."""

    transaction_id: str
    fraud: bool
    known_at: str


class FieldError(msgspec.Struct, frozen=True):
    """One invalid field; None for the whole event."""

    field: str | None
    message: str


class Problem(msgspec.Struct, frozen=True):
    """A refused request, as RFC 9457 has it."""

    detail: str = ""
    code: str = ""
    errors: list[FieldError] = []


# made here, by the one thread that imports this: msgspec prepares a type without a lock
read_decision = msgspec.json.Decoder(Decision).decode
read_status = msgspec.json.Decoder(Status).decode
read_label = msgspec.json.Decoder(LabelAnswer).decode
read_problem = msgspec.json.Decoder(Problem).decode
