"""What is answered is made from the ledger's record alone, and says exactly what stands in it."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import iso
from penstock.decision import NO_ACTION, Renderer, conflicting, decision_of
from penstock.ledger import encoding
from penstock.messages import Action, Decision, Type

from .conftest import FEATURES, MEMBERS, TYPES, make_bench, records

BENCH = make_bench()


def naive(record, row):
    """A decision as a dictionary, without its explanation, built the slow and obvious way."""

    def number(value):
        return None if not math.isfinite(value) else float(value)

    def shown(name):
        column = BENCH.layout[name]
        if column.type is Type.TEXT:
            return record.columns[f"text:{name}"][row]
        value = record.columns["x"][row, column.index]
        if math.isnan(value):
            return None
        if column.type is Type.BOOLEAN:
            return bool(value)
        return iso(int(value)) if column.type is Type.TIME else number(value)

    action = Action(record.columns["action"][row])
    fraud = action is not Action.APPROVE
    scores = [number(score) for score in record.columns["scores"][row]]
    text = record.columns["degraded"][row] if "degraded" in record.columns else None
    degraded = {"part": text.split(": ", 1)[0], "cause": text.split(": ", 1)[1]} if text else None
    return {
        "transaction_id": record.ids[row],
        "detector": "banking",
        "event_time": iso(int(record.time_us[row])),
        "decided_at": iso(record.meta["decided_us"]),
        "decision": action.name,
        "prediction": "FRAUD" if fraud else "LEGIT",
        "predicted_class": int(fraud),
        "is_fraud": fraud,
        "fraud_probability": scores[0],
        "scores": dict(zip(MEMBERS, scores[1:], strict=True)),
        "features": {name: shown(name) for name in FEATURES},
        "model_version": "model-1",
        "versions": {"detector": "detector-1", "model": "model-1", "rules": BENCH.rules.version},
        "degraded": degraded,
        "latency_ms": {"decode": 0.0123, "features": 0.003, "total": 1.5},
    }


@settings(max_examples=50, deadline=None)
@given(records(BENCH))
def test_every_field_is_what_the_record_holds(record):
    for row, body in enumerate(BENCH.renderer.render(record)):
        said = json.loads(body)
        explanation = said.pop("explanation")
        assert said == naive(record, row)
        lowered = int(record.columns["lowered"][row])
        assert explanation.pop("lowered", None) == (None if lowered == NO_ACTION else Action(lowered).name)
        assert list(explanation) == ["decision_reason", "model_confidence", "reasons", "rules", "contributions"]
        probability = record.columns["scores"][row, 0]
        assert explanation["model_confidence"] == (None if math.isnan(probability) else max(probability, 1 - probability))


@settings(max_examples=50, deadline=None)
@given(records(BENCH))
def test_numbers_are_exact_to_the_last_bit_and_the_sign_of_zero(record):
    for row, body in enumerate(BENCH.renderer.render(record)):
        said = json.loads(body)["features"]["amount_ratio"]
        value = record.columns["x"][row, BENCH.layout["amount_ratio"].index]
        if math.isfinite(value):
            assert np.float64(said).tobytes() == np.float64(value).tobytes()
        else:
            assert said is None


@settings(max_examples=50, deadline=None)
@given(records(BENCH), st.data())
def test_a_row_read_back_alone_from_stored_bytes_is_what_was_answered(record, data):
    answered = BENCH.renderer.render(record)
    stored = encoding.encode(record, position=3)
    header = encoding.header_of(stored)
    found = encoding.decode(header, stored)
    assert BENCH.renderer.render(found) == answered
    chosen = data.draw(st.lists(st.sampled_from(range(len(record))), max_size=3))
    assert BENCH.renderer.render(found, chosen) == [answered[row] for row in chosen]


@settings(max_examples=50, deadline=None)
@given(records(BENCH))
def test_an_explained_record_reads_the_same_when_rules_models_and_words_have_changed(record):
    answered = BENCH.renderer.render(record)
    BENCH.renderer.explain(record)
    assert BENCH.renderer.render(record) == answered
    stored = encoding.encode(record, position=3)
    found = encoding.decode(encoding.header_of(stored), stored)
    later = Renderer("banking", BENCH.layout, BENCH.versions, [], FEATURES, members=MEMBERS)
    assert later.render(found) == answered
    assert later.render(found, [len(record) - 1]) == answered[-1:]


@settings(max_examples=50, deadline=None)
@given(records(BENCH))
def test_the_object_says_what_the_json_says(record):
    for row, body in enumerate(BENCH.renderer.render(record)):
        decision = BENCH.renderer.decision(record, row)
        assert isinstance(decision, Decision)
        assert json.loads(msgspec.json.encode(decision)) == json.loads(body)


@settings(max_examples=50, deadline=None)
@given(records(BENCH))
def test_what_is_json_to_us_is_json_to_a_strict_reader(record):
    for body in BENCH.renderer.render(record):
        msgspec.json.decode(body)
        assert b"\n" not in body
        assert not any(byte < 0x20 for byte in body)


def test_fields_stand_in_the_order_of_the_interface():
    (body,) = BENCH.renderer.render(BENCH.record([{"timestamp": 1}]))
    assert list(json.loads(body)) == [field.encode_name for field in msgspec.structs.fields(Decision)][:-1]


def test_an_approval_in_full():
    row = {
        "timestamp": 1_700_000_000_500_000,
        "amount": 25.5,
        "amount_ratio": 1.5,
        "is_night": False,
        "previous_city": "Zürich",
    }
    (body,) = BENCH.renderer.render(BENCH.record([row], [[0.0123, 0.01, 0.02]], ids=['tx"1']))
    assert body.decode() == (
        '{"transaction_id":"tx\\"1","detector":"banking","event_time":"2023-11-14T22:13:20.500000Z",'
        '"decided_at":"2026-02-02T02:40:00.000123Z","decision":"APPROVE","prediction":"LEGIT","predicted_class":0,'
        '"is_fraud":false,"fraud_probability":0.0123,"scores":{"logistic_regression":0.01,"xgboost":0.02},'
        '"explanation":{"decision_reason":"normal_behavior","model_confidence":0.9877,"reasons":[],"rules":[],'
        '"contributions":[]},"features":{"amount_ratio":1.5,"is_night":false,"previous_time":null,'
        '"previous_city":"Zürich"},"model_version":"model-1","versions":{"detector":"detector-1","model":"model-1",'
        f'"rules":"{BENCH.rules.version}"}},"degraded":null,'
        '"latency_ms":{"decode":0.0123,"features":0.003,"total":1.5}}'
    )


def test_an_approval_looks_the_same_beside_a_degraded_one():
    rows = [{"timestamp": 1, "amount": 5}] * 2
    scores = [[0.1, 0.1, 0.1], [math.nan] * 3]
    alone = BENCH.renderer.render(BENCH.record(rows, scores))[0]
    beside = BENCH.renderer.render(BENCH.record(rows, scores, [False, True], [None, "models: late"]))
    assert beside[0] == alone
    assert json.loads(beside[1])["degraded"] == {"part": "models", "cause": "late"}


def test_no_rows_are_no_answers():
    assert BENCH.renderer.render(BENCH.record([{"timestamp": 1}]), []) == []


def test_a_large_batch_is_rendered_in_one_piece():
    rows = [{"timestamp": i, "amount": i / 7, "previous_city": "x" * (i % 50)} for i in range(1000)]
    bodies = BENCH.renderer.render(BENCH.record(rows))
    assert [json.loads(body)["transaction_id"] for body in bodies] == [f"tx{i}" for i in range(1000)]


@pytest.mark.parametrize("name", TYPES)
def test_every_column_can_be_shown(name):
    bench = make_bench()
    shown = Renderer("d", bench.layout, bench.versions, bench.rules.rules, [name], members=MEMBERS)
    (body,) = shown.render(bench.record([{"timestamp": 1}]))
    assert list(json.loads(body)["features"]) == [name]


def test_an_id_that_came_with_other_content_gets_the_first_decision_marked():
    record = BENCH.record([{"timestamp": 1}])
    (body,) = BENCH.renderer.render(record)
    marked = conflicting(body)
    assert json.loads(marked) == {**json.loads(body), "conflict": True}
    assert decision_of(marked).conflict is True
