"""`/webhooks`: endpoints that events are delivered to, the log of deliveries, replay and test."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import Query, Request
from msgspec import Meta

from penstock.clock import iso
from penstock.errors import MalformedEvent
from penstock.identity.roles import Right
from penstock.service.http.requests import filled, parse_instant, who
from penstock.service.http.route import CHANGING, Body, Routes
from penstock.webhooks.delivery import Webhooks
from penstock.webhooks.endpoints import DAY_US, Endpoint, EndpointChanges
from penstock.webhooks.outbox import Attempt

_MOST_BYTES = 16_384

Url = Annotated[str, Meta(min_length=1, max_length=2000, description="Where events are posted to: https://HOST/PATH.")]
Description = Annotated[str, Meta(max_length=500, description="For people.")]
Types = Annotated[
    list[Annotated[str, Meta(max_length=100)]],
    Meta(
        max_length=50,
        description="The types of events, such as `penstock.decision.made`, or `penstock.case.*`; all if empty.",
    ),
]
DetectorNames = Annotated[
    list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100, description="Of these detectors; of all if empty.")
]
Decisions = Annotated[
    list[Annotated[str, Meta(max_length=20)]],
    Meta(max_length=10, description="Of decisions, those: APPROVE, CHALLENGE, REVIEW, BLOCK; all if empty."),
]
RetentionDays = Annotated[float, Meta(ge=0.01, le=30, description="How long an event is tried and kept for replay, in days.")]
TimeoutSeconds = Annotated[float, Meta(ge=0.1, le=30, description="How long the receiver may take to answer, in seconds.")]


class WebhookForm(msgspec.Struct, frozen=True):
    """An endpoint, without its secret, and the state of its delivery."""

    id: Annotated[str, Meta(description="Made by the service.")]
    url: Url
    description: Description
    types: Types
    detectors: DetectorNames
    decisions: Decisions
    enabled: Annotated[bool, Meta(description="Whether events are delivered; if not, they wait for its retention.")]
    retention_days: RetentionDays
    timeout_s: TimeoutSeconds
    state: Annotated[
        str,
        Meta(
            description="delivering, retrying (the last attempt failed), failing (for days), or paused (not enabled, or the"
            " service delivers nothing: the setting `deliver`)."
        ),
    ]
    waiting: Annotated[int, Meta(description="Events behind its cursor, selected or not.")]
    waiting_since: Annotated[str | None, Meta(description="Since when the oldest of them waits; null where none does.")]
    failures: Annotated[int, Meta(description="Attempts in a row that failed.")]
    failing_since: Annotated[str | None, Meta(description="When the first of them failed; null where the last one worked.")]
    next_at: Annotated[str | None, Meta(description="When the next attempt is made; null where none is put off.")]
    delivered_at: Annotated[str | None, Meta(description="When an event was last delivered; null where none was.")]
    error: Annotated[str | None, Meta(description="Why the last attempt failed.")]
    created_at: Annotated[str, Meta(description="When it was added.")]
    created_by: Annotated[str, Meta(description="The user or key.")]
    secret_overlaps_until: Annotated[
        str | None, Meta(description="Until when the secret before the rotation signs as well; null where none does.")
    ]


class WebhookList(msgspec.Struct, frozen=True):
    """All endpoints, oldest first."""

    webhooks: Annotated[list[WebhookForm], Meta(description="Without their secrets.")]


class NewWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """An endpoint to add."""

    url: Url
    description: Description = ""
    types: Types = []
    detectors: DetectorNames = []
    decisions: Decisions = []
    enabled: Annotated[bool, Meta(description="Whether to deliver at once.")] = True
    retention_days: RetentionDays = 7.0
    timeout_s: TimeoutSeconds = 10.0


class ChangeWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of an endpoint; what is not given stays."""

    url: Url | None = None
    description: Description | None = None
    types: Types | None = None
    detectors: DetectorNames | None = None
    decisions: Decisions | None = None
    enabled: Annotated[bool, Meta(description="Whether to deliver.")] | None = None
    retention_days: RetentionDays | None = None
    timeout_s: TimeoutSeconds | None = None
    rotate_secret: Annotated[
        bool, Meta(description="Make a new secret, which this answer shows; for a day events are signed with both.")
    ] = False


