"""`/detectors/{name}/rules`: rules edited at run time, from draft to archived, with all versions kept."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response

from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine.rule_preview import Evaluate, PreviewResult, on_event, on_recorded
from penstock.errors import NotFound, NotReady, did_you_mean
from penstock.governance import approvals
from penstock.governance.rule_versions import Body, Version, by_name, difference
from penstock.identity.roles import Right, rights
from penstock.rules import Rule
from penstock.service.changes.administration import FIRES_DAYS, Administration
from penstock.service.changes.backtests import Backtests
from penstock.service.changes.rule_requests import (
    AskForRule,
    GiveReason,
    NewRule,
    PromoteRule,
    RolloutRule,
    ShadowRule,
    TryCondition,
)
from penstock.service.changes.rule_schemas import (
    EventTested,
    LoweringForm,
    RuleChanged,
    RuleDiff,
    RuleHistory,
    RuleList,
    RulesImported,
    RuleTested,
    finding_form,
    request_form,
    rule_form,
    version_form,
    version_forms,
)
from penstock.service.http.openapi import answers, may_take, refusal, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import actor_name, json_answer, parse_body, text, who
from penstock.service.schemas import BacktestRequest
from penstock.wiring.changes.rule_administration import UNDER_TEST
from penstock.wiring.changes.rule_stores import can_lower

_REFUSED = (400, 404, 408, 409, 413, 415)
_RULES = "/detectors/{name}/rules"
_RULE = _RULES + "/{rule}"

_LINES: dict[str, Any] = {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
_TAKES_LINES = {
    "requestBody": {"required": True, "content": {**_LINES["content"], "application/json": {"schema": {"type": "object"}}}}
}
_NDJSON = {"description": "One rule a line.", **_LINES}

Done = Version | approvals.Request
"""A version with a new state, or a request that waits for another person."""


def add_routes(routes: FastAPI, shelf: Administration, settings: Settings, backtests: Backtests) -> None:
    """Add the routes. backtests: count the outcomes that an activated version would have lowered."""
    _add_looking(routes, shelf)
    _add_writing(routes, shelf, settings, backtests)
    _add_deciding(routes, shelf, settings, backtests)


def _add_looking(routes: FastAPI, shelf: Administration) -> None:
    @routes.get(_RULES, tags=["rules"], responses=answers(RuleList, 404))
    async def listed(name: str, *, archived: bool = False) -> Response:
        """All rules: state, since when, author of the last change, warnings, and how often they fired lately."""
        books = shelf.of(name)
        fired = await shelf.fires(name)

        def found() -> RuleList:
            rules = by_name(books.rules.versions())
            waiting = books.requests("pending")
            forms = [rule_form(known, books.findings(rule), fired, waiting) for rule, known in rules.items()]
            kept = [form for form in forms if archived or form.state != "archived"]
            now = shelf.in_force(name)
            return RuleList(name, books.rules.revision(), books.rules.four_eyes, now.rules, now.lists, FIRES_DAYS, kept)

        return json_answer(await shelf.look(found))

    @routes.get(_RULES + "/export", tags=["rules"], response_class=Response, responses={200: _NDJSON, 404: refusal(404)})
    async def export(name: str) -> Response:
        """The active rules as NDJSON, one object per line: for `import` elsewhere, or for the detector's file."""
        books = shelf.of(name)
        lines = await shelf.look(lambda: list(books.export()))
        return Response("".join(f"{line}\n" for line in lines), media_type="application/x-ndjson")

    @routes.get(_RULE, tags=["rules"], responses=answers(RuleHistory, 404))
    async def one(name: str, rule: str) -> Response:
        """A rule with all versions, newest first, their changes, and its requests."""
        books = shelf.of(name)
        fired = await shelf.fires(name)

        def found() -> RuleHistory:
            known = _known(shelf, name, rule)
            requests = [each for each in books.requests() if (each.kind, each.name) == ("rule", rule)]
            waiting = [each for each in requests if each.stage == "pending"]
            versions = list(version_forms(known).values())[::-1]
            return RuleHistory(
                rule_form(known, books.findings(rule), fired, waiting), versions, [request_form(each) for each in requests]
            )

        return json_answer(await shelf.look(found))

    @routes.get(_RULE + "/diff", tags=["rules"], responses=answers(RuleDiff, 404))
    async def diff(name: str, rule: str, *, before: int, after: int) -> Response:
        """The differences between two versions."""

        def found() -> RuleDiff:
            bodies = {version.version: version.body for version in _known(shelf, name, rule)}
            for number in (before, after):
                if number not in bodies:
                    raise NotFound(f"rule {rule!r} has no version {number}; it has 1 to {len(bodies)}")
            return RuleDiff(rule, before, after, difference(bodies[before], bodies[after]))

        return json_answer(await shelf.look(found))


