"""`/alerts/deliveries`: alerts with their deliveries and acknowledgements."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, cast

import msgspec
from fastapi import Query, Request
from msgspec import Meta

from penstock.alerts import Channel
from penstock.clock import iso
from penstock.errors import NotFound
from penstock.governance.alert_acknowledgements import Acknowledgement, AlertAcknowledgements
from penstock.identity.roles import Right
from penstock.ledger import Delivery, Raised, Tables
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.requests import DetectorName, filled, who
from penstock.service.http.route import Body, Routes
from penstock.service.records.pagination import MergedCursor, of_visible, tables_of
from penstock.wiring.health import ServiceHealth

_NEWEST = 1000
"""The newest deliveries, which determine a channel's status, and the newest alerts, which may be acknowledged."""


class DeliveryForm(msgspec.Struct, frozen=True):
    """The delivery of an alert through one channel."""

    channel: Annotated[str, Meta(description="The name of the channel.")]
    status: Annotated[str, Meta(description="waiting (not tried yet), retrying, delivered or failed (given up).")]
    attempts: Annotated[int, Meta(description="How often it was tried.")]
    at: Annotated[str, Meta(description="When it was last tried, or else raised.")]
    detail: Annotated[str, Meta(description="What the other side answered, or why it failed.")]


class AcknowledgedForm(msgspec.Struct, frozen=True):
    """The acknowledgement of an alert."""

    by: Annotated[str, Meta(description="The user or key.")]
    at: Annotated[str, Meta(description="Since when.")]
    note: Annotated[str | None, Meta(description="What was said with it.")]


class DeliveredAlert(msgspec.Struct, frozen=True):
    """An alert with its deliveries."""

    alert: Annotated[dict[str, Any], Meta(description="As `GET /alerts` has it: key, rule, severity, at, text, about, ...")]
    deliveries: Annotated[list[DeliveryForm], Meta(description="By channel; none where no channel takes it.")]
    acknowledged: Annotated[AcknowledgedForm | None, Meta(description="Null where nobody has acknowledged it.")]


class ChannelForm(msgspec.Struct, frozen=True):
    """One channel and its status."""

    name: Annotated[str, Meta(description="The name of the channel.")]
    kind: Annotated[str, Meta(description="slack, webhook or email.")]
    severity: Annotated[str, Meta(description="The least severity that it takes: info, warning or critical.")]
    waiting: Annotated[int, Meta(description="Alerts on their way, of the newest thousand deliveries.")]
    delivered_at: Annotated[str | None, Meta(description="When the last one was delivered; null where none was.")]
    failed_at: Annotated[str | None, Meta(description="When one was last tried in vain, or given up.")]
    error: Annotated[str | None, Meta(description="Why the last one that was tried has not got through.")]


class DeliveryPage(msgspec.Struct, frozen=True):
    """One page of alerts with their deliveries, newest first."""

    alerts: Annotated[list[DeliveredAlert], Meta(description="Newest first.")]
    next: Annotated[str | None, Meta(description="`before` of the next page; null where there is none.")]
    channels: Annotated[list[ChannelForm], Meta(description="Those in use, of the file of alerts first.")]
    delivered_by: Annotated[
        str,
        Meta(description="service (this one), worker (which keeps what became of them itself), or nobody: none are raised."),
    ]


class AcknowledgeAlert(msgspec.Struct, forbid_unknown_fields=True):
    """An acknowledgement to store."""

    note: Annotated[str, Meta(max_length=1000, description="What is being done.")] | None = None


