"""The OpenAPI document: FastAPI describes the ordinary routes; this module adds the hot paths and the detectors' schemas."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock.messages import Decision
from penstock.offline.backtest.result import Tried
from penstock.offline.drift.result import DriftReport
from penstock.offline.trial import Compared
from penstock.service import schemas
from penstock.service.access import access_schemas
from penstock.service.changes import feature_schemas, list_schemas, model_schemas, rule_requests, rule_schemas
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import MEDIA_TYPE, Problem
from penstock.service.insights import insight_schemas
from penstock.service.investigate import case_schemas, context_schemas
from penstock.service.operations import alert_schemas, health_schemas, quarantine_schemas, report_schemas
from penstock.service.records import definition_schemas

_REF = "#/components/schemas/{name}"

_REFUSALS = {
    400: "What was sent is not JSON.",
    401: "Who asks is not known: the key or session is missing, unknown, revoked or expired.",
    403: "Who asks may not do this.",
    404: "There is no such thing.",
    405: "The path is not for this method.",
    408: "The body took too long to arrive.",
    409: "Somebody else holds or has changed it, or the transaction is known from loaded history, without a decision.",
    413: "The body is too large.",
    414: "The request line is longer than `max_line_bytes`.",
    415: "Compressed bodies are not read.",
    422: "What was sent cannot be used; `errors` names the fields.",
    431: "A header, or the whole head, is too long, or it has too many headers.",
    429: "Too many: of what may run at once, or of requests by this key; see `Retry-After`.",
    503: "Not now: the queue is full, the ledger cannot write, or models and state are not loaded yet; see `Retry-After`.",
}


_TAGS = {
    "decisions": "Ask for decisions.",
    "events": "Say what became known beside the transactions.",
    "records": "Look up what was decided and what is known.",
    "insights": "Follow what is decided: figures over the last minutes, hours or days.",
    "models": "See which models decide and which are tried, and change that.",
    "rules": "Change what decides: rules from draft to archived, and what waits for a second pair of eyes.",
    "features": "Change what is computed of transactions: features from draft to active, filled from the log.",
    "lists": "Keep the lists that conditions ask.",
    "cases": "Work on what people should look at.",
    "service": "What is served, and how it fares.",
    "operations": "See how each part fares, what was refused, what people were told, and what was decided on a day.",
    "access": "Sign in and out, see who one is, let others in, and see who changed what.",
}

_STATIC = (
    Decision,
    Problem,
    schemas.Label,
    schemas.LabelAnswer,
    schemas.TransactionList,
    schemas.RecordedDecision,
    schemas.AskErasure,
    schemas.Erased,
    schemas.EventAnswer,
    schemas.Stats,
    schemas.Overview,
    insight_schemas.InsightSummary,
    insight_schemas.InsightDistributions,
    insight_schemas.InsightSeries,
    insight_schemas.InsightRules,
    context_schemas.Verified,
    context_schemas.TransactionContext,
    context_schemas.LinkGraph,
    definition_schemas.DetectorDefinition,
    definition_schemas.ModelEvaluation,
    schemas.Accepted,
    schemas.Pending,
    schemas.Processed,
    schemas.BacktestRequest,
    Tried,
    DriftReport,
    Compared,
    model_schemas.ModelList,
    model_schemas.Moved,
    model_schemas.StartShadow,
    model_schemas.StartRollout,
    model_schemas.TrialForm,
    model_schemas.AskForModel,
    model_schemas.GoBack,
    model_schemas.Why,
    model_schemas.TrialList,
    schemas.StreamRequest,
    schemas.StreamAnswer,
    schemas.AlertList,
    schemas.RiskProfile,
    case_schemas.CaseForm,
    case_schemas.CaseList,
    case_schemas.CaseDetail,
    case_schemas.QueueList,
    case_schemas.AnalystList,
    case_schemas.TakeNext,
    case_schemas.GiveNote,
    case_schemas.GiveVerdict,
    case_schemas.Escalate,
    case_schemas.GiveVerdicts,
    case_schemas.VerdictsAnswer,
    feature_schemas.FeatureList,
    feature_schemas.FeatureForm,
    feature_schemas.FeatureTested,
    feature_schemas.NewFeature,
    feature_schemas.TryFeature,
    feature_schemas.ActivateFeature,
    rule_schemas.RuleList,
    rule_schemas.RuleHistory,
    rule_schemas.RuleDiff,
    rule_schemas.RuleChanged,
    rule_schemas.RulesImported,
    rule_schemas.RuleTested,
    rule_schemas.RequestList,
    rule_requests.NewRule,
    rule_requests.TryCondition,
    rule_requests.ShadowRule,
    rule_requests.RolloutRule,
    rule_requests.PromoteRule,
    rule_requests.AskForRule,
    rule_requests.GiveReason,
    list_schemas.ListList,
    list_schemas.ListChanged,
    list_schemas.EntryList,
    list_schemas.FoundList,
    list_schemas.NewList,
    list_schemas.AddEntries,
    list_schemas.RemoveEntries,
    schemas.SignIn,
    schemas.Session,
    *health_schemas.FORMS,
    *quarantine_schemas.FORMS,
    *alert_schemas.FORMS,
    *report_schemas.FORMS,
    *access_schemas.FORMS,
)
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "session": {"type": "apiKey", "in": "cookie", "name": "penstock_session", "description": "Set by POST /session."},
}
_OPEN = {"CorrectedEvent", "DailyReport", "Entity", "Detectors", "InformingEvent", "Health", "Ready", "Result"}
"""Answers whose fields depend on the detector."""


def ref(name: str) -> dict[str, Any]:
    """A reference to a schema of the document."""
    return {"$ref": _REF.format(name=name)}


def each(name: str) -> dict[str, Any]:
    """The schema of one answer, or of an array of answers with problems in the place of refusals."""
    return {"anyOf": [ref(name), {"type": "array", "items": {"anyOf": [ref(name), ref("Problem")]}}]}


def answers(model: type | str, *refusals: int, status: int = 200, many: bool = False) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` of a route that answers with this schema (with `many`: an array), or refuses."""
    name = model if isinstance(model, str) else model.__name__
    content = _json(each(name) if many else ref(name))
    done = {200: "Done.", 201: "Made.", 202: "Accepted, and durable."}
    good = {"description": done[status], "content": content}
    return {status: good, **{code: refusal(code) for code in (*refusals, 422, 503)}}


