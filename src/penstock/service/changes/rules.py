"""`/detectors/{name}/rules`: rules edited at run time, from draft to archived, with all versions kept."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from fastapi import Request, Response

from penstock.clock import iso
from penstock.config import Settings
from penstock.detector import Detector
from penstock.engine.rule_preview import Evaluate, on_event, on_recorded
from penstock.errors import NotFound, NotReady, did_you_mean
from penstock.governance import approvals
from penstock.governance.administration import UNDER_TEST
from penstock.governance.rules import RuleBody, StoredRule, difference
from penstock.governance.stored_detector import can_lower
from penstock.governance.versions import by_name
from penstock.identity.roles import Right
from penstock.rules import Rule
from penstock.service.changes.administration import FIRES_DAYS, Administration
from penstock.service.changes.backtests import BacktestRequest, Backtests
from penstock.service.changes.rule_schemas import (
    AskForRule,
    EndSnooze,
    EventTested,
    FindingForm,
    GiveReason,
    LoweringForm,
    NewRule,
    NewSnooze,
    PromoteRule,
    RequestForm,
    RolloutRule,
    RuleChanged,
    RuleDiff,
    RuleHistory,
    RuleList,
    RulesImported,
    RuleTested,
    ShadowRule,
    SnoozeList,
    TryCondition,
    rule_form,
    version_form,
    version_forms,
)
from penstock.service.http.operation import refusal, text_content
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, json_answer, may, text, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.service.records.snoozes import SnoozeForm

Done = StoredRule | approvals.Request
"""A version with a new state, or a request that waits for another person."""


async def _changed(
    administration: Administration,
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
    admin = administration.of(name)
    done = await administration.change(name, work)
    request = done if isinstance(done, approvals.Request) else None
    lowers = None
    if backtests is not None and done is not None:
        number = done.version if isinstance(done, StoredRule) else int(done.details["version"])
        body = await administration.look(lambda: admin.body(rule, number))
        lowers = await _lowering(backtests, admin.detector, rule, body)

    def found() -> RuleChanged:
        known = _known(administration, name, rule)
        pending = admin.requests("pending")
        version = next((each for each in known if isinstance(done, StoredRule) and each.version == done.version), None)
        findings = [] if version is None else admin.check(rule, version.body).findings
        return RuleChanged(
            rule_form(known, admin.findings(rule), None, pending),
            None if version is None else version_forms(known)[version.version],
            None if request is None else filled(RequestForm, request),
            [filled(FindingForm, each) for each in findings],
            lowers,
        )

    return json_answer(await administration.look(found), status if request is None else 202)


async def _lowering(backtests: Backtests, detector: Detector, rule: str, body: RuleBody) -> LoweringForm | None:
    """How many recorded outcomes a version would have lowered; None if it lowers none, or if unknown."""
    if not can_lower(body, detector.policy):
        return None
    asked: dict[str, Any] = {"when": body.when, "then": body.then, "override": body.override}
    try:
        tried = await backtests.run(detector.name, BacktestRequest(**asked, rule=rule))
    except (RequestRefused, NotReady):
        return None
    return LoweringForm(tried.lowered, tried.lowered_per_day, tried.days)


def _known(administration: Administration, name: str, rule: str) -> Sequence[StoredRule]:
    rules = by_name(administration.of(name).rules.versions())
    if rule not in rules:
        raise NotFound(f"detector {name!r} has no rule {rule[:100]!r}.{did_you_mean(rule, rules)}")
    return rules[rule]


def _evaluate(administration: Administration, name: str, given: TryCondition) -> Evaluate | None:
    """A callable that evaluates the condition on the given event, which is read on the engine's thread."""
    rule = Rule(UNDER_TEST, given.when, then=given.then, reason=given.reason, hard=given.hard, override=given.override)
    if given.event is not None:
        return on_event(administration.engine(name), rule, msgspec.json.encode(given.event))
    if given.transaction_id is not None:
        return on_recorded(administration.engine(name), rule, given.transaction_id)
    return None


# ---------------------------------------------------------------- routes

route = Routes("rules")

_LINES = text_content("application/x-ndjson", '{"name": "many_payments", "when": "amount > 1000", "then": "review"}\n')
_TAKES_LINES = {
    "requestBody": {
        "required": True,
        "content": {
            **_LINES,
            "application/json": {"schema": {"type": "object"}, "example": {"name": "many_payments", "when": "amount > 1000"}},
        },
    }
}
_EXPORTED = {200: {"description": "One rule a line.", "content": _LINES}, 404: refusal(404)}


@route("GET", "/detectors/{name}/rules", Right.READ, refuses=(404,))
async def list_rules(administration: Administration, /, name: str, *, archived: bool = False) -> RuleList:
    """All rules: state, since when, author of the last change, warnings, and how often they fired lately."""
    admin = administration.of(name)
    fired = await administration.fires(name)

    def found() -> RuleList:
        rules = by_name(admin.rules.versions())
        waiting = admin.requests("pending")
        forms = [rule_form(known, admin.findings(rule), fired, waiting) for rule, known in rules.items()]
        kept = [form for form in forms if archived or form.state != "archived"]
        now = administration.in_force(name)
        at = None if fired is None else iso(fired.at_us)
        return RuleList(name, admin.rules.revision(), admin.rules.four_eyes, now.rules, now.lists, FIRES_DAYS, at, kept)

    return await administration.look(found)


