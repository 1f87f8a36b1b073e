"""Routes for recorded decisions, entity profiles, statistics and detectors."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request, Response

from penstock.clock import iso
from penstock.engine import Engine
from penstock.errors import DeclarationError, MalformedEvent
from penstock.ledger import Answered
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.measures import percentiles_ms
from penstock.service.http.instants import parse_instant
from penstock.service.http.openapi import answers
from penstock.service.http.pagination import PageRequest, page
from penstock.service.http.problems import RequestRefused
from penstock.service.insights.outcomes import Sums, blocks_of, prevented_of, truths_of
from penstock.service.insights.request import currencies_of
from penstock.service.port import Serving
from penstock.service.records.personal import Unmasking, actor_of, as_kept

DetectorName = Annotated[str | None, Query(description="Only this detector.", max_length=200)]


def add_routes(routes: FastAPI, desks: DetectorRouter, personal: Unmasking) -> None:
    """Add the routes."""
    _add_recorded(routes, desks, personal)
    _add_counted(routes, desks)


def _add_recorded(routes: FastAPI, desks: DetectorRouter, personal: Unmasking) -> None:
    @routes.get("/transactions/{transaction_id:path}", tags=["records"], responses=answers("RecordedDecision", 404))
    async def transaction(transaction_id: str, request: Request, detector: DetectorName = None) -> Response:
        """One recorded decision with its explanation."""
        for desk in desks.chosen(detector):
            decision = desk.engine.queries.transaction(transaction_id)
            if decision is not None:
                told = _with_answer(decision, desk.engine.history.answered(transaction_id))
                said = await asyncio.to_thread(personal.of, desk, transaction_id, actor_of(request))
                return json_response(told if said is None else told[:-1] + b',"personal":' + msgspec.json.encode(said) + b"}")
        raise RequestRefused(404, f"there is no transaction {transaction_id[:200]!r}")

    @routes.get("/transactions", tags=["records"], responses=answers("TransactionList", 404))
    async def transactions(
        request: Request,
        *,
        detector: DetectorName = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Decisions per page.")] = 50,
        before: Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")] = None,
        decision: Annotated[str | None, Query(pattern="^(?i:approve|challenge|review|block)$", description="Outcome.")] = None,
        entity: Annotated[str | None, Query(max_length=200, description="An entity, together with `key`.")] = None,
        key: Annotated[str | None, Query(max_length=1000, description="Only decisions about this key.")] = None,
        rule: Annotated[
            str | None, Query(max_length=200, description="A rule that fired, whether it acted or watched.")
        ] = None,
        since: Annotated[str | None, Query(alias="from", max_length=100, description="First event time, ISO 8601.")] = None,
        until: Annotated[
            str | None, Query(alias="to", max_length=100, description="Event times before this, ISO 8601.")
        ] = None,
    ) -> Response:
        """Recorded decisions, newest first."""
        if (entity is None) != (key is None):
            missing = "key" if key is None else "entity"
            raise RequestRefused(422, "entity and key go together", [(missing, "is required where the other is given")])
        if entity is not None and key is not None:
            key = as_kept(desks.chosen(detector), entity, key, actor_of(request))
        between = parse_instant(since, "from"), parse_instant(until, "to")
        asked = PageRequest(limit, decision and decision.upper(), entity, key, rule, *between)
        try:
            found, following = await asyncio.to_thread(page, desks.chosen(detector), asked, before)
        except DeclarationError as error:
            raise RequestRefused(422, str(error), [("entity", str(error))]) from None
        rest = msgspec.json.encode(following)
        return json_response(b'{"transactions":[' + b",".join(found) + b'],"next":' + rest + b"}")

    @routes.get("/entities/{entity}/{key:path}", tags=["records"], responses=answers("Entity", 404))
    async def features(entity: str, key: str, request: Request, detector: DetectorName = None) -> Response:
        """The current features of one key."""
        among = desks.chosen(detector)
        return json_response(msgspec.json.encode(_entity(among, entity, as_kept(among, entity, key, actor_of(request)))))


def _add_counted(routes: FastAPI, desks: DetectorRouter) -> None:
    @routes.get("/stats", tags=["records"], responses=answers("Stats", 404))
    async def stats(detector: DetectorName = None) -> Response:
        """Statistics: decisions so far, latencies, and known outcomes from labels."""
        among = desks.chosen(detector)
        return json_response(msgspec.json.encode(statistics(among) | await asyncio.to_thread(known_outcomes, among)))

    @routes.get("/stats/overview", tags=["records"], responses=answers("Overview", 404))
    async def overview(detector: DetectorName = None) -> Response:
        """Statistics, with counts and money by minute for the last hour and by hour for the last day."""
        among = desks.chosen(detector)
        series = over_time([desk.engine.totals.series() for desk in among], money=not several_currencies(among))
        known = await asyncio.to_thread(known_outcomes, among)
        return json_response(msgspec.json.encode({**statistics(among), **known, "series": series}))

    @routes.get("/detectors", tags=["service"], responses=answers("Detectors"))
    async def detectors() -> Response:
        """The served detectors: events, features, models, rules and policy of each."""
        return json_response(msgspec.json.encode({"detectors": [desk.engine.describe() for desk in desks.values()]}))


def json_response(body: bytes) -> Response:
    """A response whose body is JSON already."""
    return Response(body, media_type="application/json")


def _with_answer(decision: bytes, answered: Answered | None) -> bytes:
    """The decision, with the fallback decision that the caller got, if it was another."""
    if answered is None:
        return decision
    told = {"decision": answered.decision, "degraded": answered.cause, "answered_at": iso(answered.answered_us)}
    return decision[:-1] + b',"answered":' + msgspec.json.encode(told) + b"}"


def _entity(among: Sequence[Serving], entity: str, key: str) -> dict[str, Any]:
    """The features of a key in the one detector that has such an entity and has seen the key."""
    found, unknown = [], []
    for desk in among:
        try:
            features = desk.engine.entity(entity, key)
        except (DeclarationError, MalformedEvent) as error:
            unknown.append(str(error))
            continue
        if features is not None:
            found.append((desk.name, features))
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise RequestRefused(422, f"several detectors know this key ({names}); name one with ?detector=", [("detector", names)])
    if not found:
        raise RequestRefused(404, _nobody_knows(len(unknown) == len(among), unknown, entity, key))
    return found[0][1]


def _nobody_knows(entity_unknown: bool, why: Sequence[str], entity: str, key: str) -> str:
    return "; ".join(why) if entity_unknown else f"no event of {entity[:200]} {key[:200]!r} has been seen"


def statistics(among: Sequence[Serving]) -> dict[str, Any]:
    """The statistics of one detector, or their sum over several; latencies are those that callers saw.

    Amounts in several currencies are not added up.
    """
    each = [desk.engine.stats() for desk in among]
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
    newest = [taken for desk in among for taken in desk.measures.newest_ns]
    return {**total, "latency_ms": percentiles_ms(newest) if newest else total["latency_ms"]}


def several_currencies(among: Sequence[Serving]) -> bool:
    """Whether the detectors' amounts are in several currencies."""
    return len(currencies_of([desk.engine for desk in among if isinstance(desk.engine, Engine)])) > 1


def known_outcomes(among: Sequence[Serving]) -> dict[str, Any]:
    """Known outcomes of all decisions; waits for the disk. Empty for a detector without decisions here."""
    whole, complete = Sums(), True
    engines = [desk.engine for desk in among if isinstance(desk.engine, Engine)]
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