def refusal(code: int) -> dict[str, Any]:
    """The response object of one refusal."""
    found: dict[str, Any] = {"description": _REFUSALS[code], "content": {MEDIA_TYPE: {"schema": ref("Problem")}}}
    if code in {429, 503}:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    return found


def takes(name: str) -> dict[str, Any]:
    """FastAPI's `openapi_extra` of a route that reads one value or an array of them."""
    one = ref(name)
    return {"requestBody": {"required": True, "content": _json({"anyOf": [one, {"type": "array", "items": one}]})}}


def requires(name: str) -> dict[str, Any]:
    """FastAPI's `openapi_extra` of a route that reads one value."""
    return {"requestBody": {"required": True, "content": _json(ref(name))}}


def may_take(name: str) -> dict[str, Any]:
    """FastAPI's `openapi_extra` of a route that reads an optional value."""
    return {"requestBody": {"required": False, "content": _json(ref(name))}}


def list_of(name: str) -> dict[str, Any]:
    """The content of an array answer."""
    return _json({"type": "array", "items": ref(name)})


def document(app: FastAPI, desks: DetectorRouter) -> dict[str, Any]:
    """The whole document; built anew on every call, because detectors become known when they are opened."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    events = {name: desk.engine.detector.event for name, desk in desks.items() if desk.not_ready is None}
    events_of, components = _schemas(events)
    components |= {name: {"type": "object"} for name in sorted(_OPEN)}
    found.setdefault("components", {})["schemas"] = components
    found["components"]["securitySchemes"] = _SECURITY
    found["security"] = [{}, *({name: []} for name in _SECURITY)]
    for operation in (operation for path in found["paths"].values() for operation in path.values()):
        operation["summary"] = operation.pop("description", operation["summary"]).split("\n")[0].rstrip(".")
        if "422" in operation["responses"]:  # FastAPI describes its validation error, which no route answers
            operation["responses"]["422"] = refusal(422)
        operation["responses"] |= {str(code): refusal(code) for code in (414, 431)}
    anyone = [events_of[name] for name in events] or [{"type": "object"}]
    for path in ("predict", "transactions"):
        _add(found, f"/{path}", _deciding(path, "whichever detector fits", anyone, path))
        for name in desks:
            event = events_of.get(name, {"type": "object"})
            _add(found, f"/detectors/{name}/{path}", _deciding(path, f"the detector {name}", [event], f"{path}_{name}"))
    found["tags"] = [{"name": name, "description": about} for name, about in _TAGS.items()]
    found["paths"] = dict(sorted(found["paths"].items(), key=lambda item: (item[0] != "/predict", item[0])))
    return found


def _add(found: dict[str, Any], path: str, post: dict[str, Any]) -> None:
    found["paths"][path] = found["paths"].get(path, {}) | {"post": post}


def _schemas(events: Mapping[str, type]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """A reference per detector to the schema of its events, and all schemas by name."""
    refs, components = msgspec.json.schema_components(
        [*_STATIC, *events.values()], schema_hook=lambda _kind: {}, ref_template=_REF
    )
    for schema in components.values():
        _spell_arrays(schema)
    return dict(zip(events, refs[len(_STATIC) :], strict=True)), dict(components)


def _spell_arrays(schema: Any) -> None:
    """Describe the items of every array, and never by `false`: client generators need the one and refuse the other.

    A tuple is closed by its `maxItems` alone.

    >>> schema = {"anyOf": [{"type": "array"}, {"type": "array", "prefixItems": [{}], "maxItems": 1, "items": False}]}
    >>> _spell_arrays(schema)
    >>> schema
    {'anyOf': [{'type': 'array', 'items': {}}, {'type': 'array', 'prefixItems': [{}], 'maxItems': 1}]}
    """
    if isinstance(schema, dict):
        if schema.get("items") is False:
            del schema["items"]
        elif schema.get("type") == "array":
            schema.setdefault("items", {})
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _spell_arrays(part)


def _deciding(path: str, whose: str, events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The operations `POST /predict` or `POST /transactions` of one detector, or of the one that an event fits."""
    one = events[0] if len(events) == 1 else {"anyOf": events}
    dry_run = {
        "name": "dry_run",
        "in": "query",
        "required": False,
        "description": "Decide without changing or recording anything.",
        "schema": {"type": "boolean", "default": False},
    }
    decides = path == "predict"
    return {
        "tags": ["decisions"],
        "summary": f"Decide events of {whose}" if decides else f"Take in events of {whose}, to be decided",
        "description": f"An object is answered with {'a decision' if decides else 'its id'}, an array with an array, "
        "NDJSON with NDJSON: in order, what is malformed in its place. Answered when durable. The same transaction id again "
        "gets the first decision.",
        "operationId": name,
        "parameters": [dry_run] if decides else [],
        "requestBody": {
            "required": True,
            "content": {
                **_json({"anyOf": [one, {"type": "array", "items": one}]}),
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200" if decides else "202": {
                "description": "Decided." if decides else "Accepted, and durable.",
                "content": {
                    **_json(each("Decision" if decides else "Accepted")),
                    "application/x-ndjson": {"schema": {"type": "string"}},
                },
            },
            **{str(code): refusal(code) for code in (400, 408, 409, 413, 415, 422, 503)},
        },
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
