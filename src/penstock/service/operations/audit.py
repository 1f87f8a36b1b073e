"""`/audit`: the audit log and its verification."""

import asyncio
import time
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request
from msgspec import Meta

from penstock.audit import AuditLog, ChainEntry, ChainErasure, ChainHead, Misfit
from penstock.database.sqlite import Database
from penstock.identity.roles import Right
from penstock.service.http.requests import filled, may, parse_instant
from penstock.service.http.route import Routes
from penstock.service.records.personal import HIDDEN

_IMPERSONAL = frozenset({"features", "keys", "ledger", "model", "models", "queues", "rules", "users", "webhooks"})
"""Kinds of actions whose details hold no value of a customer and no free text about one."""


class ChangedField(msgspec.Struct, frozen=True):
    """The value of a field before and after a change."""

    field: Annotated[str, Meta(description="The field.")]
    before: Annotated[Any, Meta(description="Null where there was nothing.")]
    after: Annotated[Any, Meta(description="Null where there is nothing any more.")]


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry of the audit log."""

    seq: Annotated[int, Meta(description="Its number in the log, from 1, without gaps.")]
    at: Annotated[str, Meta(description="When it was made.")]
    actor: Annotated[str, Meta(description="The user, `key:NAME`, or `local` for work on the machine itself.")]
    action: Annotated[str, Meta(description="What was done, as noun.verb: `keys.add`.")]
    subject: Annotated[str, Meta(description="What it was done to: `keys/3fa9`.")]
    details: Annotated[dict[str, Any] | None, Meta(description="What was changed, and why; null where that was erased.")]
    diff: Annotated[list[ChangedField], Meta(description="What was changed, where it is known what was there before.")]
    hash: Annotated[str, Meta(description="SHA-256 over this entry and the hash of the one before it.")]


class AuditPage(msgspec.Struct, frozen=True):
    """One page of the audit log, newest first."""

    entries: Annotated[list[AuditEntry], Meta(description="Newest first.")]
    next: Annotated[int | None, Meta(description="`before` of the next page; null where there is none.")]


class AuditMisfit(msgspec.Struct, frozen=True):
    """The first entry that breaks the hash chain."""

    seq: Annotated[int, Meta(description="Its number.")]
    reason: Annotated[str, Meta(description="Why it does not fit.")]


class AuditErasure(msgspec.Struct, frozen=True):
    """Details that were erased on request; the chain stays valid without them."""

    at: Annotated[str, Meta(description="When.")]
    actor: Annotated[str, Meta(description="By whom.")]
    subject: Annotated[str, Meta(description="About what.")]
    entries: Annotated[list[int], Meta(description="The numbers of the entries that lost their details.")]


class AuditCheck(msgspec.Struct, frozen=True):
    """The result of verifying the whole chain."""

    intact: Annotated[bool, Meta(description="No entry was changed, removed or put in.")]
    entries: Annotated[int, Meta(description="How many there are.")]
    head: Annotated[str, Meta(description="The hash over all of them. Kept elsewhere, it shows that the log was not replaced.")]
    misfit: Annotated[AuditMisfit | None, Meta(description="The first entry that does not fit.")]
    erased: Annotated[list[AuditErasure], Meta(description="Details that were erased, the oldest first.")]
    took_ms: Annotated[float, Meta(description="How long the check took.")]


def entry_form(entry: ChainEntry) -> AuditEntry:
    """The response form of an audit entry."""
    return filled(AuditEntry, entry, actor=entry.who, diff=_diff(entry))


def _masked(entry: ChainEntry) -> ChainEntry:
    """The entry for those who may not see personal values: details of cases, lists and persons are left out."""
    if entry.details is None or entry.action.partition(".")[0] in _IMPERSONAL:
        return entry
    return msgspec.structs.replace(entry, details={"details": HIDDEN})


def _diff(entry: ChainEntry) -> list[ChangedField]:
    """The before and after of an entry: `changed` by field, or a state (a case: its queue) as `from` and `to`."""
    details = entry.details or {}
    changed = details.get("changed")
    found = [ChangedField(name, *pair) for name, pair in changed.items()] if isinstance(changed, dict) else []
    if {"from", "to"} <= details.keys():
        found.append(ChangedField("queue" if entry.action == "cases.escalate" else "state", details["from"], details["to"]))
    return found


def check_form(misfit: Misfit | None, head: ChainHead, erasures: list[ChainErasure], took_ms: float) -> AuditCheck:
    """The response form of a chain verification."""
    return AuditCheck(
        intact=misfit is None,
        entries=head.seq,
        head=head.hash,
        misfit=None if misfit is None else filled(AuditMisfit, misfit),
        erased=[filled(AuditErasure, each, actor=each.who) for each in erasures],
        took_ms=took_ms,
    )


class Audit:
    """The audit log of an office; one verification at a time."""

    def __init__(self, office: Database) -> None:
        self.log = AuditLog(office)
        self.checking = asyncio.Lock()

    def check(self) -> AuditCheck:
        """Verify the whole log; waits for the database."""
        began = time.perf_counter()
        misfit = self.log.verify()
        return check_form(misfit, self.log.head(), self.log.erasures(), round((time.perf_counter() - began) * 1e3, 1))


# ---------------------------------------------------------------- routes

route = Routes("access")


@route("GET", "/audit", Right.ADMINISTER | Right.AUDIT)
async def list_audit_entries(
    audit: Audit,
    /,
    request: Request,
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
) -> AuditPage:
    """Audit entries, newest first."""
    span = parse_instant(since, "from"), parse_instant(until, "to")
    found = await asyncio.to_thread(audit.log.entries, limit + 1, before, actor, action, subject, *span)
    shown = found[:limit]
    following = shown[-1].seq if len(found) > limit else None
    personal = may(request, Right.PERSONAL)
    return AuditPage([entry_form(entry if personal else _masked(entry)) for entry in shown], following)


@route("GET", "/audit/verify", Right.ADMINISTER | Right.AUDIT)
async def verify_audit_log(audit: Audit, /) -> AuditCheck:
    """Verify the whole log: whether an entry was changed, removed or inserted."""
    async with audit.checking:
        return await asyncio.to_thread(audit.check)
