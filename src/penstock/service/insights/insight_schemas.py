"""Response schemas of `/insights`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from penstock.cases.queues import CurrencySum
from penstock.outcomes import Estimate, EstimatedFraud, Rate

RangeName = Literal["5m", "1h", "24h", "30d"]
"""The time range."""

Count = Annotated[int, Meta(ge=0)]
Money = Annotated[float, Meta(description="In the currency of `currency`, or of the events where that is null.")]


class Outcomes(msgspec.Struct):
    """Number of decisions by outcome."""

    approve: Annotated[Count, Meta(description="Let through.")]
    challenge: Annotated[Count, Meta(description="Let through after a further proof.")]
    review: Annotated[Count, Meta(description="Held for a person.")]
    block: Annotated[Count, Meta(description="Refused.")]


class Looked(msgspec.Struct, kw_only=True):
    """The decisions that the figures cover, by decision time."""

    detector: Annotated[str | None, Meta(description="The detector that was named; null: all that are served.")]
    range: Annotated[RangeName, Meta(description="How far back was asked.")]
    since: Annotated[str, Meta(description="The instant with which it begins: that of its first bucket.")] = msgspec.field(
        name="from"
    )
    until: Annotated[str, Meta(description="The instant it was answered.")] = msgspec.field(name="to")
    counted_since: Annotated[str, Meta(description="Nothing that was decided before this instant is counted, if it is later.")]


# ---------------------------------------------------------------- summary


class Amounts(msgspec.Struct):
    """Amounts by outcome."""

    total: Annotated[Money, Meta(description="Of all decisions.")]
    approve: Annotated[Money, Meta(description="Of those let through.")]
    challenge: Annotated[Money, Meta(description="Of those challenged.")]
    review: Annotated[Money, Meta(description="Of those held for a person.")]
    block: Annotated[Money, Meta(description="Of those refused.")]


class SomeDecisions(msgspec.Struct):
    """A number of decisions, with their amount."""

    count: Annotated[Count, Meta(description="How many.")]
    amount: Annotated[float | None, Meta(description="What they were worth together; null where events do not say.")]


class Truths(msgspec.Struct):
    """Known outcomes of the decisions in the range, from labels. Rates are of known outcomes, with Wilson's 95 % interval."""

    fraud: Annotated[Count, Meta(description="Known to be fraud.")]
    good: Annotated[Count, Meta(description="Known to be good.")]
    unknown: Annotated[Count, Meta(description="Of unknown outcome: no label is known yet.")]
    fraud_rate: Annotated[float | None, Meta(description="fraud / (fraud + good); null below 30 known outcomes.")]
    complete: Annotated[
        bool, Meta(description="All labels of the range are counted; false while older ones are still being read.")
    ]
    known: Annotated[Count, Meta(description="fraud + good: what the rate is taken over.")]
    fraud_rate_low: Annotated[float | None, Meta(description="The lower end of its interval.")]
    fraud_rate_high: Annotated[float | None, Meta(description="The upper end.")]
    precision: Annotated[Rate, Meta(description="Of the known outcomes that were not approved: the share of fraud.")]
    recall: Annotated[Rate, Meta(description="Of the known frauds: the share that was not approved.")]
    false_positive_rate: Annotated[Rate, Meta(description="Of the known good ones: the share that was not approved.")]


class Prevented(msgspec.Struct):
    """Blocked transactions by known outcome. The parts do not overlap; only `known` is prevented fraud."""

    known: Annotated[SomeDecisions, Meta(description="Blocked, and known to be fraud: prevented.")]
    presumed: Annotated[SomeDecisions, Meta(description="Blocked, outcome unknown; deprecated: `blocks.unknown` is its name.")]
    mistaken: Annotated[SomeDecisions, Meta(description="Blocked, and known to be good: false positives.")]


class BlockOutcomes(msgspec.Struct):
    """The precision of blocks, measured and estimated."""

    unknown: Annotated[SomeDecisions, Meta(description="Blocked, outcome unknown: not counted as prevented.")]
    precision: Annotated[Rate, Meta(description="Of the blocks of known outcome: the share of fraud.")]
    estimate: Annotated[
        EstimatedFraud | None,
        Meta(description="Fraud among all blocks, known or not, as estimated; null where no model scored them."),
    ]


class CurrencyFigures(msgspec.Struct):
    """The amounts of the detectors whose events are in one currency."""

    currency: Annotated[str | None, Meta(description="Their currency; null where they declare none.")]
    amounts: Annotated[Amounts, Meta(description="What the events were worth.")]
    prevented: Annotated[Prevented, Meta(description="What was blocked, by what is known of it.")]
    blocks: Annotated[BlockOutcomes, Meta(description="How right blocks were, and what is estimated of them.")]
    missed: Annotated[SomeDecisions, Meta(description="Approved, and known to be fraud.")]