class MadeWebhook(msgspec.Struct, frozen=True):
    """An endpoint and its new secret."""

    secret: Annotated[
        str | None, Meta(description="`whsec_` and base64. Shown this once; null where the secret stays as it was.")
    ]
    webhook: Annotated[WebhookForm, Meta(description="The endpoint.")]


class WebhookRemoved(msgspec.Struct, frozen=True):
    """A removed endpoint."""

    id: Annotated[str, Meta(description="Of the endpoint.")]


class WebhookAttempt(msgspec.Struct, frozen=True):
    """One attempt to deliver an event."""

    n: Annotated[int, Meta(description="Its number at this endpoint, from 1.")]
    event: Annotated[str, Meta(description="The id of the event: `webhook-id`, and `id` in its body.")]
    type: Annotated[str, Meta(description="The type of the event.")]
    subject: Annotated[str, Meta(description="The transaction, case or version that it is about.")]
    at: Annotated[str, Meta(description="When it was answered, or failed.")]
    attempt: Annotated[int, Meta(description="The how-manieth in a row.")]
    outcome: Annotated[str, Meta(description="delivered, failed, or expired (given up after the retention).")]
    status: Annotated[int | None, Meta(description="The status of the answer; null where there was none.")]
    took_ms: Annotated[int, Meta(description="How long it took.")]
    detail: Annotated[str, Meta(description="The beginning of the answer, or why there was none.")]


class WebhookAttempts(msgspec.Struct, frozen=True):
    """One page of attempts, newest first."""

    deliveries: Annotated[list[WebhookAttempt], Meta(description="Newest first.")]
    next: Annotated[int | None, Meta(description="`before` of the next page; null where there is none.")]


class ReplayWebhook(msgspec.Struct, forbid_unknown_fields=True):
    """Where to continue: with the first event since an instant, or with one event."""

    since: Annotated[str, Meta(max_length=100, description="ISO 8601: from the first event since then.")] | None = None
    event: Annotated[str, Meta(max_length=100, description="The id of an event.")] | None = None


class WebhookReplayed(msgspec.Struct, frozen=True):
    """What a replay delivers."""

    events: Annotated[int, Meta(description="Events that follow; those that the endpoint does not select are passed over.")]


def _form(webhooks: Webhooks, endpoint: Endpoint) -> WebhookForm:
    """The response form of an endpoint; waits for the database."""
    waiting, oldest_us = webhooks.outbox.waiting(endpoint)
    now, chosen = webhooks.clock(), endpoint.selector
    overlaps = len(endpoint.secrets(now)) > 1
    return filled(
        WebhookForm,
        endpoint,
        types=list(chosen.types),
        detectors=list(chosen.detectors),
        decisions=list(chosen.decisions),
        retention_days=endpoint.retention_us / DAY_US,
        timeout_s=endpoint.timeout_ms / 1000,
        state=webhooks.state(endpoint),
        waiting=waiting,
        waiting_since=_iso(oldest_us),
        failing_since=_iso(endpoint.failing_since_us),
        secret_overlaps_until=_iso(endpoint.previous_until_us) if overlaps else None,
    )


def _iso(instant_us: int | None) -> str | None:
    return None if instant_us is None else iso(instant_us)


def _changes(given: NewWebhook | ChangeWebhook) -> EndpointChanges:
    fields = {name: getattr(given, name) for name in EndpointChanges.__struct_fields__ if name not in ("url", "rotate")}
    return EndpointChanges(url=given.url, rotate=getattr(given, "rotate_secret", False), **fields)


# ---------------------------------------------------------------- routes

_SEEING = Right.ADMINISTER | Right.OPERATE | Right.AUDIT

route = Routes("operations")


@route("GET", "/webhooks", _SEEING)
async def list_webhooks(webhooks: Webhooks, /) -> WebhookList:
    """All endpoints with the state of their delivery."""

    def found() -> list[WebhookForm]:
        return [_form(webhooks, each) for each in webhooks.endpoints.all()]

    return WebhookList(await asyncio.to_thread(found))


