"""Recorded decisions, the features of a key, statistics and detectors."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from msgspec import UNSET, Meta, UnsetType

from penstock.clock import iso
from penstock.engine import Engine
from penstock.engine.summaries import DecisionSummary
from penstock.errors import DeclarationError, MalformedEvent
from penstock.identity.roles import Actor, Right
from penstock.ledger import FallbackAnswer as LateAnswer
from penstock.messages import Decision
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.feed import percentiles_ms
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused
from penstock.service.http.projection import Explain, Fields, Projection, projection
from penstock.service.http.requests import DetectorName, actor_of, parse_instant
from penstock.service.http.route import Routes
from penstock.service.insights.figures import Sums, blocks_of, currencies_of, prevented_of, truths_of
from penstock.service.insights.insight_schemas import SomeDecisions, Truths
from penstock.service.records.pagination import PageRequest
from penstock.service.records.pagination import page as page_of
from penstock.service.records.personal import PersonalFields, Unmasking, as_kept


class TransactionList(msgspec.Struct):
    """One page of recorded decisions, newest first."""

    transactions: list[Decision]
    next: str | None


class SummaryList(msgspec.Struct):
    """One page of recorded decisions in one line each, newest first."""

    transactions: list[DecisionSummary]
    next: str | None


class Percentiles(msgspec.Struct):
    """Latencies in milliseconds, as callers saw them."""

    p50: float | None
    p95: float | None
    p99: float | None


class Stats(msgspec.Struct, kw_only=True):
    """Decisions so far, and known outcomes of those of the last 30 days."""

    total: int
    approve: int
    challenge: int = 0
    review: int
    block: int
    fraud_rate: Annotated[float | None, Meta(description="The same as `intervention_rate`; deprecated.")]
    intervention_rate: Annotated[float | None, Meta(description="The share that was not approved.")]
    known_fraud_rate: Annotated[
        float | None, Meta(description="The share of fraud among known outcomes; null below 30 of these.")
    ]
    amount: Annotated[float | None, Meta(description="What they were worth; null where that is in several currencies.")]
    amount_blocked: Annotated[float | None, Meta(description="What the blocked ones were worth.")]
    currency: Annotated[str | None, Meta(description="Of all amounts; null where the detector declares none, or they differ.")]
    labels: Annotated[Truths, Meta(description="What is known of them.")]
    prevented: Annotated[SomeDecisions, Meta(description="Blocked, and known to be fraud.")]
    blocked_good: Annotated[SomeDecisions, Meta(description="Blocked, and known to be good: false positives.")]
    blocked_unknown: Annotated[SomeDecisions, Meta(description="Blocked, outcome unknown: not counted as prevented.")]
    per_second: float
    latency_ms: Percentiles
    since: str | None


class Overview(Stats):
    """Statistics, with counts and money over time."""

    series: "OverTime"


class Period(msgspec.Struct):
    """Decisions in the minute or hour that began at this instant."""

    at: str
    approve: int
    challenge: int
    review: int
    block: int
    amount: float
    amount_blocked: float


class OverTime(msgspec.Struct):
    """The last 60 minutes and the last 24 hours, oldest first, including the current one; nothing before `since` is counted."""

    minutes: list[Period]
    hours: list[Period]
    since: str


class Answered(msgspec.Struct):
    """The fallback decision that the caller got because the decision was late."""

    decision: str
    degraded: str
    answered_at: str


class RecordedDecision(Decision, kw_only=True):
    """A recorded decision, with the fallback decision that the caller got, if any."""

    answered: Answered | UnsetType = UNSET
    personal: PersonalFields | UnsetType = UNSET


def _with_answer(decision: bytes, answered: LateAnswer | None) -> bytes:
    """The decision, with the fallback decision that the caller got, if it was another."""
    if answered is None:
        return decision
    answer = {"decision": answered.decision, "degraded": answered.cause, "answered_at": iso(answered.answered_us)}
    return decision[:-1] + b',"answered":' + msgspec.json.encode(answer) + b"}"


def _entity(among: Sequence[ServedDetector], entity: str, key: str) -> dict[str, Any]:
    """The features of a key in the one detector that has such an entity and has seen the key."""
    found, unknown = [], []
    for served in among:
        try:
            features = served.engine.entity(entity, key)
        except (DeclarationError, MalformedEvent) as error:
            unknown.append(str(error))
            continue
        if features is not None:
            found.append((served.name, features))
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise RequestRefused(422, f"several detectors know this key ({names}); name one with ?detector=", [("detector", names)])
    if not found:
        raise RequestRefused(404, _no_profile(len(unknown) == len(among), unknown, entity, key))
    return found[0][1]


def _no_profile(entity_unknown: bool, why: Sequence[str], entity: str, key: str) -> str:
    return "; ".join(why) if entity_unknown else f"no event of {entity[:200]} {key[:200]!r} has been seen"


def statistics(among: Sequence[ServedDetector]) -> dict[str, Any]:
    """The statistics of one detector, or their sum over several; latencies are those that callers saw.

    Amounts in several currencies are not added up.
    """
    each = [served.engine.stats() for served in among]
    total = dict(each[0])
    for further in each[1:]:
        for name in ("total", "approve", "challenge", "review", "block", "amount", "amount_blocked", "per_second"):
            total[name] = (total.get(name) or 0) + (further.get(name) or 0)
        total["since"] = min(filter(None, (total.get("since"), further.get("since"))), default=None)
    if len(each) > 1:
        decided = total["total"] or 0
        total["fraud_rate"] = total["intervention_rate"] = (decided - total["approve"]) / decided if decided else None
        if several_currencies(among):
            total |= {"amount": None, "amount_blocked": None, "currency": None}
    newest = [taken for served in among for taken in served.measures.newest_ns]
    return {**total, "latency_ms": percentiles_ms(newest) if newest else total["latency_ms"]}


def several_currencies(among: Sequence[ServedDetector]) -> bool:
    """Whether the detectors' amounts are in several currencies."""
    return len(currencies_of([served.engine for served in among if isinstance(served.engine, Engine)])) > 1


