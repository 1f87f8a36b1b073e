"""`/audit`: the audit log and its verification."""

import asyncio
import time
from typing import Annotated

from fastapi import FastAPI, Query, Response

from penstock.database.sqlite import Database
from penstock.governance.audit import AuditLog
from penstock.service.access.access_schemas import AuditCheck, AuditPage, check_form, entry_form
from penstock.service.http.instants import parse_instant
from penstock.service.http.openapi import answers
from penstock.service.http.requests import json_answer


def add_routes(routes: FastAPI, office: Database) -> None:
    """Add the routes."""
    log = AuditLog(office)
    checking = asyncio.Lock()

    @routes.get("/audit", tags=["access"], responses=answers("AuditPage"))
    async def entries(
        *,
        limit: Annotated[int, Query(ge=1, le=1000, description="Entries per page.")] = 50,
        before: Annotated[int | None, Query(ge=1, le=1 << 62, description="`next` of the page before.")] = None,
        actor: Annotated[str | None, Query(max_length=300, description="Only what this user or key did.")] = None,
        action: Annotated[
            str | None, Query(max_length=100, description="Only this action, `keys.add`, or all of a kind, `keys`.")
        ] = None,
        subject: Annotated[str | None, Query(max_length=500, description="Only what was done to this.")] = None,
        since: Annotated[str | None, Query(alias="from", max_length=100, description="From this instant, ISO 8601.")] = None,
        until: Annotated[str | None, Query(alias="to", max_length=100, description="Before this instant, ISO 8601.")] = None,
    ) -> Response:
        """Audit entries, newest first."""
        span = parse_instant(since, "from"), parse_instant(until, "to")
        found = await asyncio.to_thread(log.entries, limit + 1, before, actor, action, subject, *span)
        shown = found[:limit]
        following = shown[-1].seq if len(found) > limit else None
        return json_answer(AuditPage([entry_form(entry) for entry in shown], following))

    @routes.get("/audit/verify", tags=["access"], responses=answers("AuditCheck"))
    async def verify() -> Response:
        """Verify the whole log: whether an entry was changed, removed or inserted."""

        def checked() -> AuditCheck:
            began = time.perf_counter()
            misfit = log.verify()
            return check_form(misfit, log.head(), log.erasures(), round((time.perf_counter() - began) * 1e3, 1))

        async with checking:
            return json_answer(await asyncio.to_thread(checked))
