"""The data types that pass between the stages, in the order of the path. Read this first.

Inside, events travel in micro-batches held as columns. Numbers, booleans and times of all kinds stand in one float64
matrix, one row per event; texts are 64-bit codes in a second matrix (`penstock.codes`). A `Layout` names the columns. Rows
become objects again only at the edges: the request that came in, the decision that goes out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

# ---------------------------------------------------------------- columns


MAX_TEXT = 8192
"""The longest text that is expected in a column, unless it says otherwise."""


class Type(Enum):
    """The type of a column or expression. Null is NaN in numbers, booleans and times, and code 0 in texts."""

    NUMBER = "number"
    BOOLEAN = "boolean"  # 1.0, 0.0
    TIME = "time"  # microseconds since 1970-01-01 UTC: exact in float64 until the year 2255
    TEXT = "text"  # a 64-bit code in `Batch.codes`


@dataclass(frozen=True, slots=True)
class Column:
    """One named column: in `Batch.codes` where its type is TEXT, else in `Batch.x`; a text has at most so many characters."""

    name: str
    type: Type
    index: int
    max_characters: int = MAX_TEXT


class Layout(Mapping[str, Column]):
    """Which column stands where; columns are only ever added.

    >>> layout = Layout()
    >>> layout.add("amount", Type.NUMBER).index, layout.add("customer_id", Type.TEXT).index
    (0, 0)
    """

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}
        self.width = 0
        self.text_width = 0

    def add(self, name: str, type: Type, max_characters: int = MAX_TEXT) -> Column:
        """Append a column. The caller has made sure that the name is new."""
        if type is Type.TEXT:
            column = Column(name, type, self.text_width, max_characters)
            self.text_width += 1
        else:
            column = Column(name, type, self.width)
            self.width += 1
        self._columns[name] = column
        return column

    def without(self, *prefixes: str) -> "Layout":
        """The columns before the first whose name begins like this; the others stand behind them."""
        kept = Layout()
        for name, column in self._columns.items():
            if name.startswith(prefixes):
                break
            kept.add(name, column.type, column.max_characters)
        return kept

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


@dataclass(slots=True)
class Batch:
    """Events of one detector, in arrival order, as columns.

    ids: transaction ids, text. kinds: index of the event's type (0 is the transaction itself; the others are the
    informing events in the order of `Detector.informs`). time_us / arrived_us: event time and arrival, microseconds.
    x: float64 (n, layout.width). codes: int64 (n, layout.text_width). texts: the texts themselves by field, as far as
    something later needs them (rendering, the ledger, lookups).
    """

    ids: Sequence[str]
    kinds: NDArray[np.uint8]
    time_us: NDArray[np.int64]
    arrived_us: NDArray[np.int64]
    x: NDArray[np.float64]
    codes: NDArray[np.int64]
    texts: dict[str, Sequence[str | None]]

    def __len__(self) -> int:
        return len(self.ids)


# ---------------------------------------------------------------- decisions


class Action(Enum):
    """The outcomes of decisions and rules, the mildest first."""

    APPROVE = 0
    CHALLENGE = 1
    REVIEW = 2
    BLOCK = 3

    @classmethod
    def named(cls, name: str) -> "Action":
        """The action with this lower-case name."""
        return cls[name.upper()]


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
    """How far one feature moved the score, in log-odds, away from the average event's; value as the models read it, a text
    as it is.
    """

    feature: str
    value: float | str | None
    contribution: float


class Explanation(msgspec.Struct, frozen=True):
    """Why a decision is what it is. contribution_base: the log-odds that contributions start from, where there are any: with
    them it adds up to the log-odds of `fraud_probability`. lowered: the severer outcome that the score, the failure or another
    rule asked for, where the rule that decided lowered it.
    """

    decision_reason: str
    model_confidence: float | None
    reasons: list[Reason]
    rules: list[RuleHit]
    contributions: list[Contribution]
    contribution_base: float | msgspec.UnsetType = msgspec.UNSET
    lowered: str | msgspec.UnsetType = msgspec.UNSET


class Degraded(msgspec.Struct, frozen=True):
    """A part failed or ran out of time, and the policy's `on_failure` decided instead."""

    part: str
    cause: str


class Versions(msgspec.Struct, frozen=True):
    """The versions of everything that took part. lists: of those that rules ask, as `stolen_devices 12-3fa9c1d2, ...`."""

    detector: str
    model: str | None
    rules: str
    lists: str | msgspec.UnsetType = msgspec.UNSET


class Decision(msgspec.Struct, kw_only=True, omit_defaults=False):
    """The decision about one transaction; its JSON form is the public interface."""

    transaction_id: str
    detector: str
    event_time: str
    decided_at: str
    decision: str
    prediction: str
    predicted_class: int
    is_fraud: bool
    fraud_probability: float | None
    scores: dict[str, float | None]
    explanation: Explanation
    features: dict[str, Any]
    model_version: str | None
    versions: Versions
    degraded: Degraded | None
    latency_ms: dict[str, float]
    conflict: bool | msgspec.UnsetType = msgspec.UNSET


class NamedField(msgspec.Struct, frozen=True):
    """One field of the line that names an event. role: `payer`, `payee` or `detail`. entity: the entity whose key the value
    is, None where it is no key.
    """

    field: str
    value: str
    role: str
    entity: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A malformed event or request, in the place of a decision: HTTP status, message, and the fields at fault."""

    status: int
    detail: str
    errors: tuple[tuple[str | None, str], ...] = ()


# ---------------------------------------------------------------- the log


@dataclass(slots=True)
class Record:
    """One entry of the ledger's log: a micro-batch of one kind, as columns.

    kind: `decisions` (events with what was decided), `informing`, `labels`, `loaded` (history: state only). first_seq: the
    sequence number of the first row; rows are consecutive.
    codes: `penstock.codes` of the ids, for the id index. columns: arrays with n rows, or lists of n texts (None is
    null). meta: small facts about the whole batch (versions, layout id, timings).
    """

    kind: str
    detector: str
    first_seq: int
    ids: list[str]
    codes: NDArray[np.int64]
    time_us: NDArray[np.int64]
    arrived_us: NDArray[np.int64]
    columns: dict[str, "NDArray[Any] | list[str | None]"] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)
