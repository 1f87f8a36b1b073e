"""The document of the API is one that generators of clients take: valid, whole in itself, with arrays that all of them read."""

import compileall
import inspect
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args, get_origin

import msgspec
import pytest
import schemathesis
from jsonschema import Draft202012Validator

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.http.route import Body, camel_case
from penstock.service.routes import ROUTES
from penstock.wiring.detectors import load_detector

KEPT = Path(__file__).parents[2] / "console" / "openapi.json"
FORMATS = Draft202012Validator.FORMAT_CHECKER
DETECTORS = ["banking", "card", "ecommerce", "mobile_money", "payments"]


@pytest.fixture
def described(make_engine):
    """The document of a service of all built-in detectors."""
    engines = [make_engine(name=name, event_type=load_detector(name).event) for name in DETECTORS]
    batchers = {engine.name: MicroBatcher.of(engine, Settings()) for engine in engines}
    return create_app(batchers, Settings()).document()


@pytest.fixture
def whole(described):
    """The kept document, which has every route, with the events of all built-in detectors."""
    kept = json.loads(KEPT.read_text("utf-8"))
    schemas = kept["components"]["schemas"] | described["components"]["schemas"]
    return {"paths": kept["paths"] | described["paths"], "components": {"schemas": schemas}}


def places(found, place="#"):
    """Every object of the document with its place."""
    if isinstance(found, dict):
        yield place, found
        for name, part in found.items():
            yield from places(part, f"{place}/{name}")
    elif isinstance(found, list):
        for n, part in enumerate(found):
            yield from places(part, f"{place}/{n}")


