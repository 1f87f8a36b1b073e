"""Request and response schemas of alerts and their deliveries."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.alerts import Channel
from penstock.clock import iso
from penstock.governance.alert_acknowledgements import Acknowledgement
from penstock.ledger import Delivery, Raised


class DeliveryForm(msgspec.Struct, frozen=True):
    """The delivery of an alert through one channel."""

    channel: Annotated[str, Meta(description="What the file of alerts calls it.")]
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

    name: Annotated[str, Meta(description="What the file of alerts calls it.")]
    kind: Annotated[str, Meta(description="slack, webhook or mail.")]
    severity: Annotated[str, Meta(description="The least severity that it takes: info, warning or critical.")]
    waiting: Annotated[int, Meta(description="Alerts on their way, of the newest thousand deliveries.")]
    delivered_at: Annotated[str | None, Meta(description="When the last one was delivered; null where none was.")]
    failed_at: Annotated[str | None, Meta(description="When one was last tried in vain, or given up.")]
    error: Annotated[str | None, Meta(description="Why the last one that was tried has not got through.")]


class DeliveryPage(msgspec.Struct, frozen=True):
    """One page of alerts with their deliveries, newest first."""

    alerts: Annotated[list[DeliveredAlert], Meta(description="Newest first.")]
    next: Annotated[str | None, Meta(description="`before` of the next page; null where there is none.")]
    channels: Annotated[list[ChannelForm], Meta(description="Those of the file of alerts.")]
    delivered_by: Annotated[
        str,
        Meta(description="service (this one), worker (which keeps what became of them itself), or nobody: none are raised."),
    ]


class AcknowledgeAlert(msgspec.Struct, forbid_unknown_fields=True):
    """An acknowledgement to store."""

    note: Annotated[str, Meta(max_length=1000, description="What is being done.")] | None = None


FORMS = (DeliveryPage, DeliveredAlert, AcknowledgeAlert, AcknowledgedForm)
"""Schemas for the OpenAPI document."""

By = Literal["service", "worker", "nobody"]


def delivered_form(raised: Raised, deliveries: list[Delivery], acknowledged: Acknowledgement | None) -> dict[str, Any]:
    """The response form of an alert; its body is JSON already."""
    return {
        "alert": msgspec.Raw(raised.body),
        "deliveries": [_delivery(delivery) for delivery in sorted(deliveries, key=lambda each: each.channel)],
        "acknowledged": acknowledged_form(acknowledged),
    }


def acknowledged_form(found: Acknowledgement | None) -> AcknowledgedForm | None:
    """The response form of an acknowledgement."""
    return None if found is None else AcknowledgedForm(found.who, iso(found.at_us), found.note)


def channel_form(channel: Channel, newest: list[Delivery]) -> ChannelForm:
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
    return DeliveryForm(delivery.channel, status, delivery.attempts, iso(delivery.at_us), delivery.detail)
