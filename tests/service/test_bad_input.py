"""Whatever a client sends: no 5xx, no hang, a cause for each refusal, and answers as the document promises."""

import os
import string

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from penstock.service.http.problems import Problem

CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
LONGEST_S = 60.0
"""After so long without an answer a route hangs; a slow machine needs seconds where something is compiled or planned first."""


def refused_with_a_cause(response):
    found = msgspec.json.decode(response.content, type=Problem)
    assert found.detail
    assert found.status == response.status_code


def bombard(url, examples):
    """Let schemathesis make requests for every operation of the document, good ones and bad ones."""
    schema = schemathesis.openapi.from_url(url + "/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(max_examples=examples, deadline=None, suppress_health_check=QUIET, database=None)
        @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)))
        def send(case):
            impatiently(case)
            case.call_and_validate(checks=checks(case), timeout=LONGEST_S)

        send()
        tried += 1
    return tried


def test_every_route_keeps_what_the_document_promises(real):
    assert bombard(real, examples=8) > 20


def checks(case):
    """What the answer has to keep. Parts of decisions, where a query asks for parts, lack fields that whole ones must have."""
    query = case.query or {}
    parts = "fields" in query or query.get("explain", True) is not True
    return [each for each in CHECKS if each is not response_schema_conformance or not parts]


def impatiently(case):
    """The same, but that nobody waits for long."""
    wait = (case.query or {}).get("wait_seconds")
    if isinstance(wait, int | float) and 0 < wait <= 30:
        case.query["wait_seconds"] = wait / 10_000


@pytest.mark.slow
def test_every_route_keeps_what_the_document_promises_at_length(real):
    assert bombard(real, examples=int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "400"))) > 20


@pytest.mark.parametrize("examples", [60, pytest.param(3_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_random_bytes_to_predict_are_refused_with_a_cause(real, content_type, examples):
    almost = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12) | NAMES, inner, max_size=6),
        max_leaves=12,
    )
    bodies = st.binary(max_size=400) | almost.map(msgspec.json.encode) | almost.map(msgspec.json.encode).flatmap(damaged)
    with httpx.Client(base_url=real, timeout=LONGEST_S) as client:

        @settings(max_examples=examples, deadline=None, suppress_health_check=QUIET, database=None)
        @given(body=bodies)
        def send(body):
            response = client.post("/predict", content=body, headers={"content-type": content_type})
            assert response.status_code < 500
            if response.status_code >= 400:
                refused_with_a_cause(response)

        send()


NAMES = st.sampled_from(["transaction_id", "timestamp", "customer_id", "amount", "type"])


def damaged(body):
    """The same with one byte changed, or cut off somewhere."""
    place = st.integers(0, max(0, len(body) - 1))
    changed = st.builds(lambda at, byte: body[:at] + bytes([byte]) + body[at + 1 :], place, st.integers(0, 255))
    return changed | place.map(lambda at: body[:at])


@pytest.mark.parametrize("examples", [60, pytest.param(3_000, marks=pytest.mark.slow)])
def test_random_paths_and_queries_are_answered(real, examples):
    roots = st.sampled_from(
        ["/transactions", "/transactions/", "/entities/", "/entities/customer/", "/stats", "/detectors/", "/"]
    )
    printable = st.text(string.printable, max_size=20) | st.text(max_size=20) | st.binary(max_size=12)
    names = st.sampled_from(["limit", "before", "decision", "entity", "key", "from", "to", "detector", "dry_run"])
    with httpx.Client(base_url=real, timeout=LONGEST_S) as client:

        @settings(max_examples=examples, deadline=None, suppress_health_check=QUIET, database=None)
        @given(root=roots, rest=printable, query=st.dictionaries(names, printable, max_size=4))
        def send(root, rest, query):
            response = client.get(root + _quoted(rest), params=query)
            assert response.status_code < 500
            if response.status_code >= 400:
                refused_with_a_cause(response)

        send()


def _quoted(text):
    from urllib.parse import quote

    return quote(text if isinstance(text, bytes) else text.encode("utf-8", "replace"), safe="")