def _add_writing(routes: FastAPI, shelf: Administration, settings: Settings, backtests: Backtests) -> None:
    most = settings.max_body_bytes
    one_at_a_time = asyncio.Lock()  # pages send a request at every pause in typing, and each compiles all rules

    @routes.post(
        _RULES, tags=["rules"], status_code=201, responses=answers(RuleChanged, *_REFUSED, status=201),
        openapi_extra=requires("NewRule"),
    )  # fmt: skip
    async def add(name: str, request: Request) -> Response:
        """Add a version of a rule as a draft: it is checked, and does not run yet."""
        books, given = shelf.of(name), await parse_body(request, NewRule, most)
        add = partial(books.rules.add, given.name, given.body, who=who(request), why=given.note)
        return await _changed(shelf, name, given.name, add, status=201)

    @routes.post(
        _RULES + "/import",
        tags=["rules"],
        responses=answers(RulesImported, *_REFUSED),
        openapi_extra=_TAKES_LINES,
    )
    async def import_(name: str, request: Request) -> Response:
        """Add exported rules (NDJSON) as drafts; rules equal to existing ones are skipped."""
        books, lines = shelf.of(name), await text(request, most)
        added = await shelf.change(name, lambda: books.import_(lines, "the body", who=who(request)))
        return json_answer(RulesImported([version_form(version) for version in added]))

    @routes.post(
        _RULES + "/test", tags=["rules"], responses=answers(RuleTested, *_REFUSED), openapi_extra=requires("TryCondition")
    )
    async def test(name: str, request: Request) -> Response:
        """Check a condition without saving it: names, types, lint findings, and its result on an event."""
        books, given = shelf.of(name), await parse_body(request, TryCondition, most)
        body = Body(when=given.when, then=given.then, reason=given.reason, hard=given.hard, override=given.override)
        async with one_at_a_time:
            checked = await shelf.look(lambda: books.check(given.name or UNDER_TEST, body))
            evaluate = _evaluate(shelf, name, given)
            seen = None if evaluate is None else await shelf.look(evaluate)
        return json_answer(
            RuleTested(
                checked.condition,
                list(checked.reads),
                list(checked.lists),
                [finding_form(each) for each in checked.findings],
                None if seen is None else EventTested(**{field: getattr(seen, field) for field in PreviewResult.__slots__}),
            )
        )

    @routes.post(
        _RULE + "/shadow", tags=["rules"], responses=answers(RuleChanged, 403, *_REFUSED), openapi_extra=requires("ShadowRule")
    )
    async def shadow(name: str, rule: str, request: Request) -> Response:
        """Run a version in shadow: where it would have fired is recorded; only approvers may end a rollout with it (403)."""
        books, given = shelf.of(name), await parse_body(request, ShadowRule, most)
        may_approve = bool(Right.APPROVE & rights(actor_name(request).roles))
        work = partial(books.rules.shadow, rule, given.version, who=who(request), why=given.note, may_approve=may_approve)
        return await _changed(shelf, name, rule, work)

    @routes.post(
        _RULE + "/request", tags=["rules"], status_code=202, responses=answers(RuleChanged, *_REFUSED, status=202),
        openapi_extra=requires("AskForRule"),
    )  # fmt: skip
    async def ask(name: str, rule: str, request: Request) -> Response:
        """Ask others to promote a version, or to roll it out."""
        books, given = shelf.of(name), await parse_body(request, AskForRule, most)
        details: dict[str, Any] = {} if given.action == "promote" else {"percent": given.percent or 0.0, "of": given.of}
        by: dict[str, Any] = {"who": who(request), "why": given.note}
        work = partial(books.rules.ask, rule, given.version, given.action, **by, **details)
        return await _changed(shelf, name, rule, work, backtests=backtests)


