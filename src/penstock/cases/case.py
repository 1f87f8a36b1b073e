"""The case: a decision for a person to review, with its holder and verdict."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.errors import MalformedEvent, did_you_mean
from penstock.messages import NamedField

REVIEW = "review"
"""The queue of decisions to review, and the origin of their cases."""

SAMPLE = "sample"
"""The queue of the random sample of all other decisions, and the origin of its cases."""

MANUAL = "manual"
"""The origin of cases that a person opened; they wait in the queue of reviews."""

SOURCE = "analyst"
"""The source of labels from verdicts."""

REASONS: Mapping[str, tuple[str, ...]] = {
    "fraud": (
        "account_takeover",
        "card_stolen",
        "card_testing",
        "synthetic_identity",
        "first_party",
        "scam",
        "money_mule",
        "merchant_fraud",
    ),
    "good": ("customer_confirmed", "known_behaviour", "known_device", "false_alarm"),
    "unsure": ("no_answer", "too_little_evidence"),
}
"""The verdicts, and the reason codes of each; the kind of a label is the reason code where one is given."""

ORDERS = ("expected_loss", "newest", "oldest")
STATES = ("open", "taken", "escalated", "decided")
UNDECIDED = "undecided"
"""A filter's value for every case that is not decided."""


class Key(msgspec.Struct, frozen=True):
    """One key of the transaction."""

    entity: str
    key: str


class NewCase(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that becomes a case. origin: `review`, `sample` or `manual`; propensity: the probability of being chosen.

    expected_loss: see `expected_loss`. reason: the first of the decision's reasons, as a sentence. currency: of the
    amount, None if the detector declares none. named: the fields that name the event in one line.
    """

    detector: str
    transaction_id: str
    origin: str
    propensity: float
    decision: str
    score: float | None
    amount: float | None
    expected_loss: float
    reason: str | None
    event_us: int
    keys: tuple[Key, ...] = ()
    currency: str | None = None
    named: tuple[NamedField, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """An external outcome of a transaction: a chargeback, a dispute."""

    detector: str
    transaction_id: str
    fraud: bool
    source: str
    known_us: int


class Case(msgspec.Struct, frozen=True):
    """A case at one instant. state: open, taken (until `locked_until_us`), escalated or decided.

    version: grows with every change but notes; verdicts name the version they are based on. known_*: the external
    outcome. currency: of amount and expected_loss; None if the detector declares none, or version 0.1 opened the case.
    named: the fields that name the event in one line; none where version 0.2 or an earlier one opened the case.
    """

    id: str
    detector: str
    transaction_id: str
    origin: str
    propensity: float
    queue: str
    state: str
    decision: str
    score: float | None
    amount: float | None
    expected_loss: float
    reason: str | None
    event_us: int
    opened_us: int
    owner: str | None
    locked_until_us: int | None
    escalations: int
    verdict: str | None
    reason_code: str | None
    decided_by: str | None
    decided_us: int | None
    known_fraud: bool | None
    known_source: str | None
    known_us: int | None
    version: int
    currency: str | None = None
    named: tuple[NamedField, ...] = ()


class Happening(msgspec.Struct, frozen=True):
    """One line of a case's history."""

    at_us: int
    who: str
    action: str
    details: dict[str, Any]


class PendingVerdict(msgspec.Struct, frozen=True):
    """A verdict that has not been submitted as a label yet."""

    case_id: str
    version: int
    detector: str
    transaction_id: str
    fraud: bool
    kind: str


def case_id(detector: str, transaction_id: str) -> str:
    """The id of the one case that a transaction can have; safe in URLs.

    >>> case_id("banking", "tx1")
    'c07a6a10b17c0fa2a'
    """
    return "c" + hashlib.blake2b(f"{detector}\0{transaction_id}".encode(), digest_size=8).hexdigest()


def expected_loss(score: float | None, amount: float | None, *, has_amount: bool) -> float:
    """The expected loss of approving the transaction: probability times amount.

    Without a model score, a rule alone asked for the review, and the probability is unknown: the whole amount counts. If
    the detector has no amount, it is the probability alone.

    >>> expected_loss(0.5, 80.0, has_amount=True), expected_loss(None, 80.0, has_amount=True)
    (40.0, 80.0)
    >>> expected_loss(0.5, None, has_amount=False)
    0.5
    """
    probability = 1.0 if score is None else score
    return probability * (amount or 0.0) if has_amount else probability


def check_verdict(verdict: str, reason: str | None) -> None:
    """Validate a verdict and its reason code.

    Raises:
        MalformedEvent: unknown verdict, or the reason code does not belong to it.
    """
    if verdict not in REASONS:
        raise MalformedEvent(f"verdict {verdict!r} is not known.{did_you_mean(verdict, REASONS)}", "verdict")
    if reason is not None and reason not in REASONS[verdict]:
        hint = did_you_mean(reason, REASONS[verdict])
        raise MalformedEvent(f"reason {reason!r} is not one for the verdict {verdict}.{hint}", "reason")