class AtRisk(msgspec.Struct):
    """Open cases and what they are worth, whatever the range."""

    cases: Annotated[Count, Meta(description="Cases that nobody has decided.")]
    amount: Annotated[
        float | None, Meta(description="What their transactions are worth; null where no event says, or in several currencies.")
    ]
    expected_loss: Annotated[
        float | None, Meta(description="Probability of fraud times amount, of all; null where that is in several currencies.")
    ]
    oldest_at: Annotated[str | None, Meta(description="When the oldest of them was opened; null where none waits.")]
    oldest_age_s: Annotated[float | None, Meta(description="How long that is ago, in seconds.")]
    amounts: Annotated[list[CurrencySum], Meta(description="What their transactions are worth, by currency.")]


class StageLatency(msgspec.Struct):
    """The latency of a stage of deciding, in milliseconds. Every decision waits for its whole micro-batch, and counts so."""

    stage: Annotated[str, Meta(description="decode, features, models, challenger, rules, explain, or total: of all of these.")]
    p50: Annotated[float | None, Meta(description="Half of the decisions took no longer; to within 5 %.")]
    p99: Annotated[float | None, Meta(description="Of a hundred decisions 99 took no longer; to within 5 %.")]


class CallerLatency(msgspec.Struct):
    """The latency that callers of this process saw, until their decisions were durable, in milliseconds."""

    p50: Annotated[float | None, Meta(description="Half of the newest waited no longer; null before anybody asked.")]
    p95: Annotated[float | None, Meta(description="95 of a hundred waited no longer.")]
    p99: Annotated[float | None, Meta(description="99 of a hundred waited no longer.")]
    newest: Annotated[Count, Meta(description="Of so many newest requests, whatever the range.")]


class Latencies(msgspec.Struct):
    """Latencies of deciding."""

    stages: Annotated[list[StageLatency], Meta(description="In their order; only those that were measured in the range.")]
    callers: Annotated[CallerLatency, Meta(description="What callers saw.")]


class InsightSummary(Looked, kw_only=True):
    """Decisions in the range, their known outcomes, and open cases."""

    processed: Annotated[Count, Meta(description="Decisions of the range.")]
    per_second: Annotated[float, Meta(description="Decisions a second within the last ten, whatever the range.")]
    outcomes: Annotated[Outcomes, Meta(description="The same by outcome.")]
    stopped_rate: Annotated[float | None, Meta(description="Share that was not approved; null where nothing was decided.")]
    amounts: Annotated[
        Amounts | None, Meta(description="What they were worth; null where events do not say, or are in several currencies.")
    ]
    currency: Annotated[str | None, Meta(description="Of all amounts; null where the detector declares none, or they differ.")]
    by_currency: Annotated[
        list[CurrencyFigures], Meta(description="Amounts by currency: they are never added up across currencies.")
    ]
    labels: Annotated[Truths, Meta(description="What is known of them.")]
    prevented: Annotated[Prevented, Meta(description="What was blocked, by what is known of it.")]
    blocks: Annotated[BlockOutcomes, Meta(description="How right blocks were, and what is estimated of them.")]
    missed: Annotated[SomeDecisions, Meta(description="Approved, and known to be fraud.")]
    at_risk: Annotated[AtRisk | None, Meta(description="What waits for people; null where this service keeps no cases.")]
    latency_ms: Annotated[Latencies, Meta(description="How long deciding took.")]


# ---------------------------------------------------------------- distributions


class ValueBin(Outcomes):
    """Decisions with a value from `low` up to, and without, `high`; the last bin includes greater values."""

    low: Annotated[float, Meta(description="Where it begins; the first one holds what is below, too.")]
    high: Annotated[float, Meta(description="Where it ends.")]


class ScoreBins(msgspec.Struct):
    """Decisions by probability of fraud."""

    bins: Annotated[list[ValueBin], Meta(description="20 of the same width between 0 and 1.")]
    unscored: Annotated[Outcomes, Meta(description="Decisions without a probability: no model, or it failed.")]


class AmountBins(msgspec.Struct):
    """Decisions by amount."""

    field: Annotated[str | None, Meta(description="The field that says so; null where several detectors are shown together.")]
    currency: Annotated[str | None, Meta(description="Its currency; null where the detector declares none.")]
    bins: Annotated[list[ValueBin], Meta(description="Four to each power of ten, from 0.1 to 10,000,000: those between the "
                                                "lowest and the highest that hold anything.")]  # fmt: skip
    unknown: Annotated[Outcomes, Meta(description="Decisions that say nothing of it.")]


class CategoryCount(Outcomes):
    """Decisions with one value of the category."""

    value: Annotated[str | None, Meta(description="The value as it is recorded; null where the event has none.")]


class Categories(msgspec.Struct):
    """Decisions by the detector's main category."""

    field: Annotated[str, Meta(description="The field, or the first in the order of declaration that few values fill.")]
    values: Annotated[list[CategoryCount], Meta(description="The most frequent 20, the most frequent first.")]
    other: Annotated[Outcomes, Meta(description="All others.")]


