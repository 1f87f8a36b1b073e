"""The case: a decision for a person to review, with its holder and verdict."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.cases.policy import NORMAL, CasePolicy
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

ORDERS = ("priority", "expected_loss", "due", "newest", "oldest")
STATES = ("open", "taken", "escalated", "decided")
QUEUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
"""The names of queues."""

UNDECIDED = "undecided"
"""A filter's value for every case that is not decided."""


class EntityKey(msgspec.Struct, frozen=True):
    """One key of the transaction."""

    entity: str
    key: str


class NewCase(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that becomes a case, or joins the open case of its subject.

    origin: `review`, `sample` or `manual`; propensity: the probability of being chosen. expected_loss: see
    `expected_loss`. reason: the first of the decision's reasons, as a sentence. currency: of the amount, None if the
    detector declares none. named: the fields that name the event in one line. subject: whose case it is; None for a case
    by itself. policy: how long cases collect, and their priorities.
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
    keys: tuple[EntityKey, ...] = ()
    currency: str | None = None
    named: tuple[NamedField, ...] = ()
    subject: EntityKey | None = None
    policy: CasePolicy = CasePolicy()


class Known(msgspec.Struct, frozen=True):
    """An external outcome of a transaction: a chargeback, a dispute."""

    detector: str
    transaction_id: str
    fraud: bool
    source: str
    known_us: int


class Case(msgspec.Struct, frozen=True):
    """A case at one instant. state: open, taken (until `locked_until_us`), escalated or decided.

    transaction_id, event_us, named: of its first transaction. amount, expected_loss: of all its transactions. score,
    decision, reason: of the one with the highest score. version: grows with every change but notes; verdicts name the
    version they are based on. known_*: the external outcome, fraud if any transaction was. currency: of amount and
    expected_loss; None if the detector declares none, or version 0.1 opened the case. named: none where version 0.2 or an
    earlier one opened the case. transactions: their number. assignee: who is to decide it. due_us: until when.
    priority: see `PRIORITIES`. opinion_*: the second opinion that `opinion_by` asks of a person or a role, and what they
    said first. undo_by: who may undo the last verdict, until `undo_until_us`.
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
    transactions: int = 1
    assignee: str | None = None
    due_us: int | None = None
    priority: int = NORMAL
    opinion_of: str | None = None
    opinion_by: str | None = None
    opinion_verdict: str | None = None
    opinion_reason: str | None = None
    undo_by: str | None = None
    undo_until_us: int | None = None
    named: tuple[NamedField, ...] = ()
    tags: tuple[str, ...] = ()
    subject: EntityKey | None = None


class CaseMember(msgspec.Struct, frozen=True):
    """One transaction of a case, with its own verdict. own: the verdict was given to it alone, not to the case."""

    transaction_id: str
    origin: str
    propensity: float
    decision: str
    score: float | None
    amount: float | None
    expected_loss: float
    reason: str | None
    event_us: int
    added_us: int
    verdict: str | None
    reason_code: str | None
    decided_by: str | None
    decided_us: int | None
    own: bool
    known_fraud: bool | None
    known_source: str | None
    known_us: int | None
    currency: str | None
    named: tuple[NamedField, ...] = ()


class Happening(msgspec.Struct, frozen=True):
    """One line of a case's history."""

    at_us: int
    who: str
    action: str
    details: dict[str, Any]


class PendingVerdict(msgspec.Struct, frozen=True):
    """A verdict on a transaction that has not been submitted as a label yet. version: of the verdict on it."""

    case_id: str
    version: int
    detector: str
    transaction_id: str
    fraud: bool
    kind: str


def case_id(detector: str, transaction_id: str) -> str:
    """The id of the case that a transaction opens; safe in URLs.

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
