"""`/alerts/deliveries`: alerts with their deliveries and acknowledgements."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from penstock.errors import NotFound
from penstock.governance.alert_acknowledgements import AlertAcknowledgements
from penstock.ledger import Raised, Tables
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.merged_cursor import MergedCursor, tables_of
from penstock.service.http.openapi import answers, may_take
from penstock.service.http.requests import json_answer, parse_body, who
from penstock.service.operations.alert_schemas import AcknowledgeAlert, acknowledged_form, channel_form, delivered_form
from penstock.service.port import Serving
from penstock.service.records.decisions import DetectorName
from penstock.wiring.health import ServiceHealth

_NEWEST = 1000
"""The newest deliveries, which determine a channel's status, and the newest alerts, which may be acknowledged."""

_MOST_BYTES = 8192


def add_routes(routes: FastAPI, desks: DetectorRouter, operating: ServiceHealth) -> None:
    """Add the routes."""
    deliveries = Deliveries(operating)

    @routes.get("/alerts/deliveries", tags=["operations"], responses=answers("DeliveryPage", 404))
    async def page(
        limit: Annotated[int, Query(ge=1, le=200, description="Alerts per page.")] = 50,
        before: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
        detector: DetectorName = None,
    ) -> Response:
        """Alerts, newest first, with the deliveries of each."""
        return json_answer(await asyncio.to_thread(deliveries.page, desks.chosen(detector), detector, limit, before))

    @routes.post(
        "/alerts/{key:path}/acknowledge",
        tags=["operations"],
        responses=answers("AcknowledgedForm", 400, 404, 408, 413, 415),
        openapi_extra=may_take("AcknowledgeAlert"),
    )
    async def acknowledge(key: str, request: Request) -> Response:
        """Acknowledge an alert; the first acknowledgement stays."""
        note = (await parse_body(request, AcknowledgeAlert, _MOST_BYTES)).note
        found = await asyncio.to_thread(deliveries.acknowledge, [*desks.values()], key, who(request), note)
        return json_answer(found)


class Deliveries:
    """Reads alerts and deliveries. Methods wait for databases."""

    def __init__(self, operating: ServiceHealth) -> None:
        self._operating = operating
        self._acknowledged = AlertAcknowledgements(operating.office)

    def page(self, among: Sequence[Serving], detector: str | None, limit: int, before: str | None) -> dict[str, Any]:
        """One page.

        Raises:
            RequestRefused: `before` is no cursor of this list.
        """

        def fetch(tables: Tables, most: int, below: int | None) -> list[Raised]:
            return tables.alerts(detector, limit=most, before=below)

        places = MergedCursor(tables_of(among), before)
        raised = places.next(fetch, lambda alert: alert.at_us, limit)
        seen = self._acknowledged.of([alert.key for alert in raised])
        made = {alert.key: [each for tables in places.tables for each in tables.deliveries(alert.key)] for alert in raised}
        newest = [each for tables in places.tables for each in tables.deliveries(limit=_NEWEST)]
        newest.sort(key=lambda delivery: delivery.at_us, reverse=True)
        return {
            "alerts": [delivered_form(alert, made[alert.key], seen.get(alert.key)) for alert in raised],
            "next": places.following(fetch),
            "channels": [channel_form(channel, newest) for channel in self._operating.channels],
            "delivered_by": self._operating.delivered_by,
        }

    def acknowledge(self, among: Sequence[Serving], key: str, who: str, note: str | None) -> Any:
        """Acknowledge an alert.

        Raises:
            NotFound: it is not among the newest.
        """
        if not any(alert.key == key for tables in tables_of(among) for alert in tables.alerts(limit=_NEWEST)):
            raise NotFound(f"none of the newest {_NEWEST:,} alerts has the key {key[:200]!r}")
        return acknowledged_form(self._acknowledged.put(key, who, note))