@route("GET", "/detectors/{name}/rules/export", Right.READ, responses=_EXPORTED)
async def export_rules(administration: Administration, /, name: str) -> Response:
    """The active rules as NDJSON, one object per line: for `import` elsewhere, or for the detector's file."""
    admin = administration.of(name)
    lines = await administration.look(lambda: list(admin.export()))
    return Response("".join(f"{line}\n" for line in lines), media_type="application/x-ndjson")


@route("GET", "/detectors/{name}/rules/{rule}", Right.READ, refuses=(404,))
async def get_rule(administration: Administration, /, name: str, rule: str) -> RuleHistory:
    """A rule with all versions, newest first, their changes, and its requests."""
    admin = administration.of(name)
    fired = await administration.fires(name)

    def found() -> RuleHistory:
        known = _known(administration, name, rule)
        requests = [each for each in admin.requests() if (each.kind, each.name) == ("rule", rule)]
        waiting = [each for each in requests if each.stage == "pending"]
        versions = list(version_forms(known).values())[::-1]
        return RuleHistory(
            rule_form(known, admin.findings(rule), fired, waiting), versions, [filled(RequestForm, each) for each in requests]
        )

    return await administration.look(found)


@route("GET", "/detectors/{name}/rules/{rule}/diff", Right.READ, refuses=(404,))
async def compare_rule_versions(
    administration: Administration, /, name: str, rule: str, *, before: int, after: int
) -> RuleDiff:
    """The differences between two versions."""

    def found() -> RuleDiff:
        bodies = {version.version: version.body for version in _known(administration, name, rule)}
        for number in (before, after):
            if number not in bodies:
                raise NotFound(f"rule {rule!r} has no version {number}; it has 1 to {len(bodies)}")
        return RuleDiff(rule, before, after, difference(bodies[before], bodies[after]))

    return await administration.look(found)


@route("POST", "/detectors/{name}/rules", Right.AUTHOR, answers=RuleChanged, refuses=CHANGING, status=201)
async def create_rule(administration: Administration, /, name: str, request: Request, body: Body[NewRule]) -> Response:
    """Add a version of a rule as a draft: it is checked, and does not run yet."""
    admin, given = administration.of(name), await body
    work = partial(admin.rules.add, given.name, given.body, who=who(request), why=given.note)
    return await _changed(administration, name, given.name, work, status=201)


@route("POST", "/detectors/{name}/rules/import", Right.AUTHOR, refuses=CHANGING, extra=_TAKES_LINES)
async def import_rules(administration: Administration, settings: Settings, /, name: str, request: Request) -> RulesImported:
    """Add exported rules (NDJSON) as drafts; rules equal to existing ones are skipped."""
    admin, lines = administration.of(name), await text(request, settings.max_body_bytes)
    added = await administration.change(name, lambda: admin.import_(lines, "the body", who=who(request)))
    return RulesImported([version_form(version) for version in added])


@route("POST", "/detectors/{name}/rules/test", Right.AUTHOR | Right.APPROVE, refuses=CHANGING)
async def test_rule(administration: Administration, /, name: str, body: Body[TryCondition]) -> RuleTested:
    """Check a condition without saving it: names, types, lint findings, and its result on an event."""
    admin, given = administration.of(name), await body
    rule = RuleBody(when=given.when, then=given.then, reason=given.reason, hard=given.hard, override=given.override)
    async with administration.testing:
        checked = await administration.look(lambda: admin.check(given.name or UNDER_TEST, rule))
        evaluate = _evaluate(administration, name, given)
        found = None if evaluate is None else await administration.look(evaluate)
    return RuleTested(
        checked.condition,
        list(checked.reads),
        list(checked.lists),
        [filled(FindingForm, each) for each in checked.findings],
        None if found is None else filled(EventTested, found),
        checked.comparisons,
    )


@route(
    "POST", "/detectors/{name}/rules/{rule}/shadow", Right.AUTHOR | Right.APPROVE, answers=RuleChanged, refuses=(403, *CHANGING)
)
async def shadow_rule(
    administration: Administration, /, name: str, rule: str, request: Request, body: Body[ShadowRule]
) -> Response:
    """Run a version in shadow: where it would have fired is recorded; only approvers may end a rollout with it (403)."""
    admin, given = administration.of(name), await body
    approves = may(request, Right.APPROVE, name)
    work = partial(admin.rules.shadow, rule, given.version, who=who(request), why=given.note, may_approve=approves)
    return await _changed(administration, name, rule, work)