@route("POST", "/webhooks", Right.ADMINISTER, refuses=(400, 408, 409, 413, 415), status=201, most_bytes=_MOST_BYTES)
async def create_webhook(webhooks: Webhooks, /, request: Request, body: Body[NewWebhook]) -> MadeWebhook:
    """Add an endpoint, which gets the events from now on; only this answer shows its secret."""
    given, by = await body, who(request)

    def added() -> MadeWebhook:
        made = webhooks.endpoints.add(given.url, _changes(given), who=by)
        return MadeWebhook(made.secret, _form(webhooks, made))

    return await asyncio.to_thread(added)


@route("GET", "/webhooks/{id}", _SEEING, refuses=(404,))
async def get_webhook(webhooks: Webhooks, /, id: str) -> WebhookForm:
    """One endpoint with the state of its delivery."""
    return await asyncio.to_thread(lambda: _form(webhooks, webhooks.endpoints.get(id)))


@route("PATCH", "/webhooks/{id}", Right.ADMINISTER, refuses=CHANGING, most_bytes=_MOST_BYTES, required=True)
async def change_webhook(webhooks: Webhooks, /, id: str, request: Request, body: Body[ChangeWebhook]) -> MadeWebhook:
    """Change an endpoint: all given fields, or none."""
    given, by = await body, who(request)
    if given == ChangeWebhook():
        raise MalformedEvent("nothing is to be changed; give url, types, enabled, rotate_secret, ...")

    def changed() -> MadeWebhook:
        found = webhooks.endpoints.change(id, _changes(given), who=by)
        return MadeWebhook(found.secret if given.rotate_secret else None, _form(webhooks, found))

    return await asyncio.to_thread(changed)


@route("DELETE", "/webhooks/{id}", Right.ADMINISTER, refuses=(404,))
async def delete_webhook(webhooks: Webhooks, /, id: str, request: Request) -> WebhookRemoved:
    """Remove an endpoint with its log; what waits for it is not delivered."""
    by = who(request)
    await asyncio.to_thread(lambda: webhooks.endpoints.remove(id, who=by))
    return WebhookRemoved(id)


@route("GET", "/webhooks/{id}/deliveries", _SEEING, refuses=(404,))
async def list_webhook_deliveries(
    webhooks: Webhooks,
    /,
    id: str,
    limit: Annotated[int, Query(ge=1, le=500, description="Attempts per page.")] = 50,
    before: Annotated[int | None, Query(ge=1, le=1 << 62, description="`next` of the page before.")] = None,
    event: Annotated[str | None, Query(max_length=100, description="Only of this event.")] = None,
) -> WebhookAttempts:
    """Attempts to deliver, newest first, kept for the retention of the endpoint."""

    def found() -> list[Attempt]:
        webhooks.endpoints.get(id)
        return webhooks.outbox.attempts(id, limit + 1, before, event)

    attempts = await asyncio.to_thread(found)
    shown = [filled(WebhookAttempt, each) for each in attempts[:limit]]
    return WebhookAttempts(shown, shown[-1].n if len(attempts) > limit else None)


@route(
    "POST", "/webhooks/{id}/replay", Right.ADMINISTER | Right.OPERATE, refuses=CHANGING, most_bytes=_MOST_BYTES, required=True
)
async def replay_webhook(webhooks: Webhooks, /, id: str, request: Request, body: Body[ReplayWebhook]) -> WebhookReplayed:
    """Deliver again from an instant or an event on, in the same order and under the same ids."""
    given, by = await body, who(request)
    if (given.since is None) == (given.event is None):
        raise MalformedEvent("either since or event says where the replay begins", "since")
    since_us = parse_instant(given.since, "since")
    events = await asyncio.to_thread(lambda: webhooks.endpoints.replay(id, who=by, from_us=since_us, event=given.event))
    return WebhookReplayed(events)


@route("POST", "/webhooks/{id}/test", Right.ADMINISTER | Right.OPERATE, refuses=(404, 409))
async def test_webhook(webhooks: Webhooks, /, id: str) -> WebhookAttempt:
    """Send an event of type `penstock.webhook.test` now, past what waits; the answer says what became of it.

    409 where the service delivers nothing (the setting `deliver`).
    """
    return filled(WebhookAttempt, await asyncio.to_thread(webhooks.test, id))
