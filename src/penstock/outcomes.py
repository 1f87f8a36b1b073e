"""Rates of known outcomes, their intervals, and estimates: the one definition for API, console, reports, lab and guards.

* An outcome is known if there is a label; of several labels, the one with precedence. Every other decision is unknown: it
  is not taken for good, and a block is not taken for fraud.
* Precision, recall, false positive rate and fraud rate are taken over known outcomes. Each has a count and Wilson's interval of
  95 %. Below `LEAST_KNOWN` known outcomes there is no rate, only the counts.
* Prevented is what was blocked and is known to be fraud. Other blocks are mistaken (known to be good) or of unknown outcome.
* What is not known can be estimated. An estimate names its method, and is never added to what is known.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LEAST_KNOWN = 30
"""Known outcomes below which no rate is shown."""

Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 per cent."""

Method = Literal["control_share", "calibrated_score"]
"""control_share: from would-be blocks that were let through by chance, each standing for as many as its share says.
calibrated_score: from the scores themselves, each taken as the probability that it says."""


class Rate(msgspec.Struct, frozen=True):
    """A share with its 95 % interval; no value where it is taken over too few."""

    value: Annotated[float | None, Meta(description="The share; null below 30 known outcomes.")]
    low: Annotated[float | None, Meta(description="The lower end of the 95 % interval.")]
    high: Annotated[float | None, Meta(description="The upper end.")]
    of: Annotated[int, Meta(description="Of how many.")]
    part: Annotated[int, Meta(description="How many of these.")] = 0


class Estimate(Rate, frozen=True, kw_only=True):
    """An estimated share, with its method and the number `of` decisions that it rests on."""

    method: Annotated[Method, Meta(description="How it was estimated.")]


class EstimatedFraud(msgspec.Struct, frozen=True):
    """How much fraud is estimated to be among some decisions; intervals of 95 %."""

    method: Annotated[Method, Meta(description="How it was estimated.")]
    of: Annotated[int, Meta(description="Decisions that it rests on.")]
    count: Annotated[float, Meta(description="Frauds.")]
    count_low: Annotated[float, Meta(description="The lower end of the interval.")]
    count_high: Annotated[float, Meta(description="The upper end.")]
    amount: Annotated[float | None, Meta(description="What they were worth; null where events do not say.")]
    amount_low: Annotated[float | None, Meta(description="The lower end of the interval.")]
    amount_high: Annotated[float | None, Meta(description="The upper end.")]


def wilson(part: float, whole: float) -> tuple[float, float]:
    """The 95 % interval of a share; holds for few events and for shares near 0 and 1.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    >>> low, high = wilson(0, 10)
    >>> low, round(high, 3)
    (0.0, 0.278)
    """
    p, z2 = part / whole, Z * Z / whole
    middle, half = (p + z2 / 2) / (1 + z2), Z * math.sqrt(p * (1 - p) / whole + z2 / (4 * whole)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(part: int, whole: int) -> Rate:
    """A share of events that were all seen, such as those that were blocked: it needs no outcome, and any number will do.

    >>> found = share(5, 100)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.05, 0.022, 0.112)
    """
    return Rate(part / whole, *wilson(part, whole), whole, part) if whole else Rate(None, None, None, 0)


def known_rate(part: int, known: int) -> Rate:
    """A share of known outcomes, such as precision; without a value below `LEAST_KNOWN`.

    >>> known_rate(5, 5)
    Rate(value=None, low=None, high=None, of=5, part=5)
    >>> round(known_rate(30, 30).low, 3)
    0.886
    """
    return share(part, known) if known >= LEAST_KNOWN else Rate(None, None, None, known, part)


def ends_of(rates: Mapping[str, Rate]) -> dict[str, tuple[float, float] | None]:
    """The intervals of some rates by name; None for none."""
    return {name: None if rate.low is None or rate.high is None else (rate.low, rate.high) for name, rate in rates.items()}


def by_control_share(part: Sequence[tuple[int, float]], known: Sequence[tuple[int, float]]) -> Estimate:
    """A share of events of which each stands for so many others: pairs of how many events, and for how many each stands.

    The interval is Wilson's for as many events as say as much when all stand for the same.
    Source: Kish, "Survey Sampling" (1965), for that number.

    >>> found = by_control_share([(12, 100.0)], [(12, 100.0), (28, 10.0)])
    >>> round(found.value, 3), found.of, found.high - found.low > share(32, 40).high - share(32, 40).low
    (0.811, 40, True)
    """
    count, found = sum(n for n, _ in known), sum(n for n, _ in part)
    if count < LEAST_KNOWN:
        return Estimate(None, None, None, count, found, method="control_share")
    weight = sum(n * each for n, each in known)
    value = sum(n * each for n, each in part) / weight
    as_good_as = weight**2 / sum(n * each**2 for n, each in known)
    return Estimate(value, *wilson(value * as_good_as, as_good_as), count, found, method="control_share")


class ScoreSums(msgspec.Struct, frozen=True):
    """Sums over decisions that have a score p and may have an amount a; they add up over any parts of traffic.

    n: decisions with a score. p: of p. spread: of p (1 - p). amount: of p a. amount_spread: of p (1 - p) a^2.
    """

    n: float = 0.0
    p: float = 0.0
    spread: float = 0.0
    amount: float = 0.0
    amount_spread: float = 0.0

    def rate(self) -> Estimate | None:
        """The estimated share of fraud; None below `LEAST_KNOWN` decisions with a score.

        Each decision is fraud with its probability, independently; the interval is that of the normal distribution with the
        same variance. It holds as long as scores are calibrated.

        >>> found = ScoreSums(n=100, p=20.0, spread=16.0).rate()
        >>> found.value, round(found.low, 3), round(found.high, 3), found.method
        (0.2, 0.122, 0.278, 'calibrated_score')
        """
        if self.n < LEAST_KNOWN:
            return None
        value, half = self.p / self.n, Z * math.sqrt(max(self.spread, 0.0)) / self.n
        value, low, high = (round(min(max(end, 0.0), 1.0), 6) for end in (value, value - half, value + half))
        return Estimate(value, low, high, int(self.n), method="calibrated_score")

    def fraud(self, *, worth: bool) -> EstimatedFraud | None:
        """The estimated number of frauds, and where events say what they are `worth` their amount; None without a score."""
        if not self.n:
            return None
        half, half_amount = (Z * math.sqrt(max(each, 0.0)) for each in (self.spread, self.amount_spread))
        count = (self.p, max(self.p - half, 0.0), min(self.p + half, self.n))
        amount = (self.amount, max(self.amount - half_amount, 0.0), self.amount + half_amount)
        money = (round(each, 2) for each in amount) if worth else (None, None, None)
        return EstimatedFraud("calibrated_score", int(self.n), *(round(each, 2) for each in count), *money)


def said(rate: Rate) -> str:
    """A rate of known outcomes as text.

    >>> said(known_rate(30, 40))
    '75.0 % (59.8 % to 85.8 %), 30 of 40 known'
    >>> said(known_rate(5, 5))
    '5 of 5 known: too few for a rate'
    >>> said(known_rate(0, 0))
    'none known'
    """
    if rate.value is None or rate.low is None or rate.high is None:
        return f"{rate.part:,} of {rate.of:,} known: too few for a rate" if rate.of else "none known"
    value, low, high = (f"{100 * each:.1f} %" for each in (rate.value, rate.low, rate.high))
    return f"{value} ({low} to {high}), {rate.part:,} of {rate.of:,} known"
