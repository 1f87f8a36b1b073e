"""What a caller asks for beside the answer: fewer fields, strictness, conflicts as refusals; and what no route knows."""

import gzip
import json

import pytest
from jsonschema import Draft202012Validator
from tests.service import patient

EVENT = {"transaction_id": "tx1", "timestamp": "2026-02-06T10:00:00Z", "customer_id": "C1", "amount": 20.0}


def asked(url, path, event=EVENT, **options):
    return patient.post(url + path, content=json.dumps(event), **options)


def refused(response, field, hint=""):
    assert response.status_code == 422, response.text
    [error] = response.json()["errors"]
    assert error["field"] == field
    assert hint in error["message"]


# ---------------------------------------------------------------- fewer fields


def test_a_decision_without_its_explanation_is_the_same_decision(real):
    whole = asked(real, "/predict").json()
    short = asked(real, "/predict?explain=false").json()
    assert whole.keys() - short.keys() == {"explanation", "features", "scores"}
    assert {name: whole[name] for name in short} == short


def test_a_caller_gets_the_fields_that_it_names_in_every_form_of_a_request(real):
    fields = "fields=decision,explanation.reasons"
    wanted = {"transaction_id": "tx1", "decision": "APPROVE", "explanation": {"reasons": []}}
    assert asked(real, f"/predict?{fields}").json() == wanted
    assert asked(real, f"/detectors/mine/predict?{fields}").json() == wanted
    bad = {"transaction_id": "tx2"}
    many = asked(real, f"/predict?{fields}", [EVENT, bad]).json()
    assert (many[0], many[1]["status"]) == (wanted, 422), "a refusal is whole"
    lines = patient.post(
        f"{real}/predict?{fields}",
        content=gzip.compress(b"\n".join(json.dumps(each).encode() for each in (EVENT, bad))),
        headers={"content-type": "application/x-ndjson", "content-encoding": "gzip"},
    )
    assert [json.loads(line) for line in lines.text.splitlines()] == many
    assert patient.get(f"{real}/transactions/tx1?{fields}").json() == wanted
    assert patient.get(f"{real}/transactions?{fields}").json()["transactions"] == [wanted]
    assert "features" not in patient.get(f"{real}/transactions?explain=false").json()["transactions"][0]


@pytest.mark.parametrize("chosen", ["explain=false", "fields=decision,explanation.reasons"])
def test_the_document_describes_answers_in_parts(real, chosen):
    document = patient.get(f"{real}/openapi.json").json()

    def valid(schema, found):
        return Draft202012Validator({**schema, "components": document["components"]}).is_valid(found)

    answers = {
        ("post", "/predict"): asked(real, f"/predict?{chosen}"),
        ("get", "/transactions/{transaction_id}"): patient.get(f"{real}/transactions/tx1?{chosen}"),
        ("get", "/transactions"): patient.get(f"{real}/transactions?{chosen}"),
    }
    for (method, path), found in answers.items():
        schema = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
        whole, part = schema["anyOf"][:2]
        assert valid(schema, found.json())
        assert valid(part, found.json())
        assert not valid(whole, found.json()), "a generated client would refuse it as a whole decision"
    assert not valid({"$ref": "#/components/schemas/DecisionPart"}, {"decision": "APPROVE"}), "each says whose it is"


def test_a_field_that_is_named_is_answered_although_nothing_is_explained(real):
    found = asked(real, "/predict?explain=false&fields=decision,scores").json()
    assert found == {"transaction_id": "tx1", "decision": "APPROVE", "scores": {}}


@pytest.mark.parametrize("path", ["/predict", "/transactions/tx1", "/transactions"])
def test_a_field_that_decisions_do_not_have_is_refused(real, path):
    ask = asked if path == "/predict" else lambda url, path: patient.get(url + path)
    refused(ask(real, f"{path}?fields=decison"), "fields", "Did you mean decision?")


def test_a_conflict_is_seen_whatever_fields_are_asked_for(real):
    asked(real, "/predict")
    found = asked(real, "/predict?fields=decision", EVENT | {"amount": 9.0}).json()
    assert found == {"transaction_id": "tx1", "decision": "APPROVE", "conflict": True}


# ---------------------------------------------------------------- strictness


def test_an_unknown_field_is_refused_where_the_caller_is_strict_and_ignored_elsewhere(real):
    misspelt = EVENT | {"mercant": "m1"}
    assert asked(real, "/predict", misspelt).status_code == 200
    refused(asked(real, "/predict?strict=true", misspelt), "mercant", "Did you mean merchant?")
    refused(asked(real, "/transactions?strict=true", misspelt), "mercant", "Did you mean merchant?")
    many = asked(real, "/predict?strict=true", [EVENT, misspelt, EVENT | {"transaction_id": "tx2"}]).json()
    assert [each.get("decision", each.get("status")) for each in many] == ["APPROVE", 422, "APPROVE"]
    assert asked(real, "/predict?strict=true").status_code == 200