def known_outcomes(among: Sequence[ServedDetector]) -> dict[str, Any]:
    """Known outcomes of all decisions; waits for the disk. Empty for a detector without decisions here."""
    whole, complete = Sums(), True
    engines = [served.engine for served in among if isinstance(served.engine, Engine)]
    for engine in engines:
        known = engine.label_outcomes.since(rules=False)
        whole.plus(Sums(engine.totals.actions, engine.totals.amounts, known.counts, known.amounts))
        complete &= known.complete
    whole.worth = len(currencies_of(engines)) == 1
    truths, parts = truths_of(whole, complete=complete), prevented_of(whole)
    return {
        "known_fraud_rate": truths.fraud_rate,
        "labels": truths,
        "prevented": parts.known,
        "blocked_good": parts.mistaken,
        "blocked_unknown": blocks_of(whole).unknown,
    }


def over_time(each: Sequence[dict[str, Any]], *, money: bool = True) -> dict[str, Any]:
    """The series of one detector, or their sum over several. The current minutes and hours determine the periods.

    money: whether amounts can be added up; they are 0 otherwise.
    """
    found = {name: _summed([series[name] for series in each]) for name in ("minutes", "hours")}
    if not money:
        found = {name: [{**period, "amount": 0.0, "amount_blocked": 0.0} for period in of] for name, of in found.items()}
    return {**found, "since": min(series["since"] for series in each)}


