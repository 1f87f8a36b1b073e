"""The newest results as flat rows, and the newest alerts."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Response

from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.feed import ALERTS
from penstock.service.http.openapi import answers, list_of
from penstock.service.http.pagination import PageRequest, page
from penstock.service.records.decisions import DetectorName, json_response

USUAL, MOST = 20, 1000
"""Number of results: default and maximum."""

HowMany = Annotated[int, Query(ge=1, le=MOST, description="How many.")]


class _Told(msgspec.Struct):
    """The fields read from an answered decision."""

    transaction_id: str
    detector: str
    features: dict[str, msgspec.Raw]
    predicted_class: int
    fraud_probability: float | None


_told = msgspec.json.Decoder(_Told)


def add_routes(routes: FastAPI, desks: DetectorRouter) -> None:
    """Add the routes."""
    results: dict[int | str, dict[str, Any]] = answers("Result", 404)
    results[200]["content"] = list_of("Result")

    @routes.get("/results/recent", tags=["records"], responses=results)
    async def recent(k: HowMany = USUAL, detector: DetectorName = None) -> Response:
        """The latest decided transactions, newest first, as flat objects: every feature under its name."""
        asked, among = PageRequest(k), desks.chosen(detector)
        found, _ = await asyncio.to_thread(page, among, asked, None)
        return json_response(b"[" + b",".join(flat(decision, named=len(among) > 1) for decision in found) + b"]")

    @routes.get("/get", tags=["records"], responses=results)
    async def get(k: HowMany = USUAL, detector: DetectorName = None) -> Response:
        """The same as /results/recent."""
        return await recent(k, detector)

    @routes.get("/alerts", tags=["records"], responses=answers("AlertList", 404))
    async def alerts(
        limit: Annotated[int, Query(ge=1, le=ALERTS, description="How many.")] = 100, detector: DetectorName = None
    ) -> Response:
        """The newest alerts, newest first; only those that the service keeps in memory."""
        kept = [alert for desk in desks.chosen(detector) for alert in desk.feed.alerts_since(0)]
        kept.sort(key=lambda alert: (_raised(alert[1]), alert[0]), reverse=True)
        return json_response(msgspec.json.encode({"alerts": [msgspec.Raw(body) for _, body in kept[:limit]]}))


class _Raised(msgspec.Struct):
    """When an alert was raised."""

    at: str = ""


def _raised(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Raised).at


def flat(decision: bytes, *, named: bool) -> bytes:
    r"""A decision as a flat object, with its detector if several are shown together.

    >>> decision = b'{"transaction_id":"t","detector":"d","features":{"n":2},"predicted_class":0,"fraud_probability":0.1}'
    >>> flat(decision, named=False)
    b'{"transaction_id":"t","n":2,"predicted_class":0,"fraud_probability":0.1}'
    """
    told = _told.decode(decision)
    row: dict[str, Any] = {"transaction_id": told.transaction_id, **({"detector": told.detector} if named else {})}
    row |= told.features
    return msgspec.json.encode(row | {"predicted_class": told.predicted_class, "fraud_probability": told.fraud_probability})
