"""The newest results as flat rows, and the newest alerts."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query

from penstock.decoding import prepared
from penstock.identity.roles import Right
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.feed import ALERTS
from penstock.service.http.operation import json_content, ref
from penstock.service.http.requests import DetectorName
from penstock.service.http.route import Routes
from penstock.service.records.pagination import PageRequest, page

USUAL, MOST = 20, 1000
"""Number of results: default and maximum."""

HowMany = Annotated[int, Query(ge=1, le=MOST, description="How many.")]


class ResultFields(msgspec.Struct):
    """The fields read from an answered decision."""

    transaction_id: str
    detector: str
    features: dict[str, msgspec.Raw]
    predicted_class: int
    fraud_probability: float | None


_fields = msgspec.json.Decoder(prepared(ResultFields))


class AlertList(msgspec.Struct):
    """The newest alerts, newest first."""

    alerts: list[dict[str, Any]]


class _Raised(msgspec.Struct):
    """When an alert was raised."""

    at: str = ""


def _raised(body: bytes) -> str:
    return msgspec.json.decode(body, type=prepared(_Raised)).at


def flat(decision: bytes, *, named: bool) -> bytes:
    r"""A decision as a flat object, with its detector if several are shown together.

    >>> decision = b'{"transaction_id":"t","detector":"d","features":{"n":2},"predicted_class":0,"fraud_probability":0.1}'
    >>> flat(decision, named=False)
    b'{"transaction_id":"t","n":2,"predicted_class":0,"fraud_probability":0.1}'
    """
    fields = _fields.decode(decision)
    row: dict[str, Any] = {"transaction_id": fields.transaction_id, **({"detector": fields.detector} if named else {})}
    row |= fields.features
    return msgspec.json.encode(row | {"predicted_class": fields.predicted_class, "fraud_probability": fields.fraud_probability})


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)

_RESULTS = {200: {"description": "Done.", "content": json_content({"type": "array", "items": ref("Result")})}}


@route("GET", "/results/recent", Right.READ, answers="Result", refuses=(404,), responses=_RESULTS)
async def list_recent_results(router: DetectorRouter, /, k: HowMany = USUAL, detector: DetectorName = None) -> bytes:
    """The latest decided transactions, newest first, as flat objects: every feature under its name."""
    asked, among = PageRequest(k), router.chosen(detector)
    found, _ = await asyncio.to_thread(page, among, asked, None)
    return b"[" + b",".join(flat(decision, named=len(among) > 1) for decision in found) + b"]"


@route("GET", "/get", Right.READ, answers="Result", refuses=(404,), responses=_RESULTS)
async def get_results(router: DetectorRouter, /, k: HowMany = USUAL, detector: DetectorName = None) -> bytes:
    """The same as /results/recent."""
    return await list_recent_results(router, k, detector)


@route("GET", "/alerts", Right.READ, answers=AlertList, refuses=(404,))
async def list_recent_alerts(
    router: DetectorRouter,
    /,
    limit: Annotated[int, Query(ge=1, le=ALERTS, description="How many.")] = 100,
    detector: DetectorName = None,
) -> dict[str, Any]:
    """The newest alerts, newest first; only those that the service keeps in memory."""
    kept = [alert for served in router.chosen(detector) for alert in served.feed.alerts_since(0)]
    kept.sort(key=lambda alert: (_raised(alert[1]), alert[0]), reverse=True)
    return {"alerts": [msgspec.Raw(body) for _, body in kept[:limit]]}