def _summed(each: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    newest = max(each, key=lambda periods: str(periods[-1]["at"]))
    others = [{period["at"]: period for period in periods} for periods in each if periods is not newest]
    return [_plus(period, [by_start[period["at"]] for by_start in others if period["at"] in by_start]) for period in newest]


def _plus(period: dict[str, Any], others: Sequence[dict[str, Any]]) -> dict[str, Any]:
    more = {name: round(sum(each[name] for each in (period, *others)), 2) for name in period if name != "at"}
    return {"at": period["at"], **more}


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("GET", "/transactions/{transaction_id:path}", Right.READ, answers=RecordedDecision, refuses=(404,))
async def get_transaction(
    router: DetectorRouter,
    personal: Unmasking,
    /,
    transaction_id: str,
    request: Request,
    *,
    detector: DetectorName = None,
    fields: Fields = None,
    explain: Explain = True,
) -> bytes:
    """One recorded decision with its explanation."""
    chosen = projection(fields, explain=explain)
    for served in router.chosen(detector):
        decision = served.engine.queries.transaction(transaction_id)
        if decision is not None:
            answer = _with_answer(decision, served.engine.history.answered(transaction_id))
            said = await asyncio.to_thread(personal.of, served, transaction_id, actor_of(request))
            whole = answer if said is None else answer[:-1] + b',"personal":' + msgspec.json.encode(said) + b"}"
            return whole if chosen is None else chosen(whole)
    raise RequestRefused(404, f"there is no transaction {transaction_id[:200]!r}")


_Limit = Annotated[int, Query(ge=1, le=1000, description="Decisions per page.")]
_Before = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
_Outcome = Annotated[str | None, Query(pattern="^(?i:approve|challenge|review|block)$", description="Outcome.")]
_Entity = Annotated[str | None, Query(max_length=200, description="An entity, together with `key`.")]
_Key = Annotated[str | None, Query(max_length=1000, description="Only decisions about this key.")]
_Rule = Annotated[str | None, Query(max_length=200, description="A rule that fired, whether it acted or watched.")]
_From = Annotated[str | None, Query(alias="from", max_length=100, description="First event time, ISO 8601.")]
_To = Annotated[str | None, Query(alias="to", max_length=100, description="Event times before this, ISO 8601.")]


async def _listed(
    among: Sequence[ServedDetector], who: Actor, asked: PageRequest, before: str | None, chosen: Projection | None = None
) -> bytes:
    if (asked.entity is None) != (asked.key is None):
        missing = "key" if asked.key is None else "entity"
        raise RequestRefused(422, "entity and key go together", [(missing, "is required where the other is given")])
    if asked.entity is not None and asked.key is not None:
        asked = replace(asked, key=as_kept(among, asked.entity, asked.key, who))
    try:
        found, following = await asyncio.to_thread(page_of, among, asked, before)
    except DeclarationError as error:
        raise RequestRefused(422, str(error), [("entity", str(error))]) from None
    if chosen is not None:
        found = [chosen(each) for each in found]
    return b'{"transactions":[' + b",".join(found) + b'],"next":' + msgspec.json.encode(following) + b"}"


@route("GET", "/transactions", Right.READ, answers=TransactionList, refuses=(404,))
async def list_transactions(
    router: DetectorRouter,
    /,
    request: Request,
    *,
    detector: DetectorName = None,
    limit: _Limit = 50,
    before: _Before = None,
    decision: _Outcome = None,
    entity: _Entity = None,
    key: _Key = None,
    rule: _Rule = None,
    since: _From = None,
    until: _To = None,
    fields: Fields = None,
    explain: Explain = True,
) -> bytes:
    """Recorded decisions, newest first."""
    chosen = projection(fields, explain=explain)
    between = parse_instant(since, "from"), parse_instant(until, "to")
    asked = PageRequest(limit, decision and decision.upper(), entity, key, rule, *between)
    return await _listed(router.chosen(detector), actor_of(request), asked, before, chosen)


@route("GET", "/summaries", Right.READ, answers=SummaryList, refuses=(404,))
async def list_summaries(
    router: DetectorRouter,
    /,
    request: Request,
    *,
    detector: DetectorName = None,
    limit: _Limit = 50,
    before: _Before = None,
    decision: _Outcome = None,
    entity: _Entity = None,
    key: _Key = None,
    rule: _Rule = None,
    since: _From = None,
    until: _To = None,
) -> bytes:
    """Recorded decisions in one line each, newest first: amount, who pays whom, the first reason; without features."""
    between = parse_instant(since, "from"), parse_instant(until, "to")
    asked = PageRequest(limit, decision and decision.upper(), entity, key, rule, *between, summary=True)
    return await _listed(router.chosen(detector), actor_of(request), asked, before)


@route("GET", "/entities/{entity}/{key:path}", Right.READ, answers="Entity", refuses=(404,))
async def get_entity(
    router: DetectorRouter, /, entity: str, key: str, request: Request, detector: DetectorName = None
) -> dict[str, Any]:
    """The current features of one key."""
    among = router.chosen(detector)
    return _entity(among, entity, as_kept(among, entity, key, actor_of(request)))


@route("GET", "/stats", Right.READ, answers=Stats, refuses=(404,))
async def get_statistics(router: DetectorRouter, /, detector: DetectorName = None) -> dict[str, Any]:
    """Statistics: decisions so far, latencies, and known outcomes from labels."""
    among = router.chosen(detector)
    return statistics(among) | await asyncio.to_thread(known_outcomes, among)


@route("GET", "/stats/overview", Right.READ, answers=Overview, refuses=(404,))
async def get_statistics_overview(router: DetectorRouter, /, detector: DetectorName = None) -> dict[str, Any]:
    """Statistics, with counts and money by minute for the last hour and by hour for the last day."""
    among = router.chosen(detector)
    series = over_time([served.engine.totals.series() for served in among], money=not several_currencies(among))
    known = await asyncio.to_thread(known_outcomes, among)
    return {**statistics(among), **known, "series": series}


@route("GET", "/detectors", Right.READ, answers="Detectors", tag="service")
async def list_detectors(router: DetectorRouter, /) -> dict[str, Any]:
    """The served detectors: events, features, models, rules and policy of each."""
    return {"detectors": [served.engine.describe() for served in router.values()]}