def test_strictness_holds_for_informing_events_and_labels_and_other_bodies(real):
    login = {"type": "Login", "transaction_id": "l1", "timestamp": EVENT["timestamp"], "customer_id": "C1", "device": "d"}
    assert asked(real, "/events", login).status_code == 202
    refused(asked(real, "/events?strict=true", login), "device", "is not a field of Login")
    asked(real, "/predict")
    label = {"transaction_id": "tx1", "fraud": True, "knwon_at": "2026-02-07"}
    assert asked(real, "/labels", label).status_code == 200
    refused(asked(real, "/labels?strict=true", label), "knwon_at", "Did you mean known_at?")
    assert asked(real, "/labels?strict=true", [label, {"transaction_id": "tx1", "fraud": True}]).json()[1]["accepted"]
    refused(asked(real, "/detectors/mine/backtest", {"when": "amount > 5", "dyas": 3}), "dyas", "Did you mean days?")


def test_events_of_which_none_is_accepted_are_refused(real):
    bad = {"type": "Login", "customer_id": "C1"}
    assert asked(real, "/events", bad).status_code == 422
    answer = asked(real, "/events", [bad, bad])
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["[0]", "[1]"])
    assert asked(real, "/events", []).status_code == 422
    good = bad | {"transaction_id": "l1", "timestamp": EVENT["timestamp"]}
    some = asked(real, "/events", [good, bad])
    assert (some.status_code, some.json()["accepted"], some.json()["refused"][0]["index"]) == (202, 1, 1)


# ---------------------------------------------------------------- conflicts


def test_a_conflict_is_409_where_the_caller_asks_for_that(real):
    first = asked(real, "/predict?conflict=409")
    assert first.status_code == 200
    assert asked(real, "/predict?conflict=409").status_code == 200, "the same event again is no conflict"
    changed = EVENT | {"amount": 21.0}
    assert asked(real, "/predict", changed).json()["conflict"] is True
    conflict = asked(real, "/predict?conflict=409", changed)
    assert (conflict.status_code, conflict.json()["code"]) == (409, "conflict")
    many = asked(real, "/predict?conflict=409", [changed, EVENT]).json()
    assert [each.get("status", each.get("decision")) for each in many] == [409, "APPROVE"]
    refused(asked(real, "/predict?conflict=410", changed), "conflict")


# ---------------------------------------------------------------- queries


@pytest.mark.parametrize(
    ("path", "parameter", "hint"),
    [
        ("/transactions?form=2026", "form", "Did you mean from?"),
        ("/stats?detecter=mine", "detecter", "Did you mean detector?"),
        ("/detectors?x=1", "x", "There are none."),
        ("/get?limit=5", "limit", "Known: detector, k."),
    ],
)
def test_a_query_parameter_that_a_route_does_not_have_is_refused(real, path, parameter, hint):
    refused(patient.get(real + path), parameter, hint)


def test_a_misspelt_dry_run_decides_nothing(real):
    refused(asked(real, "/predict?dryrun=true"), "dryrun", "Did you mean dry_run?")
    assert patient.get(f"{real}/transactions/tx1").status_code == 404


def test_pages_and_probes_take_any_query(real):
    assert {patient.get(f"{real}{path}?utm_source=x").status_code for path in ("/health", "/ready", "/docs")} == {200}


# ---------------------------------------------------------------- wording


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/transactions?limit=5000", "limit is 5000; expected at most 1000"),
        ("/transactions?limit=0", "limit is 0; expected at least 1"),
        ("/transactions?limit=many", 'limit is "many"; expected a whole number'),
        ("/transaction/tx1/status?wait_seconds=nan", "wait_seconds is nan; expected at most 30.0"),
        ("/transactions/tx1?explain=perhaps", 'explain is "perhaps"; expected true or false'),
    ],
)
def test_a_parameter_is_refused_with_its_value_and_what_is_expected(real, path, message):
    answer = patient.get(real + path)
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (422, message)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/labels", {"transaction_id": "tx1", "fraud": "maybe"}, 'fraud is "maybe"; expected true or false'),
        ("/labels", {"transaction_id": "tx1"}, "fraud is missing"),
        ("/labels", {"transaction_id": 5.5, "fraud": True}, "transaction_id is 5.5; expected a whole number or text or null"),
        ("/stream", {"count": 0}, "count is 0; expected a whole number of at least 1"),
        ("/stream", [], "the body is an array; expected an object"),
    ],
)
def test_a_body_is_refused_with_its_field_its_value_and_what_is_expected(real, path, body, message):
    answer = asked(real, path, body)
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (422, message)