def _add_deciding(routes: FastAPI, shelf: Administration, settings: Settings, backtests: Backtests) -> None:
    most = settings.max_body_bytes
    waiting: dict[int | str, dict[str, Any]] = {202: answers(RuleChanged, status=202)[202]}

    @routes.post(
        _RULE + "/rollout", tags=["rules"], responses={**answers(RuleChanged, *_REFUSED), **waiting},
        openapi_extra=requires("RolloutRule"),
    )  # fmt: skip
    async def rollout(name: str, rule: str, request: Request) -> Response:
        """Roll a version out to a share of the keys of a field; the active version acts on the others."""
        books, given = shelf.of(name), await parse_body(request, RolloutRule, most)
        share: dict[str, Any] = {"percent": given.percent, "share_of": given.of}
        roll = partial(books.roll_out, rule, given.version, **share, who=who(request), why=given.note, guards=given.guards)
        return await _changed(shelf, name, rule, roll, backtests=backtests)

    @routes.post(
        _RULE + "/promote", tags=["rules"], responses={**answers(RuleChanged, *_REFUSED), **waiting},
        openapi_extra=may_take("PromoteRule"),
    )  # fmt: skip
    async def promote(name: str, rule: str, request: Request) -> Response:
        """Promote the candidate, or a version, to active; the active version is archived."""
        books, given = shelf.of(name), await parse_body(request, PromoteRule, most)
        work = partial(books.rules.promote, rule, given.version, who=who(request), why=given.note)
        return await _changed(shelf, name, rule, work, backtests=backtests)

    @routes.post(
        _RULE + "/pause", tags=["rules"], responses=answers(RuleChanged, *_REFUSED), openapi_extra=may_take("GiveReason")
    )
    async def pause(name: str, rule: str, request: Request) -> Response:
        """Stop the candidate, or without one the active version."""
        books, given = shelf.of(name), await parse_body(request, GiveReason, most)
        return await _changed(shelf, name, rule, partial(books.rules.pause, rule, who=who(request), why=given.note))

    @routes.post(
        _RULE + "/rollback", tags=["rules"], responses=answers(RuleChanged, *_REFUSED), openapi_extra=may_take("GiveReason")
    )
    async def rollback(name: str, rule: str, request: Request) -> Response:
        """Undo the last step: stop the candidate, or restore the version that was active before."""
        books, given = shelf.of(name), await parse_body(request, GiveReason, most)
        return await _changed(shelf, name, rule, partial(books.rules.rollback, rule, who=who(request), why=given.note))

    @routes.post(
        _RULE + "/archive", tags=["rules"], responses=answers(RuleChanged, *_REFUSED), openapi_extra=may_take("GiveReason")
    )
    async def archive(name: str, rule: str, request: Request) -> Response:
        """Archive a rule: no version acts or runs in shadow any more."""
        books, given = shelf.of(name), await parse_body(request, GiveReason, most)
        return await _changed(shelf, name, rule, partial(books.rules.archive, rule, who=who(request), why=given.note))


async def _changed(
    shelf: Administration,
    name: str,
    rule: str,
    work: Callable[[], Done | None],
    *,
    status: int = 200,
    backtests: Backtests | None = None,
) -> Response:
    """Apply a change and answer with its result: 202 if it waits for approval. backtests: for versions that act now, or may
    soon.
    """
    books = shelf.of(name)
    done = await shelf.change(name, work)
    request = done if isinstance(done, approvals.Request) else None
    lowers = None
    if backtests is not None and done is not None:
        number = done.version if isinstance(done, Version) else int(done.details["version"])
        body = await shelf.look(lambda: books.body(rule, number))
        lowers = await _lowering(backtests, books.detector, rule, body)

    def found() -> RuleChanged:
        known = _known(shelf, name, rule)
        pending = books.requests("pending")
        version = next((each for each in known if isinstance(done, Version) and each.version == done.version), None)
        findings = [] if version is None else books.check(rule, version.body).findings
        return RuleChanged(
            rule_form(known, books.findings(rule), None, pending),
            None if version is None else version_forms(known)[version.version],
            None if request is None else request_form(request),
            [finding_form(each) for each in findings],
            lowers,
        )

    return json_answer(await shelf.look(found), status if request is None else 202)


async def _lowering(backtests: Backtests, detector: Detector, rule: str, body: Body) -> LoweringForm | None:
    """How many recorded outcomes a version would have lowered; None if it lowers none, or if unknown."""
    if not can_lower(body, detector.policy):
        return None
    parse_body: dict[str, Any] = {"when": body.when, "then": body.then, "override": body.override}
    try:
        tried = await backtests.run(detector.name, BacktestRequest(**parse_body, rule=rule))
    except (RequestRefused, NotReady):
        return None
    return LoweringForm(tried.lowered, tried.lowered_per_day, tried.days)


def _known(shelf: Administration, name: str, rule: str) -> Sequence[Version]:
    rules = by_name(shelf.of(name).rules.versions())
    if rule not in rules:
        raise NotFound(f"detector {name!r} has no rule {rule[:100]!r}.{did_you_mean(rule, rules)}")
    return rules[rule]


def _evaluate(shelf: Administration, name: str, given: TryCondition) -> Evaluate | None:
    """A callable that evaluates the condition on the given event, which is read on the engine's thread."""
    rule = Rule(UNDER_TEST, given.when, then=given.then, reason=given.reason, hard=given.hard, override=given.override)
    if given.event is not None:
        return on_event(shelf.engine(name), rule, msgspec.json.encode(given.event))
    if given.transaction_id is not None:
        return on_recorded(shelf.engine(name), rule, given.transaction_id)
    return None