class HourCount(Outcomes):
    """Decisions with an event time in one hour of the day."""

    hour: Annotated[int, Meta(ge=0, le=23, description="The hour of the day.")]


class Hours(msgspec.Struct):
    """Decisions by hour of the day."""

    zone: Annotated[str, Meta(description="The time zone of the hours: UTC.")]
    bins: Annotated[list[HourCount], Meta(description="24, from 0 to 23.")]


class InsightDistributions(Looked, kw_only=True):
    """Distributions of the decisions in the range, by outcome."""

    processed: Annotated[Count, Meta(description="Decisions of the range.")]
    score: Annotated[ScoreBins, Meta(description="By probability of fraud.")]
    amount: Annotated[
        AmountBins | None, Meta(description="By amount; null where events do not say, or are in several currencies.")
    ]
    category: Annotated[
        Categories | None,
        Meta(description="By main category; null where the detector has none, or several detectors are shown together."),
    ]
    hour: Annotated[Hours, Meta(description="By hour of the day of the event.")]


# ---------------------------------------------------------------- series


class Point(Outcomes):
    """Decisions in one bucket."""

    at: Annotated[str, Meta(description="The instant with which it begins.")]
    amount: Annotated[
        float, Meta(description="What the decided events were worth; 0 where they do not say, or are in several currencies.")
    ]
    amount_blocked: Annotated[float, Meta(description="What the blocked ones were worth.")]


class InsightSeries(Looked, kw_only=True):
    """Decisions over time."""

    step: Annotated[int, Meta(description="Length of a bucket, in seconds: 5 (5m), 60 (1h), 900 (24h), 21,600 (30d).")]
    points: Annotated[
        list[Point], Meta(description="Buckets that begin at multiples of the step (UTC), oldest first, that of now the last.")
    ]


# ---------------------------------------------------------------- rules


class LabelCounts(msgspec.Struct):
    """Known outcomes of the decisions on which a rule fired."""

    fraud: Annotated[Count, Meta(description="Known to be fraud.")]
    good: Annotated[Count, Meta(description="Known to be good.")]
    unknown: Annotated[Count, Meta(description="Of unknown outcome: no label is known yet.")]
    precision: Annotated[float | None, Meta(description="fraud / (fraud + good); null below 30 known outcomes.")]
    known: Annotated[Count, Meta(description="fraud + good: what the precision is taken over.")]
    precision_low: Annotated[float | None, Meta(description="The lower end of its 95 % interval (Wilson).")]
    precision_high: Annotated[float | None, Meta(description="The upper end.")]
    estimate: Annotated[
        Estimate | None,
        Meta(
            description="The share of fraud among all that it fired on, known or not, as calibrated scores say; null where a "
            "model scored fewer than 30 of them."
        ),
    ]


class RuleInsight(msgspec.Struct):
    """One rule: how often it fired within the range, and with which outcome."""

    detector: Annotated[str, Meta(description="Whose rule it is.")]
    name: Annotated[str, Meta(description="Its name.")]
    state: Annotated[
        Literal["deciding", "shared", "watching", "retired"],
        Meta(
            description="deciding: in force; shared: for a share of the traffic; watching: decides nothing; "
            "retired: fired within the range, and is in force no more."
        ),
    ]
    action: Annotated[str | None, Meta(description="What it asks for: allow, challenge, review, block; null where retired.")]
    fires: Annotated[Count, Meta(description="On how many decisions its condition held, whether it acted or only watched.")]
    share: Annotated[float | None, Meta(description="fires / decisions of the detector; null where nothing was decided.")]
    outcomes: Annotated[Outcomes, Meta(description="How these were decided.")]
    only: Annotated[Count, Meta(description="On how many of them no other rule fired.")]
    last_fired_at: Annotated[str | None, Meta(description="When it last fired within the range.")]
    labels: Annotated[LabelCounts, Meta(description="What is known of them.")]


class RuleNamed(msgspec.Struct):
    """A rule."""

    detector: Annotated[str, Meta(description="Whose rule it is.")]
    name: Annotated[str, Meta(description="Its name.")]


class InsightRules(Looked, kw_only=True):
    """Rule performance within the range."""

    processed: Annotated[Count, Meta(description="Decisions of the range.")]
    rules: Annotated[list[RuleInsight], Meta(description="Every rule in force or that fired, the most frequent first.")]
    most: Annotated[list[RuleNamed], Meta(description="Up to five that fired most, the most frequent first.")]
    least: Annotated[list[RuleNamed], Meta(description="Up to five that fired least, but did, the least frequent first.")]
    never: Annotated[list[RuleNamed], Meta(description="Those in force that did not fire.")]
    labels_complete: Annotated[bool, Meta(description="All labels of the range are counted.")]
