"""`/detectors/{name}/approvals`: what waits for a second pair of eyes."""

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from penstock.assemble.approving import Approving
from penstock.config import Settings
from penstock.office.approvals import Stage
from penstock.office.roles import Right, rights
from penstock.service.asking import actor, answer, asked, who
from penstock.service.openapi import answers, may_take
from penstock.service.problems import RequestRefused
from penstock.service.rule_asks import GiveReason
from penstock.service.rule_forms import RequestForm, RequestList, request_form
from penstock.service.shelf import Shelf

_REFUSED = (400, 403, 404, 408, 409, 413, 415)
_REQUESTS = "/detectors/{name}/approvals"


def add_routes(routes: FastAPI, shelf: Shelf, settings: Settings, approving: Callable[[str], Approving]) -> None:
    """Add the routes, over these books. approving: what settles the requests about a detector."""
    most = settings.max_body_bytes

    @routes.get(_REQUESTS, tags=["rules"], responses=answers(RequestList, 404))
    async def listed(
        name: str,
        stage: Annotated[Stage | None, Query(description="All unless given.")] = None,
    ) -> Response:
        """What was asked for, the newest first: promotions and rollouts of rules and models, lists, features to activate."""
        books = shelf.of(name)
        found = await shelf.look(lambda: books.requests(stage))
        return answer(RequestList([request_form(each) for each in found]))

    @routes.post(
        _REQUESTS + "/{request_id}/approve", tags=["rules"], responses=answers(RequestForm, *_REFUSED),
        openapi_extra=may_take("GiveReason"),
    )  # fmt: skip
    async def approve(name: str, request_id: str, request: Request) -> Response:
        """Do what was asked for; whoever wrote it cannot approve it (409)."""
        settling, given = approving(name), await asked(request, GiveReason, most)
        await shelf.change(name, lambda: settling.approve(request_id, who=who(request), why=given.note))
        return answer(await _one(shelf, name, request_id))

    @routes.post(
        _REQUESTS + "/{request_id}/reject", tags=["rules"], responses=answers(RequestForm, *_REFUSED),
        openapi_extra=may_take("GiveReason"),
    )  # fmt: skip
    async def reject(name: str, request_id: str, request: Request) -> Response:
        """Let what was asked for not be done; whoever asked withdraws it so."""
        books, given, asking = shelf.of(name), await asked(request, GiveReason, most), actor(request)
        found = await _one(shelf, name, request_id)
        if found.asked_by != asking.name and not rights(asking.roles) & Right.APPROVE:
            raise RequestRefused(403, f"{asking.name} may withdraw what {asking.name} asked for, and reject nothing else")
        return answer(
            request_form(await shelf.look(lambda: books.approvals.reject(request_id, who=asking.name, why=given.note)))
        )


async def _one(shelf: Shelf, name: str, request_id: str) -> RequestForm:
    found = await shelf.look(lambda: shelf.of(name).approvals.one(request_id))
    return request_form(found)
