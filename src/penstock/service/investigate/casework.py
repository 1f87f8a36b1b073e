"""Work on a case besides its verdict: assignment, due time, priority, tags, files, second opinions, taking a verdict back."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Annotated
from urllib.parse import quote

import msgspec
from fastapi import Query, Request, Response
from msgspec import UNSET, UnsetType

from penstock.cases.attachments import MOST_BYTES, attach, attached, detach
from penstock.cases.case import Case
from penstock.cases.planning import Planned, ask_opinion, plan, set_due_minutes, withdraw_opinion
from penstock.cases.store import Cases
from penstock.errors import MalformedEvent
from penstock.identity.roles import ROLES, Right, rights
from penstock.identity.users import Users
from penstock.service.access.authorize import Access
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.operation import refusal
from penstock.service.http.requests import actor_of, filled, json_answer, parse_instant, raw_body, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.service.investigate.cases import AttachmentForm, CaseForm, Name, Priority, Verdict, case_form
from penstock.service.investigate.verdicts import VerdictSubmission


class PlanCase(msgspec.Struct, forbid_unknown_fields=True):
    """What changes; a part that is left out stays. assignee, due_at: null for nobody and never. note: a reason, in the
    history of each change.
    """

    assignee: Name | UnsetType | None = UNSET
    due_at: str | UnsetType | None = UNSET
    priority: Priority | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    note: str | None = None


class AskOpinion(msgspec.Struct, forbid_unknown_fields=True):
    """Of whom a second opinion is asked: a colleague, or a role as `role:NAME`. verdict: the first opinion."""

    of: Name
    verdict: Verdict | None = None
    reason: str | None = None
    note: str | None = None


class SetDue(msgspec.Struct, forbid_unknown_fields=True):
    """Within how many minutes cases that come into the queue are due; null: never."""

    due_minutes: int | None


class DueTime(msgspec.Struct):
    """The due time of a queue."""

    queue: str
    due_minutes: int | None


class ColleagueList(msgspec.Struct):
    """Who may decide cases: users by name, and roles. Empty where nobody is registered, or an identity provider knows them."""

    users: list[str]
    roles: list[str]


_ROLES = sorted(role for role, held in ROLES.items() if Right.REVIEW in held)


def _colleagues(cases: Cases, detectors: Iterable[str]) -> list[str]:
    """The users who may decide cases of one of these detectors."""
    among = (None, *detectors)
    users = (user for user in Users(cases.database).all() if user.disabled_us is None)
    return [user.name for user in users if any(Right.REVIEW & rights(user.roles, each) for each in among)]


def _check_colleague(cases: Cases, access: Access | None, case_id: str, name: str, field: str) -> None:
    """Raises MalformedEvent for a name or role that nobody has who may decide cases, as far as the service knows them."""
    if name.startswith("role:"):
        if name.removeprefix("role:") not in _ROLES:
            raise MalformedEvent(f"{name[:80]!r} is no role that may decide cases; these are: {', '.join(_ROLES)}", field)
        return
    known = _colleagues(cases, [cases.case(case_id).detector])
    if known and (access is None or access.sign_on is None) and name not in known:
        raise MalformedEvent(f"{name[:80]!r} is no user who may decide cases; these are: {', '.join(known[:20])}", field)


# ---------------------------------------------------------------- routes

route = Routes("cases", by_detector=True)


@route("GET", "/cases/colleagues", Right.READ)
async def list_colleagues(cases: Cases, router: DetectorRouter, /) -> ColleagueList:
    """The people and roles that a case may be assigned to, or a second opinion asked of."""
    return ColleagueList(await asyncio.to_thread(_colleagues, cases, [*router]), _ROLES)


@route("PATCH", "/cases/{case_id}", Right.REVIEW, refuses=CHANGING)
async def change_case(cases: Cases, access: Access | None, /, case_id: str, request: Request, body: Body[PlanCase]) -> CaseForm:
    """Assign a case to a colleague, or set its due time, priority or tags."""
    given = await body
    due = parse_instant(given.due_at, "due_at") if isinstance(given.due_at, str) else given.due_at
    planned = Planned(assignee=given.assignee, due_us=due, priority=given.priority, tags=given.tags)

    def changed() -> Case:
        if isinstance(given.assignee, str):
            _check_colleague(cases, access, case_id, given.assignee, "assignee")
        return plan(cases, case_id, who(request), planned, given.note)

    return case_form(await asyncio.to_thread(changed))


@route("POST", "/cases/{case_id}/opinion", Right.REVIEW, refuses=CHANGING)
async def request_opinion(
    cases: Cases, access: Access | None, /, case_id: str, request: Request, body: Body[AskOpinion]
) -> CaseForm:
    """Ask a colleague or a role to decide a case; a verdict given with it is the first opinion, and no label."""
    given = await body

    def asked() -> Case:
        _check_colleague(cases, access, case_id, given.of, "of")
        said = {"verdict": given.verdict, "reason": given.reason, "note": given.note}
        return ask_opinion(cases, case_id, who(request), given.of, **said)

    return case_form(await asyncio.to_thread(asked))


@route("DELETE", "/cases/{case_id}/opinion", Right.REVIEW, refuses=(404, 409))
async def withdraw_opinion_request(cases: Cases, /, case_id: str, request: Request) -> CaseForm:
    """Withdraw one's own request for a second opinion."""
    return case_form(await asyncio.to_thread(withdraw_opinion, cases, case_id, who(request)))


