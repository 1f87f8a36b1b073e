"""The OpenAPI document: FastAPI describes the ordinary routes; this module adds the schemas, texts, and routes of events."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock.service.http.operation import REFERENCE, answer, json_content, ref, refusal, text_content
from penstock.service.http.problems import Problem
from penstock.service.http.projection import describe_part
from penstock.service.http.route import Route, camel_case
from penstock.service.http.schemas import Examples, complete, first_sentence, line_of, meaning, paragraphs

_TAGS = {
    "decisions": "Ask for decisions.",
    "events": "Labels and informing events: what becomes known in addition to transactions.",
    "records": "Look up what was decided and what is known.",
    "insights": "Follow what is decided: figures over the last minutes, hours or days.",
    "models": "See which models decide and which are tried, and change that.",
    "rules": "Change what decides: rules from draft to archived, and what waits for a second pair of eyes.",
    "features": "Change what is computed of transactions: features from draft to active, filled from the log.",
    "lists": "Keep the lists that conditions ask.",
    "cases": "Work on what people should look at.",
    "service": "What is served, and its health.",
    "operations": "See how each part fares, what was refused, what people were told, and what was decided on a day.",
    "access": "Sign in and out, see who one is, let others in, and see who changed what.",
}

_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
    "session": {"type": "apiKey", "in": "cookie", "name": "penstock_session", "description": "Set by POST /session."},
}


def document(app: FastAPI, routes: Iterable[Route], events: Mapping[str, type | None]) -> dict[str, Any]:
    """The whole document; built anew on every call, because detectors become known when they are opened.

    routes: all declared ones, served here or not. events: the event type of each detector; None before it is opened.
    """
    declared = list(routes)
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    events_of, components = _schemas(declared, {name: kind for name, kind in events.items() if kind is not None})
    found.setdefault("components", {})["schemas"] = components
    found["components"]["securitySchemes"] = _SECURITY
    found["servers"] = [{"url": "/v1", "description": "Version 1 of the API. The same paths without /v1 are answered alike."}]
    found["security"] = [{}, *({name: []} for name in _SECURITY)]
    for operation in (operation for path in found["paths"].values() for operation in path.values()):
        operation["description"] = paragraphs(operation["description"])
        operation["summary"] = first_sentence(operation["description"])
        if "422" in operation["responses"]:  # FastAPI describes its validation error, which no route answers
            operation["responses"]["422"] = refusal(422)
    for route in declared:
        if route.events is not None:
            _add_events(found["paths"], route, events, events_of)
    examples = Examples(components)
    for path, operation in ((path, each) for path, methods in found["paths"].items() for each in methods.values()):
        operation["responses"] |= {str(code): refusal(code) for code in (414, 431)}
        for parameter in operation.get("parameters", ()):
            _describe(parameter, path)
        _show(operation, examples)
    found["tags"] = [{"name": name, "description": about} for name, about in _TAGS.items()]
    found["paths"] = dict(sorted(found["paths"].items(), key=lambda item: (item[0] != "/predict", item[0])))
    return found


def _schemas(routes: Iterable[Route], events: Mapping[str, type]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """A reference per detector to the schema of its events, and all schemas by name."""
    named = list(dict.fromkeys(schema for route in routes for schema in route.schemas))
    structs = [Problem, *(each for each in named if not isinstance(each, str))]
    refs, components = msgspec.json.schema_components(
        [*structs, *events.values()], schema_hook=lambda _kind: {}, ref_template=REFERENCE
    )
    for schema in components.values():
        _spell_arrays(schema)
    components |= {name: {"type": "object"} for name in sorted(each for each in named if isinstance(each, str))}
    complete(components)
    for route in routes:
        if route.in_parts and route.answer_schema is not None:
            describe_part(components, ref(route.answer_schema))
    return dict(zip(events, refs[len(structs) :], strict=True)), components


def _describe(parameter: dict[str, Any], path: str) -> None:
    """Describe a parameter, and the width of its integers."""
    name = parameter["name"]
    before = path.split(f"/{{{name}}}", maxsplit=1)[0].rpartition("/")[2] if parameter["in"] == "path" else ""
    parameter.setdefault("description", meaning(name, before))
    for schema in (parameter["schema"], *parameter["schema"].get("anyOf", ())):
        if schema.get("type") == "integer":
            schema["format"] = "int64"


def _show(operation: dict[str, Any], examples: Examples) -> None:
    """Add an example to the body of an operation, and to each of its good answers that has one."""
    good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for body in (operation.get("requestBody", {}), *good):
        sent = body not in good
        content = body.get("content", {})
        for kind, each in content.items():
            if "example" in each:
                continue
            if kind == "application/json":
                each["example"] = examples.of(each["schema"], sent=sent)
            elif kind == "application/x-ndjson" and "application/json" in content:
                each["example"] = line_of(examples.of(content["application/json"]["schema"], sent=sent))


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


def _add_events(
    paths: dict[str, Any], route: Route, events: Mapping[str, type | None], refs: Mapping[str, dict[str, Any]]
) -> None:
    """Add a route of events: once for all detectors together, or, with the name in its path, once for each detector."""
    verb = "decide" if route.status == 200 else "submit"
    if "{name}" not in route.path:
        one = _taking(route, "whichever detector fits", [*refs.values()], f"{verb}Transaction")
        paths.setdefault(route.path, {})["post"] = one
        return
    for name in events:
        of = [refs[name]] if name in refs else []
        paths.setdefault(route.path.replace("{name}", name), {})["post"] = _taking(
            route, f"the detector {name}", of, camel_case(f"{verb}_{name}_transaction")
        )


def _taking(route: Route, whose: str, events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The operation of a route that takes the events of one detector, or of the one that an event fits."""
    one = {"type": "object"} if not events else events[0] if len(events) == 1 else {"anyOf": events}
    decides, answered = route.status == 200, route.answers
    assert answered is not None
    lines = text_content("application/x-ndjson")
    good = answer(answered, route.status, many=True, parts=route.in_parts)
    return {
        "tags": ["decisions"],
        "summary": f"{route.events}".format(whose),
        "description": f"An object is answered with {'a decision' if decides else 'its id'}, an array with an array, "
        "NDJSON with NDJSON: in order, what is malformed in its place. Answered when durable. The same transaction id again "
        "gets the first decision.",
        "operationId": name,
        "parameters": [
            {"name": given, "in": "query", "required": False, "description": about, "schema": schema}
            for given, (about, schema) in route.parameters.items()
        ],
        "requestBody": {
            "required": True,
            "content": {**json_content({"anyOf": [one, {"type": "array", "items": one}]}), **lines},
        },
        "responses": {
            str(route.status): {
                **good,
                **({"description": "Decided."} if decides else {}),
                "content": {**good["content"], **lines},
            },
            **{str(code): refusal(code) for code in (400, 408, 409, 413, 415, 422, 503)},
        },
    }
