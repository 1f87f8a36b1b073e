"""`/detectors/{name}/approvals`: changes that wait for the approval of a second person."""

from typing import Annotated

from fastapi import Query, Request

from penstock.governance.approvals import Stage
from penstock.identity.roles import Right
from penstock.service.changes.administration import Administration
from penstock.service.changes.rule_schemas import GiveReason, RequestForm, RequestList
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import filled, may, who
from penstock.service.http.route import CHANGING, Body, Routes

route = Routes("rules")


@route("GET", "/detectors/{name}/approvals", Right.READ, refuses=(404,))
async def list_approval_requests(
    administration: Administration, /, name: str, stage: Annotated[Stage | None, Query(description="All unless given.")] = None
) -> RequestList:
    """Requests, newest first: promotions and rollouts of rules and models, list changes, features to activate."""
    admin = administration.of(name)
    found = await administration.look(lambda: admin.requests(stage))
    return RequestList([filled(RequestForm, each) for each in found])


@route("POST", "/detectors/{name}/approvals/{request_id}/approve", Right.APPROVE, refuses=(403, *CHANGING))
async def approve_request(
    administration: Administration, /, name: str, request_id: str, request: Request, body: Body[GiveReason]
) -> RequestForm:
    """Approve a request and apply it; its author cannot approve it (409)."""
    settling, given = administration.approving(name), await body
    await administration.change(name, lambda: settling.approve(request_id, who=who(request), why=given.note))
    return await _one(administration, name, request_id)


@route("POST", "/detectors/{name}/approvals/{request_id}/reject", Right.AUTHOR | Right.APPROVE, refuses=(403, *CHANGING))
async def reject_request(
    administration: Administration, /, name: str, request_id: str, request: Request, body: Body[GiveReason]
) -> RequestForm:
    """Reject a request; its author uses this to withdraw it."""
    admin, given, asking = administration.of(name), await body, who(request)
    found = await _one(administration, name, request_id)
    if found.asked_by != asking and not may(request, Right.APPROVE, name):
        raise RequestRefused(403, f"{asking} may withdraw what {asking} asked for, and reject nothing else")
    done = await administration.look(lambda: admin.approvals.reject(request_id, who=asking, why=given.note))
    return filled(RequestForm, done)


async def _one(administration: Administration, name: str, request_id: str) -> RequestForm:
    return filled(RequestForm, await administration.look(lambda: administration.of(name).approvals.one(request_id)))
