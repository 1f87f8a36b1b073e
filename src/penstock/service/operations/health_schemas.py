"""Response schemas of `/operations/health`."""

from typing import Annotated

import msgspec
from msgspec import Meta


class PartForm(msgspec.Struct, frozen=True):
    """One part of the service."""

    name: Annotated[
        str,
        Meta(
            description="state, ledger, snapshots, queue, models, rules, office, alerts (and `alerts: CHANNEL`), cases,"
            " archive, stores (and `store: NAME`), drift, broker, replica, `worker: ADDRESS`, standby."
        ),
    ]
    detector: Annotated[str | None, Meta(description="Whose part it is; null where it serves all.")]
    status: Annotated[
        str, Meta(description="ok, degraded (it goes on, with less), failed, or absent (this service does not have it).")
    ]
    text: Annotated[str, Meta(description="What the part knows of itself, in one sentence.")]
    since: Annotated[str, Meta(description="From when on this process has seen it in this status.")]
    lag_events: Annotated[int | None, Meta(description="Events (of alerts' channels: alerts) that it has still to take in.")]
    lag_s: Annotated[float | None, Meta(description="How long the oldest of these has waited, in seconds.")]


class OperationsHealth(msgspec.Struct, frozen=True):
    """The status of all parts."""

    status: Annotated[str, Meta(description="The worst of the parts: ok, degraded or failed.")]
    at: Annotated[str, Meta(description="When the parts were looked at.")]
    parts: Annotated[list[PartForm], Meta(description="In the order of an event's path, then what runs beside it.")]


FORMS = (OperationsHealth,)
"""Schemas for the OpenAPI document."""
