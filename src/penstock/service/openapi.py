"""The OpenAPI document: FastAPI describes the ordinary routes, this adds the hot paths and the schemas of the detectors."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock.messages import Decision
from penstock.service.desks import Desks
from penstock.service.problems import MEDIA_TYPE, Problem

_REF = "#/components/schemas/{name}"

_REFUSALS = {
    400: "What was sent is not JSON.",
    404: "There is no such thing.",
    405: "The path is not for this method.",
    408: "The body took too long to arrive.",
    409: "The transaction is known from loaded history, without a decision.",
    413: "The body is too large.",
    415: "Compressed bodies are not read.",
    422: "What was sent cannot be used; `errors` names the fields.",
    503: "Not now: the queue is full, the ledger cannot write, or models and state are not loaded yet; see `Retry-After`.",
}


class Label(msgspec.Struct):
    """The truth about a transaction, from the moment somebody knew it."""

    transaction_id: str
    fraud: bool
    detector: str | None = None
    kind: str | None = None
    known_at: str | None = None
    source: str | None = None


class LabelAnswer(msgspec.Struct):
    """A label that was taken in."""

    transaction_id: str
    fraud: bool
    known_at: str
    accepted: bool


class TransactionList(msgspec.Struct):
    """One page of recorded decisions, newest first."""

    transactions: list[Decision]
    next: str | None


class Refused(msgspec.Struct):
    """An informing event that was not taken in: its place in the request, and why."""

    index: int
    problem: Problem


class EventAnswer(msgspec.Struct):
    """How many informing events were taken in."""

    accepted: int
    refused: list[Refused]


class Percentiles(msgspec.Struct):
    """Latencies in milliseconds, as callers saw them."""

    p50: float | None
    p95: float | None
    p99: float | None


class Stats(msgspec.Struct):
    """What was decided so far."""

    total: int
    approve: int
    review: int
    block: int
    fraud_rate: float | None
    amount: float | None
    amount_blocked: float | None
    per_second: float
    latency_ms: Percentiles
    since: str | None


_TAGS = {
    "decisions": "Ask for decisions.",
    "events": "Say what became known beside the transactions.",
    "records": "Look up what was decided and what is known.",
    "service": "What is served, and how it fares.",
}

_STATIC = (Decision, Problem, Label, LabelAnswer, TransactionList, EventAnswer, Stats)
_OPEN = {"Entity", "Detectors", "InformingEvent", "Health", "Ready"}
"""Answers whose fields depend on the detector."""


def ref(name: str) -> dict[str, Any]:
    """A reference to a schema of the document."""
    return {"$ref": _REF.format(name=name)}


def each(name: str) -> dict[str, Any]:
    """The schema of an answer to one, or to many in an array, where a problem stands in the place of what was refused."""
    return {"anyOf": [ref(name), {"type": "array", "items": {"anyOf": [ref(name), ref("Problem")]}}]}


def answers(model: type | str, *refusals: int, status: int = 200, many: bool = False) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` of a route that answers with this schema (or, with `many`, with an array), or refuses so."""
    name = model if isinstance(model, str) else model.__name__
    content = _json(each(name) if many else ref(name))
    good = {"description": "Done." if status == 200 else "Accepted, and durable.", "content": content}
    return {status: good, **{code: refusal(code) for code in (*refusals, 422, 503)}}


def refusal(code: int) -> dict[str, Any]:
    """One refusal as the document shows it."""
    found: dict[str, Any] = {"description": _REFUSALS[code], "content": {MEDIA_TYPE: {"schema": ref("Problem")}}}
    if code == 503:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    return found


def takes(name: str) -> dict[str, Any]:
    """FastAPI's `openapi_extra` of a route that reads one value or an array of them."""
    one = ref(name)
    return {"requestBody": {"required": True, "content": _json({"anyOf": [one, {"type": "array", "items": one}]})}}


def document(app: FastAPI, desks: Desks) -> dict[str, Any]:
    """The whole document; made anew on every call, because detectors become known when they are opened."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    events = {name: desk.engine.event_type for name, desk in desks.items() if desk.not_ready is None}
    schemas, components = _schemas(events)
    components |= {name: {"type": "object"} for name in sorted(_OPEN)}
    found.setdefault("components", {})["schemas"] = components
    for operation in (operation for path in found["paths"].values() for operation in path.values()):
        operation["summary"] = operation.pop("description", operation["summary"]).split("\n")[0].rstrip(".")
    anyone = [schemas[name] for name in events] or [{"type": "object"}]
    found["paths"]["/predict"] = _predict("Decide events of whichever detector fits", anyone, "predict")
    for name in desks:
        summary = f"Decide events of the detector {name}"
        event = schemas.get(name, {"type": "object"})
        found["paths"][f"/detectors/{name}/predict"] = _predict(summary, [event], f"predict_{name}")
    found["tags"] = [{"name": name, "description": about} for name, about in _TAGS.items()]
    found["paths"] = dict(sorted(found["paths"].items(), key=lambda item: (item[0] != "/predict", item[0])))
    return found


def _schemas(events: Mapping[str, type]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """A reference per detector to the schema of its events, and all schemas by name."""
    refs, components = msgspec.json.schema_components(
        [*_STATIC, *events.values()], schema_hook=lambda _kind: {}, ref_template=_REF
    )
    return dict(zip(events, refs[len(_STATIC) :], strict=True)), dict(components)


def _predict(summary: str, events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    one = events[0] if len(events) == 1 else {"anyOf": events}
    operation = {
        "tags": ["decisions"],
        "summary": summary,
        "description": "An object is answered with a decision, an array with an array, NDJSON with NDJSON: in order, "
        "what is malformed in its place. Answered when durable. The same transaction id again gets the first decision.",
        "operationId": name,
        "parameters": [
            {
                "name": "dry_run",
                "in": "query",
                "required": False,
                "description": "Decide without changing or recording anything.",
                "schema": {"type": "boolean", "default": False},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                **_json({"anyOf": [one, {"type": "array", "items": one}]}),
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": {
                "description": "Decided.",
                "content": {**_json(each("Decision")), "application/x-ndjson": {"schema": {"type": "string"}}},
            },
            **{str(code): refusal(code) for code in (400, 408, 409, 413, 415, 422, 503)},
        },
    }
    return {"post": operation}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