class Deliveries:
    """Reads alerts and deliveries. Methods wait for databases."""

    def __init__(self, operating: ServiceHealth) -> None:
        self._operating = operating
        self._acknowledged = AlertAcknowledgements(operating.office)

    def page(self, among: Sequence[ServedDetector], detector: str | None, limit: int, before: str | None) -> DeliveryPage:
        """One page.

        Raises:
            RequestRefused: `before` is no cursor of this list.
        """

        def fetch(tables: Tables, most: int, below: int | None) -> list[Raised]:
            return of_visible(lambda name: tables.alerts(name, limit=most, before=below), detector, most)

        places = MergedCursor(tables_of(among), before)
        raised = places.next(fetch, lambda alert: alert.at_us, limit)
        found = self._acknowledged.of([alert.key for alert in raised])
        made = {alert.key: [each for tables in places.tables for each in tables.deliveries(alert.key)] for alert in raised}
        newest = [each for tables in places.tables for each in tables.deliveries(limit=_NEWEST)]
        newest.sort(key=lambda delivery: delivery.at_us, reverse=True)
        return DeliveryPage(
            [_delivered(alert, made[alert.key], found.get(alert.key)) for alert in raised],
            places.following(fetch),
            [_channel(channel, newest) for channel in self._operating.channels],
            self._operating.delivered_by,
        )

    def acknowledge(self, among: Sequence[ServedDetector], key: str, who: str, note: str | None) -> AcknowledgedForm | None:
        """Acknowledge an alert.

        Raises:
            NotFound: it is not among the newest.
        """
        newest = (of_visible(partial(tables.alerts, limit=_NEWEST), None, _NEWEST) for tables in tables_of(among))
        if not any(alert.key == key for alerts in newest for alert in alerts):
            raise NotFound(f"none of the newest {_NEWEST:,} alerts has the key {key[:200]!r}")
        return _acknowledged(self._acknowledged.put(key, who, note))


def _delivered(raised: Raised, deliveries: list[Delivery], acknowledged: Acknowledgement | None) -> DeliveredAlert:
    """The response form of an alert; its body is JSON already."""
    each = [_delivery(delivery) for delivery in sorted(deliveries, key=lambda each: each.channel)]
    return DeliveredAlert(cast("dict[str, Any]", msgspec.Raw(raised.body)), each, _acknowledged(acknowledged))


def _acknowledged(found: Acknowledgement | None) -> AcknowledgedForm | None:
    """The response form of an acknowledgement."""
    return None if found is None else filled(AcknowledgedForm, found, by=found.who)


def _channel(channel: Channel, newest: list[Delivery]) -> ChannelForm:
    """The response form of a channel; newest: deliveries, newest first."""
    mine = [delivery for delivery in newest if delivery.channel == channel.name]
    tried = [delivery for delivery in mine if delivery.attempts]
    delivered = next((delivery for delivery in tried if delivery.outcome == "delivered"), None)
    failed = next((delivery for delivery in tried if delivery.outcome != "delivered"), None)
    return ChannelForm(
        name=channel.name,
        kind=str(getattr(channel, "kind", "topic")),
        severity=channel.severity,
        waiting=sum(delivery.outcome == "waiting" for delivery in mine),
        delivered_at=None if delivered is None else iso(delivered.at_us),
        failed_at=None if failed is None else iso(failed.at_us),
        error=tried[0].detail if tried and tried[0] is failed else None,
    )


def _delivery(delivery: Delivery) -> DeliveryForm:
    retrying = delivery.outcome == "waiting" and delivery.attempts > 0
    status = "retrying" if retrying else delivery.outcome
    return filled(DeliveryForm, delivery, status=status)


# ---------------------------------------------------------------- routes

route = Routes("operations", by_detector=True)


@route("GET", "/alerts/deliveries", Right.READ | Right.OPERATE, refuses=(404,))
async def list_alerts(
    router: DetectorRouter,
    deliveries: Deliveries,
    /,
    limit: Annotated[int, Query(ge=1, le=200, description="Alerts per page.")] = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
    detector: DetectorName = None,
) -> DeliveryPage:
    """Alerts, newest first, with the deliveries of each."""
    return await asyncio.to_thread(deliveries.page, router.chosen(detector), detector, limit, before)


@route(
    "POST",
    "/alerts/{key:path}/acknowledge",
    Right.APPROVE | Right.ADMINISTER | Right.OPERATE | Right.REVIEW,
    answers=AcknowledgedForm,
    refuses=(400, 404, 408, 413, 415),
    most_bytes=8192,
)
async def acknowledge_alert(
    router: DetectorRouter, deliveries: Deliveries, /, key: str, request: Request, body: Body[AcknowledgeAlert]
) -> AcknowledgedForm | None:
    """Acknowledge an alert; the first acknowledgement stays."""
    note = (await body).note
    return await asyncio.to_thread(deliveries.acknowledge, [*router.values()], key, who(request), note)
