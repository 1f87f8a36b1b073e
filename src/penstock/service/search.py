"""`GET /search`: transactions, keys, cases, rules, lists and features that a text finds, in bounded time."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import Query, Request
from msgspec import Meta

from penstock.cases.case import Case
from penstock.cases.queues import search as search_cases
from penstock.cases.store import Cases
from penstock.decision.phrases import phrase_of
from penstock.decoding import prepared
from penstock.engine.summaries import DecisionSummary
from penstock.errors import DeclarationError, MalformedEvent
from penstock.governance.versions import by_name
from penstock.identity.roles import Right
from penstock.messages import NamedField
from penstock.service.changes.administration import Administration
from penstock.service.changes.lists import may_try
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.requests import DetectorName, actor_of
from penstock.service.http.route import Routes
from penstock.service.records.personal import as_kept

PER_KIND = 6
"""Hits of one kind and detector."""

WITHIN_S = 0.25
"""How long the newest decisions of one detector are searched."""

_AMOUNT = re.compile(r"\D{0,3}?(\d[\d,]*(?:\.\d+)?)\s?(?:[A-Z]{3}|\W)?")


class Hit(msgspec.Struct):
    """A search result. id: of a transaction or case, the name of a rule, list or feature, the key of an entity."""

    kind: Literal["transaction", "entity", "case", "rule", "list", "feature"]
    detector: str
    id: str
    title: Annotated[str, Meta(description="What it is called.")]
    about: Annotated[str | None, Meta(description="One line about it.")]
    entity: Annotated[str | None, Meta(description="Of a key: what it is.")] = None
    amount: Annotated[float | None, Meta(description="Of a transaction or case.")] = None
    currency: Annotated[str | None, Meta(description="Of the amount.")] = None
    decision: Annotated[str | None, Meta(description="Of a transaction or case.")] = None
    at: Annotated[str | None, Meta(description="Of a transaction: when it took place.")] = None


class SearchAnswer(msgspec.Struct):
    """The search results; exact matches come first."""

    q: str
    hits: list[Hit]


def amount_in(text: str) -> float | None:
    """The amount that a text is, with or without its currency.

    >>> amount_in("$1,648.59"), amount_in("12 EUR"), amount_in("C947")
    (1648.59, 12.0, None)
    """
    found = _AMOUNT.fullmatch(text)
    if found is None or text[:1].isalpha():
        return None
    return float(found[1].replace(",", ""))


def _transaction(line: DecisionSummary) -> Hit:
    return Hit(
        "transaction",
        line.detector,
        line.transaction_id,
        _name(line.named) or line.transaction_id,
        line.reason,
        amount=line.amount,
        currency=line.currency,
        decision=line.decision,
        at=line.event_time,
    )


def _case(case: Case) -> Hit:
    return Hit(
        "case",
        case.detector,
        case.id,
        _name(case.named) or case.transaction_id,
        case.reason,
        amount=case.amount,
        currency=case.currency,
        decision=case.decision,
    )


def _name(named: Sequence[NamedField]) -> str:
    return " \N{RIGHTWARDS ARROW} ".join(each.value for each in named if each.role != "detail")


def _keys(served: ServedDetector, text: str, request: Request) -> Iterator[Hit]:
    """The keys that are this text and have been seen; called on the thread that decides."""
    for table in served.engine.pipeline.state.tables:
        name = table.plan.entity.name
        key = as_kept([served], name, text, actor_of(request))
        if len(table.plan.keys[0]) != 1:
            continue
        try:
            found = served.engine.entity(name, key)
        except (DeclarationError, MalformedEvent):  # the text cannot be such a key
            continue
        if found is not None:
            yield Hit("entity", served.name, key, text, None, entity=name)


def _features(served: ServedDetector, text: str) -> Iterator[Hit]:
    detector = served.engine.detector
    for feature in detector.features:
        about = phrase_of(feature.name, detector.words).label
        if _contains(text, feature.name, about):
            yield Hit("feature", served.name, feature.name, feature.name, about)


def _rules(administration: Administration, name: str, text: str) -> Iterator[Hit]:
    for rule, versions in by_name(administration.of(name).rules.versions()).items():
        newest = versions[-1]
        if _contains(text, rule, newest.body.when, newest.body.reason):
            yield Hit("rule", name, rule, rule, newest.body.when)


def _lists(administration: Administration, name: str, text: str, *, as_sent: bool) -> Iterator[Hit]:
    admin = administration.of(name)
    holding = admin.lists.find(text, as_sent=as_sent)
    for kept in admin.lists.versions():
        entries = holding.get(kept.name, ())
        held = any(entry.state(admin.clock()) == "in_force" for entry in entries)
        if held or _contains(text, kept.name, kept.about):
            yield Hit("list", name, kept.name, kept.name, f"{text} is on this list" if held else kept.about)


def _contains(text: str, *places: str | None) -> bool:
    sought = text.casefold()
    return any(sought in place.casefold() or sought in place.replace("_", " ").casefold() for place in places if place)


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("GET", "/search", Right.READ, refuses=(404,))
async def search_records(
    router: DetectorRouter,
    administration: Administration | None,
    cases: Cases | None,
    /,
    request: Request,
    q: Annotated[str, Query(min_length=1, max_length=200, description="An id, key, amount, name, or part of a text.")],
    detector: DetectorName = None,
) -> SearchAnswer:
    """Transactions, keys, cases, rules, lists and features that a text finds: exact ones first, then those that contain it."""
    text = q.strip()
    among = router.chosen(detector) if text else []
    exact = [line for served in among for line in served.engine.history.summaries([text])]
    keys = [hit for served in among for hit in _keys(served, text, request)]
    as_sent = {served.name: may_try(request, served.name) for served in among}

    def slow() -> list[Hit]:
        found: list[Hit] = []
        for served in among:
            if administration is not None:
                found += list(_rules(administration, served.name, text))[:PER_KIND]
                found += list(_lists(administration, served.name, text, as_sent=as_sent[served.name]))[:PER_KIND]
            lines = served.engine.history.search(text, amount=amount_in(text), limit=PER_KIND, within_s=WITHIN_S)
            found += [_transaction(msgspec.json.decode(line, type=prepared(DecisionSummary))) for line in lines]
            found += list(_features(served, text))[:PER_KIND]
        names = {served.name for served in among}
        for case in search_cases(cases, text, PER_KIND) if cases is not None else ():
            if case.detector in names:
                found.append(_case(case))
        return found

    first = [_transaction(msgspec.json.decode(line, type=prepared(DecisionSummary))) for line in exact]
    known = {(hit.kind, hit.id) for hit in first}
    rest = await asyncio.to_thread(slow) if text else []
    return SearchAnswer(text, [*first, *keys, *(hit for hit in rest if (hit.kind, hit.id) not in known)])