@route(
    "POST",
    "/detectors/{name}/rules/{rule}/request",
    Right.AUTHOR | Right.APPROVE,
    answers=RuleChanged,
    refuses=CHANGING,
    status=202,
)
async def request_rule(
    administration: Administration, backtests: Backtests, /, name: str, rule: str, request: Request, body: Body[AskForRule]
) -> Response:
    """Ask others to promote a version, or to roll it out."""
    admin, given = administration.of(name), await body
    details: dict[str, Any] = {} if given.action == "promote" else {"percent": given.percent or 0.0, "of": given.of}
    by: dict[str, Any] = {"who": who(request), "why": given.note}
    work = partial(admin.rules.ask, rule, given.version, given.action, **by, **details)
    return await _changed(administration, name, rule, work, backtests=backtests)


@route(
    "POST", "/detectors/{name}/rules/{rule}/rollout", Right.APPROVE, answers=RuleChanged, waits=RuleChanged, refuses=CHANGING
)
async def roll_out_rule(
    administration: Administration, backtests: Backtests, /, name: str, rule: str, request: Request, body: Body[RolloutRule]
) -> Response:
    """Roll a version out to a share of the keys of a field; the active version acts on the others."""
    admin, given = administration.of(name), await body
    share: dict[str, Any] = {"percent": given.percent, "share_of": given.of}
    roll = partial(admin.rules.rollout, rule, given.version, **share, who=who(request), why=given.note, guards=given.guards)
    return await _changed(administration, name, rule, roll, backtests=backtests)


@route(
    "POST", "/detectors/{name}/rules/{rule}/promote", Right.APPROVE, answers=RuleChanged, waits=RuleChanged, refuses=CHANGING
)
async def promote_rule(
    administration: Administration, backtests: Backtests, /, name: str, rule: str, request: Request, body: Body[PromoteRule]
) -> Response:
    """Promote the candidate, or a version, to active; the active version is archived."""
    admin, given = administration.of(name), await body
    work = partial(admin.rules.promote, rule, given.version, who=who(request), why=given.note)
    return await _changed(administration, name, rule, work, backtests=backtests)


@route("POST", "/detectors/{name}/rules/{rule}/pause", Right.APPROVE, answers=RuleChanged, refuses=CHANGING)
async def pause_rule(
    administration: Administration, /, name: str, rule: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Stop the candidate, or without one the active version."""
    admin, given = administration.of(name), await body
    return await _changed(administration, name, rule, partial(admin.rules.pause, rule, who=who(request), why=given.note))


@route("POST", "/detectors/{name}/rules/{rule}/rollback", Right.APPROVE, answers=RuleChanged, refuses=CHANGING)
async def roll_back_rule(
    administration: Administration, /, name: str, rule: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Undo the last step: stop the candidate, or restore the version that was active before."""
    admin, given = administration.of(name), await body
    return await _changed(administration, name, rule, partial(admin.rules.rollback, rule, who=who(request), why=given.note))


@route("POST", "/detectors/{name}/rules/{rule}/archive", Right.APPROVE, answers=RuleChanged, refuses=CHANGING)
async def archive_rule(
    administration: Administration, /, name: str, rule: str, request: Request, body: Body[GiveReason]
) -> Response:
    """Archive a rule: no version acts or runs in shadow any more."""
    admin, given = administration.of(name), await body
    return await _changed(administration, name, rule, partial(admin.rules.archive, rule, who=who(request), why=given.note))


@route("GET", "/detectors/{name}/rules/{rule}/snoozes", Right.READ, refuses=(404,))
async def list_snoozes(administration: Administration, /, name: str, rule: str) -> SnoozeList:
    """The keys on which a rule does not act for now: who snoozed it, why, and until when."""
    return await administration.look(lambda: _snoozes(administration, name, rule))


@route("POST", "/detectors/{name}/rules/{rule}/snoozes", Right.AUTHOR | Right.APPROVE, refuses=(403, *CHANGING), status=201)
async def create_snooze(
    administration: Administration, /, name: str, rule: str, request: Request, body: Body[NewSnooze]
) -> SnoozeForm:
    """Snooze a rule for one key: it records where it fires, and does not act; a hard block only by who may approve (403)."""
    admin, given = administration.of(name), await body
    by: dict[str, Any] = {"who": who(request), "reason": given.reason, "may_lift_hard": may(request, Right.APPROVE)}
    snooze = partial(admin.snooze, rule, given.entity, given.key, given.lasts, **by)
    return filled(SnoozeForm, await administration.change(name, snooze))


@route("POST", "/detectors/{name}/rules/{rule}/snoozes/end", Right.AUTHOR | Right.APPROVE, refuses=CHANGING)
async def remove_snooze(
    administration: Administration, /, name: str, rule: str, request: Request, body: Body[EndSnooze]
) -> SnoozeList:
    """Let a rule act on a key again."""
    admin, given = administration.of(name), await body
    await administration.change(
        name, partial(admin.snoozes.end, rule, given.entity, given.key, who=who(request), why=given.note)
    )
    return await administration.look(lambda: _snoozes(administration, name, rule))


def _snoozes(administration: Administration, name: str, rule: str) -> SnoozeList:
    _known(administration, name, rule)
    return SnoozeList([filled(SnoozeForm, each) for each in administration.of(name).snoozes.of(rule)])