def test_the_document_is_valid_openapi(described):
    assert described["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(described).validate()


def test_openapi_python_client_makes_a_client_of_it_that_compiles(described, tmp_path):
    """Its warnings are allowed for what it cannot read: NDJSON and CSV, which the routes also take."""
    document, client = tmp_path / "penstock.json", tmp_path / "client"
    document.write_bytes(msgspec.json.encode(described))
    (tmp_path / "config.yml").write_text("post_hooks: []\n")  # formatting what it wrote takes longer than writing it
    made = [sys.executable, "-m", "openapi_python_client", "generate", "--path", document, "--output-path", client]
    done = subprocess.run([*made, "--config", tmp_path / "config.yml"], capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    omitted = set(re.findall(r"[Uu]nsupported content[_ ]type (\S+)", told))
    assert omitted <= {"application/x-ndjson", "text/csv"}, told
    assert told.count("WARNING parsing") == len(re.findall(r"[Uu]nsupported content[_ ]type", told)), told
    assert compileall.compile_dir(client, quiet=1)
    [package] = [each.parent for each in client.glob("*/client.py")]
    assert (package / "api" / "decisions").is_dir()


def test_every_array_says_what_its_items_are_and_never_by_a_boolean(described):
    arrays = {place: each for place, each in places(described) if each.get("type") == "array"}
    bare = [place for place, each in arrays.items() if not {"items", "prefixItems"} & each.keys()]
    closed = [place for place, each in places(described["components"]["schemas"]) if isinstance(each.get("items"), bool)]
    assert arrays
    assert (bare, closed) == ([], [])


def test_a_tuple_keeps_its_length_and_the_kind_of_each_item(described):
    tuples = {place: each for place, each in places(described) if "prefixItems" in each}
    assert "#/components/schemas/RuleDiff/properties/changed/additionalProperties" in tuples
    for place, each in tuples.items():
        assert each["minItems"] == each["maxItems"] == len(each["prefixItems"]), place


def test_every_reference_leads_somewhere(described):
    schemas = described["components"]["schemas"]
    wanted = {each["$ref"] for _, each in places(described) if isinstance(each.get("$ref"), str)}
    assert wanted
    assert wanted <= {f"#/components/schemas/{name}" for name in schemas}


VERBS = (
    "acknowledge|activate|add|approve|archive|ask|backtest|change|compare|create|decide|delete|dismiss"
    "|erase|escalate|export|find|get|give|import|list|pause|promote|reject|release|remove|replay|request"
    "|resubmit|revoke|roll|search|set|shadow|share|start|submit|take|test|undo|verify|withdraw"
)


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(described):
    """The content of every request, and of every good answer that has one."""
    for place, operation in operations(described):
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        for name, body in {"request": operation.get("requestBody", {}), **good}.items():
            for kind, content in body.get("content", {}).items():
                yield f"{place} {name} {kind}", kind, content


def test_operations_have_ids_of_their_own_that_are_a_verb_and_a_noun(whole):
    ids = Counter(operation["operationId"] for _, operation in operations(whole))
    assert len(ids) > 100
    assert [name for name, times in ids.items() if times > 1 or not re.fullmatch(rf"({VERBS})[A-Z][A-Za-z]+", name)] == []


def test_every_operation_and_parameter_is_described(whole):
    for place, operation in operations(whole):
        assert operation["summary"], place
        assert len(operation["description"]) > 8, place
        for parameter in operation.get("parameters", ()):
            assert said(parameter), (place, parameter["name"])


def test_every_schema_and_each_of_its_fields_is_described(whole):
    schemas = whole["components"]["schemas"]
    unsaid = [name for name, schema in schemas.items() if not schema["description"].strip(f"{name}.")]
    fields = [(name, field) for name, schema in schemas.items() for field in schema.get("properties", {}).items()]
    assert len(fields) > 1000
    assert (unsaid, [(name, field) for name, (field, schema) in fields if not said(schema)]) == ([], [])


def said(schema):
    description = schema.get("description", "")
    return len(description) > 4 and not description.startswith("The field `")


def test_fields_have_formats_and_the_words_that_they_may_be(whole):
    schemas = whole["components"]["schemas"]
    assert {each.get("format") for _, each in places(schemas) if each.get("type") == "integer"} == {"int64"}
    assert {each.get("format") for _, each in places(schemas) if each.get("type") == "number"} == {"double"}
    decision = schemas["Decision"]["properties"]
    assert decision["decision"]["enum"] == ["APPROVE", "CHALLENGE", "REVIEW", "BLOCK"]
    assert decision["decided_at"]["format"] == "date-time"
    assert schemas["NewWebhook"]["properties"]["url"]["format"] == "uri"
    named = [(name, field) for name, schema in schemas.items() for field in schema.get("properties", {}).items()]
    instants = [(name, field, each) for name, (field, each) in named if field.endswith("_at") and "string" in str(each)]
    assert len(instants) > 40
    open_texts = [(name, field) for name, field, each in instants if "'format': 'date-time'" not in str(each)]
    assert open_texts == [("Label", "known_at")]  # which may be a number as well


def test_every_body_has_an_example_that_fits_its_schema(whole):
    components = {"components": whole["components"]}
    checked = 0
    for place, kind, content in bodies(whole):
        assert "example" in content, place
        if kind == "application/json":
            schema = Draft202012Validator({**content["schema"], **components}, format_checker=FORMATS)
            assert [error.message for error in schema.iter_errors(content["example"])] == [], place
            checked += 1
        elif kind == "application/x-ndjson":
            assert content["example"].endswith("\n"), place
            json.loads(content["example"])
    assert checked > 160


def test_examples_of_requests_are_what_their_structs_take(whole):
    bodies_of = {
        route.handler.__name__: get_args(each.annotation)[0]
        for route in ROUTES
        if route.handler is not None
        for each in inspect.signature(route.handler).parameters.values()
        if get_origin(each.annotation) is Body
    }
    taken = {camel_case(name): struct for name, struct in bodies_of.items()}
    found = {operation["operationId"]: operation for _, operation in operations(whole)}
    assert len(taken.keys() & found.keys()) > 20
    for name in taken.keys() & found.keys():
        msgspec.convert(found[name]["requestBody"]["content"]["application/json"]["example"], taken[name])
