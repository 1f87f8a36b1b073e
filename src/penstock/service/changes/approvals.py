"""`/detectors/{name}/approvals`: changes that wait for the approval of a second person."""

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from penstock.config import Settings
from penstock.governance.approvals import Stage
from penstock.identity.roles import Right, rights
from penstock.service.changes.administration import Administration
from penstock.service.changes.rule_requests import GiveReason
from penstock.service.changes.rule_schemas import RequestForm, RequestList, request_form
from penstock.service.http.openapi import answers, may_take
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import actor_name, json_answer, parse_body, who
from penstock.wiring.changes.approvals import ApprovalService

_REFUSED = (400, 403, 404, 408, 409, 413, 415)
_REQUESTS = "/detectors/{name}/approvals"


def add_routes(routes: FastAPI, shelf: Administration, settings: Settings, approving: Callable[[str], ApprovalService]) -> None:
    """Add the routes. approving: approves or rejects the requests of a detector."""
    most = settings.max_body_bytes

    @routes.get(_REQUESTS, tags=["rules"], responses=answers(RequestList, 404))
    async def listed(
        name: str,
        stage: Annotated[Stage | None, Query(description="All unless given.")] = None,
    ) -> Response:
        """Requests, newest first: promotions and rollouts of rules and models, list changes, features to activate."""
        books = shelf.of(name)
        found = await shelf.look(lambda: books.requests(stage))
        return json_answer(RequestList([request_form(each) for each in found]))

    @routes.post(
        _REQUESTS + "/{request_id}/approve", tags=["rules"], responses=answers(RequestForm, *_REFUSED),
        openapi_extra=may_take("GiveReason"),
    )  # fmt: skip
    async def approve(name: str, request_id: str, request: Request) -> Response:
        """Approve a request and apply it; its author cannot approve it (409)."""
        settling, given = approving(name), await parse_body(request, GiveReason, most)
        await shelf.change(name, lambda: settling.approve(request_id, who=who(request), why=given.note))
        return json_answer(await _one(shelf, name, request_id))

    @routes.post(
        _REQUESTS + "/{request_id}/reject", tags=["rules"], responses=answers(RequestForm, *_REFUSED),
        openapi_extra=may_take("GiveReason"),
    )  # fmt: skip
    async def reject(name: str, request_id: str, request: Request) -> Response:
        """Reject a request; its author uses this to withdraw it."""
        books, given, asking = shelf.of(name), await parse_body(request, GiveReason, most), actor_name(request)
        found = await _one(shelf, name, request_id)
        if found.asked_by != asking.name and not rights(asking.roles) & Right.APPROVE:
            raise RequestRefused(403, f"{asking.name} may withdraw what {asking.name} asked for, and reject nothing else")
        return json_answer(
            request_form(await shelf.look(lambda: books.approvals.reject(request_id, who=asking.name, why=given.note)))
        )


async def _one(shelf: Administration, name: str, request_id: str) -> RequestForm:
    found = await shelf.look(lambda: shelf.of(name).approvals.one(request_id))
    return request_form(found)
