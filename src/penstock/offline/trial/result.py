"""Result types of a comparison of champion and candidate."""

from datetime import datetime

import msgspec

from penstock.offline.backtest import Truth
from penstock.outcomes import Estimate, Method, Rate


class Amount(msgspec.Struct, frozen=True):
    """An amount of money in the currency of the events, and its interval by resampling whole periods."""

    value: float
    low: float
    high: float


class Times(msgspec.Struct, frozen=True):
    """Durations of scoring, in milliseconds."""

    p50: float | None
    p99: float | None


class Side(msgspec.Struct, frozen=True):
    """Actual or hypothetical figures of one side over all events.

    decisions: counts. block_rate, review_rate, approval_rate: of all. precision: how many of those that it stopped are
    fraud, of those of known outcome; recall: how many of the known frauds it stopped; neither has a value below 30 known
    outcomes. unobjected: how many of the known good ones that it stopped are good only because nobody objected within the
    label delay. loss: amounts of known frauds that it approved; good_stopped: of good ones that it stopped; None where
    events have no amount. scores: how many lie in each twentieth; None for rules.
    """

    decisions: dict[str, int]
    block_rate: Rate
    review_rate: Rate
    approval_rate: Rate
    precision: Rate
    recall: Rate
    loss: float | None
    good_stopped: float | None
    latency_ms: Times | None = None
    scores: list[int] | None = None
    unobjected: int = 0


class Part(msgspec.Struct, frozen=True):
    """A period, or all of them together.

    since: its beginning; None for all. events: that both judged; errors: further ones that the candidate could not.
    agreement: how many were decided the same. matrix: counts by (champion's decision, candidate's decision). truth: known
    outcomes. block_rate_change: the candidate's less the champion's, on the same events.
    """

    since: datetime | None
    events: int
    errors: int
    agreement: Rate
    matrix: dict[str, dict[str, int]]
    truth: Truth
    champion: Side
    candidate: Side
    block_rate_change: Rate


class Blocks(msgspec.Struct, frozen=True):
    """Estimates of the value of blocks from the control share: each event let through stands for 1 / share events.

    blocked: how many were. let_through: how many would have been, and were not. known: of how many of these the truth is
    known, and fraud: how many were. precision: of would-be blocks. fraud_prevented, good_blocked: what the frauds and the
    good ones among the blocked were worth; good_stopped: the latter without its interval. Estimates are None below 30 known
    outcomes, and amounts are None where events have none.
    """

    blocked: int
    let_through: int
    known: int
    fraud: int
    precision: Estimate
    good_stopped: float | None
    method: Method = "control_share"
    fraud_prevented: Amount | None = None
    good_blocked: Amount | None = None


class Compared(msgspec.Struct, frozen=True):
    """Comparison of a candidate with the champion on the same recorded events.

    trial: `model`, or the name of a candidate rule with its version. candidate: the version of a model. since, until: of
    arrival. period: `hour` or `day`. loss_caught, good_stopped: the candidate's effect in money: additional loss caught,
    and good revenue stopped. blocks: estimates from the control share, where there is one.
    """

    detector: str
    trial: str
    candidate: str
    since: datetime | None
    until: datetime | None
    period: str
    total: Part
    parts: list[Part]
    loss_caught: Amount | None
    good_stopped: Amount | None
    blocks: Blocks | None
    notes: list[str]
    seconds: float
