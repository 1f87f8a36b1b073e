"""`/insights`: figures of the last minutes, hours or days, for pages that poll.

Answers come from counts that are maintained while deciding, so they cost the same at any rate of traffic; label outcomes
are read from the log in a thread. Each answer is cached for a moment: any number of pages costs no more than one.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
from fastapi import Query

from penstock.cases.queues import CurrencySum, waiting
from penstock.cases.store import Cases
from penstock.clock import iso
from penstock.decoding import prepared
from penstock.engine import Engine
from penstock.engine.statistics.buckets import RANGES
from penstock.engine.statistics.distribution import AMOUNT_EDGES, STAGES, Tally, category_of, worth_of
from penstock.identity.roles import Right
from penstock.messages import Action
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.feed import percentiles_ms
from penstock.service.http.requests import DetectorName
from penstock.service.http.route import Routes
from penstock.service.insights import insight_schemas as forms
from penstock.service.insights.figures import (
    InsightRequest,
    Sums,
    amounts_of,
    blocks_of,
    currencies_of,
    currency_of,
    missed_of,
    outcomes,
    prevented_of,
    rules_of,
    sums_of,
    truths_of,
)
from penstock.service.insights.impact import Impact, impact

KEPT_S = {"5m": 1.0, "1h": 2.0, "24h": 5.0, "30d": 10.0}
"""Seconds that an answer is cached, by range."""

SHOWN_VALUES = 20

RangeAsked = Annotated[forms.RangeName, Query(alias="range", description="How far back: 5m, 1h, 24h or 30d.")]


class _Question(NamedTuple):
    """The key of a cached answer. among: the detectors that the caller may see."""

    work: str
    detector: str | None
    range: str
    among: tuple[str, ...]


class Insights:
    """Cached answers, each computed by one thread at a time."""

    def __init__(self, router: DetectorRouter, cases: Cases | None) -> None:
        self._router, self._cases = router, cases
        self._kept: dict[_Question, tuple[float, bytes]] = {}
        self._making: dict[_Question, asyncio.Future[bytes]] = {}

    async def ask(self, work: Callable[[InsightRequest], Any], detector: str | None, range_: str) -> bytes:
        """The answer as JSON.

        Raises:
            RequestRefused: 404, no such detector.
            NotReady: it is being opened.
        """
        among = self._router.chosen(detector)
        key = _Question(work.__name__, detector, range_, tuple(served.name for served in among))
        until, body = self._kept.get(key, (0.0, b""))
        if time.monotonic() < until:
            return body
        making = self._making.get(key)
        if making is None:
            asked = InsightRequest(among, detector, RANGES[range_], self._cases)
            making = asyncio.ensure_future(asyncio.to_thread(lambda: msgspec.json.encode(work(asked))))
            self._making[key] = making
            making.add_done_callback(partial(self._made, key))
        return await asyncio.shield(making)

    def _made(self, key: _Question, made: "asyncio.Future[bytes]") -> None:
        del self._making[key]
        if not made.cancelled() and made.exception() is None:
            self._kept[key] = time.monotonic() + KEPT_S[key.range], made.result()


# ---------------------------------------------------------------- answers


def summary(asked: InsightRequest) -> forms.InsightSummary:
    """Decisions, known outcomes and open cases."""
    whole, by_currency, complete = Sums(), dict[str | None, Sums](), True
    for engine in asked.engines:
        sums, all_known = sums_of(engine, asked)
        complete &= all_known
        worth, currency = worth_of(engine.detector)
        whole.plus(sums)
        if worth is not None:
            by_currency.setdefault(currency, Sums(worth=True)).plus(sums)
    money = next(iter(by_currency.values())) if len(by_currency) == 1 else None
    whole.worth = money is not None
    processed = int(whole.counts.sum())
    return forms.InsightSummary(
        **asked.head,
        processed=processed,
        per_second=sum(engine.totals.per_second for engine in asked.engines),
        outcomes=outcomes(whole.counts, forms.Outcomes),
        stopped_rate=float(processed - whole.counts[Action.APPROVE.value]) / processed if processed else None,
        amounts=None if money is None else amounts_of(money),
        currency=currency_of(asked.engines),
        by_currency=[
            forms.CurrencyFigures(currency, amounts_of(sums), prevented_of(sums), blocks_of(sums), missed_of(sums))
            for currency, sums in by_currency.items()
        ],
        labels=truths_of(whole, complete=complete),
        prevented=prevented_of(whole),
        blocks=blocks_of(whole),
        missed=missed_of(whole),
        at_risk=_at_risk(asked),
        latency_ms=_latencies(asked),
    )


def _at_risk(asked: InsightRequest) -> forms.AtRisk | None:
    if asked.cases is None:
        return None
    found = waiting(asked.cases, [served.name for served in asked.among])
    oldest = found.oldest_us
    return forms.AtRisk(
        cases=found.cases,
        amount=None if found.amount is None else round(found.amount, 2),
        expected_loss=None if found.expected_loss is None else round(found.expected_loss, 2),
        oldest_at=None if oldest is None else iso(oldest),
        oldest_age_s=None if oldest is None else max(asked.cases.clock() - oldest, 0) / 1e6,
        amounts=[CurrencySum(each.currency, round(each.amount, 2)) for each in found.amounts],
    )


def _latencies(asked: InsightRequest) -> forms.Latencies:
    whole = asked.spread()
    stages = [forms.StageLatency(stage, whole.quantile_ms(stage, 0.5), whole.quantile_ms(stage, 0.99)) for stage in STAGES]
    newest = [taken for served in asked.among for taken in tuple(served.measures.newest_ns)]
    return forms.Latencies(
        stages=[each for each in stages if each.p50 is not None],
        callers=forms.CallerLatency(**percentiles_ms(newest), newest=len(newest)),
    )


def distributions(asked: InsightRequest) -> forms.InsightDistributions:
    """Distributions of decisions."""
    whole = asked.spread()
    scores = whole.scores
    steps = len(scores) - 1
    single = asked.single
    return forms.InsightDistributions(
        **asked.head,
        processed=whole.total,
        score=forms.ScoreBins(
            bins=[outcomes(scores[k], forms.ValueBin, low=k / steps, high=(k + 1) / steps) for k in range(steps)],
            unscored=outcomes(scores[-1], forms.Outcomes),
        ),
        amount=_amounts(asked, whole),
        category=None if single is None else _categories(single, whole),
        hour=forms.Hours("UTC", [outcomes(by, forms.HourCount, hour=hour) for hour, by in enumerate(whole.hours)]),
    )


def _amounts(asked: InsightRequest, whole: Tally) -> forms.AmountBins | None:
    fields = {worth_of(engine.detector)[0] for engine in asked.engines}
    if fields == {None} or len(currencies_of(asked.engines)) > 1:
        return None
    bins, unknown = whole.amounts[:-1], whole.amounts[-1]
    held = np.flatnonzero(bins.sum(axis=1))
    places = range(held[0], held[-1] + 1) if len(held) else range(0)
    low, high = [round(edge, 4) for edge in AMOUNT_EDGES[:-1]], [round(edge, 4) for edge in AMOUNT_EDGES[1:]]
    return forms.AmountBins(
        field=fields.pop() if asked.single is not None else None,
        currency=currency_of(asked.engines),
        bins=[outcomes(bins[k], forms.ValueBin, low=low[k], high=high[k]) for k in places],
        unknown=outcomes(unknown, forms.Outcomes),
    )


def _categories(engine: Engine, whole: Tally) -> forms.Categories | None:
    field = category_of(engine.detector)
    if field is None:
        return None
    by: dict[str | None, Any] = {}
    for (value, action), count in whole.values.items():
        by.setdefault(value, np.zeros(len(Action), np.int64))[action] += count
    ordered = sorted(by.items(), key=lambda item: (-int(item[1].sum()), item[0] or ""))
    other = whole.others + sum((counts for _, counts in ordered[SHOWN_VALUES:]), np.zeros(len(Action), np.int64))
    return forms.Categories(
        field=field,
        values=[outcomes(counts, forms.CategoryCount, value=value) for value, counts in ordered[:SHOWN_VALUES]],
        other=outcomes(other, forms.Outcomes),
    )


def series(asked: InsightRequest) -> forms.InsightSeries:
    """Decisions over time."""
    each = [engine.totals.points(asked.range) for engine in asked.engines]
    same = len(currencies_of(asked.engines)) <= 1
    found: dict[str, dict[str, Any]] = {}
    for point in (point for points in each for point in points):
        held = found.setdefault(point["at"], dict.fromkeys(point, 0) | {"at": point["at"]})
        for name in point.keys() - {"at"}:
            held[name] = round(held[name] + point[name], 2) if same or not name.startswith("amount") else 0.0
    first = asked.head["since"]
    points = sorted((point for at, point in found.items() if at >= first), key=lambda point: str(point["at"]))
    return forms.InsightSeries(
        **asked.head,
        step=asked.range.step_us // 1_000_000,
        points=[msgspec.convert(point, prepared(forms.Point)) for point in points],
    )


def rules(asked: InsightRequest) -> forms.InsightRules:
    """Rule performance."""
    found, processed, complete = [], 0, True
    for engine in asked.engines:
        whole = engine.totals.spread(asked.range)
        known = engine.label_outcomes.since(asked.range.start_us(asked.now_us))
        found += rules_of(engine, whole, known)
        processed, complete = processed + whole.total, complete and known.complete
    found.sort(key=lambda rule: (-rule.fires, rule.detector, rule.name))
    fired = [rule for rule in found if rule.fires]

    def named(some: Sequence[forms.RuleInsight]) -> list[forms.RuleNamed]:
        return [forms.RuleNamed(rule.detector, rule.name) for rule in some]

    return forms.InsightRules(
        **asked.head,
        processed=processed,
        rules=found,
        most=named(fired[:5]),
        least=named(fired[::-1][:5]),
        never=named([rule for rule in found if not rule.fires]),
        labels_complete=complete,
    )


# ---------------------------------------------------------------- routes

route = Routes("insights", by_detector=True)


@route("GET", "/insights/summary", Right.READ, answers=forms.InsightSummary, refuses=(404,))
async def get_summary(insights: Insights, /, range_: RangeAsked = "1h", detector: DetectorName = None) -> bytes:
    """Decisions within the range, their known outcomes, and open cases."""
    return await insights.ask(summary, detector, range_)


@route("GET", "/insights/impact", Right.READ, answers=Impact, refuses=(404,))
async def get_impact(insights: Insights, /, detector: DetectorName = None) -> bytes:
    """Loss, prevention, false positives, review effort and chargeback rate of four weeks, by week and by rule."""
    return await insights.ask(impact, detector, "30d")


@route("GET", "/insights/distributions", Right.READ, answers=forms.InsightDistributions, refuses=(404,))
async def get_distributions(insights: Insights, /, range_: RangeAsked = "1h", detector: DetectorName = None) -> bytes:
    """Distributions of the range's decisions by score, amount, category and hour of the day, by outcome."""
    return await insights.ask(distributions, detector, range_)


@route("GET", "/insights/series", Right.READ, answers=forms.InsightSeries, refuses=(404,))
async def get_series(insights: Insights, /, range_: RangeAsked = "1h", detector: DetectorName = None) -> bytes:
    """Decisions over time, in consecutive buckets."""
    return await insights.ask(series, detector, range_)


@route("GET", "/insights/rules", Right.READ, answers=forms.InsightRules, refuses=(404,))
async def get_rule_insights(insights: Insights, /, range_: RangeAsked = "24h", detector: DetectorName = None) -> bytes:
    """How often each rule fired within the range, with which outcome, and its precision from labels."""
    return await insights.ask(rules, detector, range_)