@route("POST", "/cases/{case_id}/undo", Right.LABEL, refuses=(404, 409))
async def undo_verdict(cases: Cases, verdicts: VerdictSubmission, /, case_id: str, request: Request) -> CaseForm:
    """Take back one's own last verdict within 10 minutes; a label that it became stands until the next verdict."""
    case = await asyncio.to_thread(cases.undo, case_id, who(request))
    await verdicts.submit()
    return case_form(case)


_FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "%PDF-1.7 ..."}}
_SAVED = {"content-security-policy": "sandbox; default-src 'none'"}
"""Headers of a file that somebody sent: it is saved, never shown or run."""


@route(
    "POST",
    "/cases/{case_id}/attachments",
    Right.REVIEW,
    answers=AttachmentForm,
    refuses=CHANGING,
    status=201,
    most_bytes=MOST_BYTES,
    extra={"requestBody": {"content": _FILE, "required": True, "description": "The file, 5,000,000 bytes at most."}},
)
async def add_case_attachment(
    cases: Cases,
    /,
    case_id: str,
    request: Request,
    *,
    name: Annotated[str, Query(max_length=1000, description="The name of the file.")],
) -> Response:
    """Attach a file to a case, which is the body as it is; a case has 20 at most."""
    content = await raw_body(request, MOST_BYTES)
    added = await asyncio.to_thread(attach, cases, case_id, who(request), name, content)
    return json_answer(filled(AttachmentForm, added), 201)


@route(
    "GET",
    "/cases/{case_id}/attachments/{attachment_id}",
    Right.REVIEW,
    responses={200: {"description": "The file.", "content": _FILE}, 404: refusal(404)},
)
async def get_case_attachment(cases: Cases, /, case_id: str, attachment_id: str) -> Response:
    """A file of a case, to be saved."""
    found, content = await asyncio.to_thread(attached, cases, case_id, attachment_id)
    disposition = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"
    return Response(content, media_type="application/octet-stream", headers={"content-disposition": disposition, **_SAVED})


@route("DELETE", "/cases/{case_id}/attachments/{attachment_id}", Right.REVIEW, refuses=(403, 404))
async def remove_case_attachment(cases: Cases, /, case_id: str, attachment_id: str, request: Request) -> CaseForm:
    """Delete a file that one attached oneself; administrators delete any. Its name and hash stay in the history."""
    actor = actor_of(request)

    def removed() -> Case:
        case = cases.case(case_id)
        of_others = bool(Right.ADMINISTER & rights(actor.roles, case.detector))
        detach(cases, case_id, attachment_id, actor.name, of_others=of_others)
        return cases.case(case_id)

    return case_form(await asyncio.to_thread(removed))


@route("PUT", "/cases/queues/{queue}", Right.APPROVE | Right.ADMINISTER, refuses=CHANGING, by_detector=False)
async def set_queue_due_time(cases: Cases, /, queue: str, request: Request, body: Body[SetDue]) -> DueTime:
    """Set within how many minutes cases that come into a queue from now on are due."""
    minutes = (await body).due_minutes
    await asyncio.to_thread(partial(set_due_minutes, cases, queue, who(request), minutes))
    return DueTime(queue, minutes)
