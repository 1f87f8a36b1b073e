"""The document of the API is one that generators of clients take: valid, whole in itself, with arrays that all of them read."""

import compileall
import re
import subprocess
import sys
from collections import Counter

import msgspec
import pytest
import schemathesis

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.wiring.detectors import load_detector

DETECTORS = ["banking", "card", "ecommerce", "mobile_money", "payments"]


@pytest.fixture
def described(make_engine):
    """The document of a service of all built-in detectors."""
    engines = [make_engine(name=name, event_type=load_detector(name).event) for name in DETECTORS]
    batchers = {engine.name: MicroBatcher.of(engine, Settings()) for engine in engines}
    return create_app(batchers, Settings()).document()


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


def test_operations_have_ids_of_their_own_that_can_be_names_of_functions(described):
    ids = Counter(operation["operationId"] for path in described["paths"].values() for operation in path.values())
    assert [name for name, times in ids.items() if times > 1 or not re.fullmatch(r"[A-Za-z]\w*", name)] == []
