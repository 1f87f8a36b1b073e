"""The OpenAPI document: FastAPI describes the ordinary routes, this adds the hot paths and the schemas of the detectors."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock.messages import Decision
from penstock.offline.backtest.result import Tried
from penstock.offline.drift.result import DriftReport
from penstock.offline.trial import Compared
from penstock.service import (
    administration_forms,
    case_forms,
    context_forms,
    definition_forms,
    delivery_forms,
    feature_forms,
    insight_forms,
    list_forms,
    model_forms,
    operation_forms,
    quarantine_forms,
    report_forms,
    rule_asks,
    rule_forms,
    schemas,
)
from penstock.service.desks import Desks
from penstock.service.problems import MEDIA_TYPE, Problem

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
    insight_forms.InsightSummary,
    insight_forms.InsightDistributions,
    insight_forms.InsightSeries,
    insight_forms.InsightRules,
    context_forms.Verified,
    context_forms.TransactionContext,
    context_forms.LinkGraph,
    definition_forms.DetectorDefinition,
    definition_forms.ModelEvaluation,
    schemas.Accepted,
    schemas.Pending,
    schemas.Processed,
    schemas.BacktestRequest,
    Tried,
    DriftReport,
    Compared,
    model_forms.ModelList,
    model_forms.Moved,
    model_forms.StartShadow,
    model_forms.StartRollout,
    model_forms.TrialForm,
    model_forms.AskForModel,
    model_forms.GoBack,
    model_forms.Why,
    model_forms.TrialList,
    schemas.StreamRequest,
    schemas.StreamAnswer,
    schemas.AlertList,
    schemas.RiskProfile,
    case_forms.CaseForm,
    case_forms.CaseList,
    case_forms.CaseDetail,
    case_forms.QueueList,
    case_forms.AnalystList,
    case_forms.TakeNext,
    case_forms.GiveNote,
    case_forms.GiveVerdict,
    case_forms.Escalate,
    case_forms.GiveVerdicts,
    case_forms.VerdictsAnswer,
    feature_forms.FeatureList,
    feature_forms.FeatureForm,
    feature_forms.FeatureTested,
    feature_forms.NewFeature,
    feature_forms.TryFeature,
    feature_forms.ActivateFeature,
    rule_forms.RuleList,
    rule_forms.RuleHistory,
    rule_forms.RuleDiff,
    rule_forms.RuleChanged,
    rule_forms.RulesImported,
    rule_forms.RuleTested,
    rule_forms.RequestList,
    rule_asks.NewRule,
    rule_asks.TryCondition,
    rule_asks.ShadowRule,
    rule_asks.RolloutRule,
    rule_asks.PromoteRule,
    rule_asks.AskForRule,
    rule_asks.GiveReason,
    list_forms.ListList,
    list_forms.ListChanged,
    list_forms.EntryList,
    list_forms.FoundList,
    list_forms.NewList,
    list_forms.AddEntries,
    list_forms.RemoveEntries,
    schemas.SignIn,
    schemas.Session,
    *operation_forms.FORMS,
    *quarantine_forms.FORMS,
    *delivery_forms.FORMS,
    *report_forms.FORMS,
    *administration_forms.FORMS,
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
    """The schema of an answer to one, or to many in an array, where a problem stands in the place of what was refused."""
    return {"anyOf": [ref(name), {"type": "array", "items": {"anyOf": [ref(name), ref("Problem")]}}]}


def answers(model: type | str, *refusals: int, status: int = 200, many: bool = False) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` of a route that answers with this schema (or, with `many`, with an array), or refuses so."""
    name = model if isinstance(model, str) else model.__name__
    content = _json(each(name) if many else ref(name))
    done = {200: "Done.", 201: "Made.", 202: "Accepted, and durable."}
    good = {"description": done[status], "content": content}
    return {status: good, **{code: refusal(code) for code in (*refusals, 422, 503)}}


def refusal(code: int) -> dict[str, Any]:
    """One refusal as the document shows it."""
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
    """FastAPI's `openapi_extra` of a route that reads one value, or nothing."""
    return {"requestBody": {"required": False, "content": _json(ref(name))}}


def list_of(name: str) -> dict[str, Any]:
    """The content of an answer that is an array."""
    return _json({"type": "array", "items": ref(name)})


def document(app: FastAPI, desks: Desks) -> dict[str, Any]:
    """The whole document; made anew on every call, because detectors become known when they are opened."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    events = {name: desk.engine.event_type for name, desk in desks.items() if desk.not_ready is None}
    events_of, components = _schemas(events)
    components |= {name: {"type": "object"} for name in sorted(_OPEN)}
    found.setdefault("components", {})["schemas"] = components
    found["components"]["securitySchemes"] = _SECURITY
    found["security"] = [{}, *({name: []} for name in _SECURITY)]
    for operation in (operation for path in found["paths"].values() for operation in path.values()):
        operation["summary"] = operation.pop("description", operation["summary"]).split("\n")[0].rstrip(".")
        if "422" in operation["responses"]:  # FastAPI describes a form of its own, which no route answers
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
    """Say of every array what its items are, and never by `false`: generators of clients need the one and refuse the other.

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
    """`POST /predict` or `POST /transactions` of one detector or of whichever fits."""
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
