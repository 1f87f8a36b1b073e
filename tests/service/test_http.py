"""Every route answers what the interface promises, and refuses in one form."""

import asyncio
import gzip
import json
import random

import pytest

from penstock.config import Settings
from penstock.errors import CapacityError, LedgerFull
from penstock.service import MicroBatcher, Preparation, ServiceParts, create_app

NDJSON = {"content-type": "application/x-ndjson"}
GZIP = {"content-encoding": "gzip"}


@pytest.fixture
def ask(client_for, engine, run):
    """Sends one request to a service with one scripted engine."""

    def send(method, path, *, settings=None, engines=None, **request):
        async def scene():
            async with client_for(*(engines or [engine]), settings=settings) as client:
                return await client.request(method, path, **request)

        return run(scene())

    return send


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found


# ---------------------------------------------------------------- predict


def test_an_object_is_answered_with_a_decision(ask, payment):
    response = ask("POST", "/predict", content=payment(1))
    assert (response.status_code, response.json()["decision"]) == (200, "APPROVE")
    assert response.headers["content-type"] == "application/json"


def test_an_array_is_answered_with_an_array_malformed_elements_in_their_place(ask, payment):
    response = ask("POST", "/predict", content=b"[" + payment(1) + b', {"amount": 1} ,7,' + payment(2) + b"]")
    first, second, third, fourth = response.json()
    assert (first["transaction_id"], fourth["transaction_id"]) == ("tx1", "tx2")
    assert (second["status"], second["errors"][0]["field"]) == (422, "transaction_id")
    assert third["status"] == 422


def test_ndjson_is_answered_with_ndjson_also_where_a_line_is_no_json(ask, payment):
    response = ask("POST", "/predict", content=payment(1) + b"\r\n\nnonsense\n" + payment(2), headers=NDJSON)
    assert response.headers["content-type"] == "application/x-ndjson"
    first, second, third = map(json.loads, response.text.splitlines())
    assert (first["transaction_id"], second["status"], third["transaction_id"]) == ("tx1", 400, "tx2")


def test_an_empty_array_is_answered_with_one_and_no_lines_with_none(ask):
    assert ask("POST", "/predict", content=b" [ ] ").json() == []
    assert ask("POST", "/predict", content=b"\n", headers=NDJSON).text == ""


def test_whatever_content_type_a_client_sends_json_is_read_as_json(ask, payment):
    response = ask("POST", "/predict", content=payment(1), headers={"content-type": "application/x-www-form-urlencoded"})
    assert response.status_code == 200


def test_a_named_detector_decides_at_its_own_path_and_an_unknown_one_is_404_with_a_hint(ask, payment):
    assert ask("POST", "/detectors/fake/predict", content=payment(1)).status_code == 200
    assert "Did you mean fake?" in problem(ask("POST", "/detectors/fak/predict", content=payment(1)), 404)["detail"]


@pytest.mark.parametrize(
    ("query", "dry"),
    [("?dry_run=true", True), ("?dry_run=1", True), ("?dry_run", True), ("?dry_run=false", False), ("", False)],
)
def test_dry_run_is_passed_on(ask, engine, payment, query, dry):
    assert ask("POST", "/predict" + query, content=payment(1)).status_code == 200
    assert engine.batches == [(["tx1"], dry)]


def test_what_dry_run_cannot_be_is_422(ask, payment):
    assert problem(ask("POST", "/predict?dry_run=maybe", content=payment(1)), 422)["errors"][0]["field"] == "dry_run"


@pytest.mark.parametrize("body", [b"", b"   ", b"[", b'[{"a":1},', b"[" * 100_000, b'["\xff\xfe"'])
def test_what_is_not_json_is_400(ask, body):
    problem(ask("POST", "/predict", content=body), 400)


def test_what_is_json_but_no_event_is_422_naming_the_fields(ask):
    assert problem(ask("POST", "/predict", content=b"{}"), 422)["errors"] == [
        {"field": "transaction_id", "message": "is required"}
    ]


def test_a_body_larger_than_allowed_is_413_announced_or_not(ask):
    async def chunks():
        for _ in range(40):
            yield b" " * 1000

    small = Settings(max_body_bytes=20_000)
    problem(ask("POST", "/predict", content=b" " * 30_000, settings=small), 413)
    problem(ask("POST", "/predict", content=chunks(), settings=small), 413)


def test_more_events_than_one_request_may_hold_are_413(ask):
    problem(ask("POST", "/predict", content=b"{}\n" * 70_000, headers=NDJSON), 413)


@pytest.mark.parametrize("path", ["/predict", "/transactions", "/v1/predict"])
def test_a_body_compressed_by_gzip_is_read_as_if_it_came_as_it_is(ask, payment, path):
    response = ask("POST", path, content=gzip.compress(payment(1)), headers={"content-encoding": "gzip"})
    assert response.status_code in (200, 202), response.text
    assert response.json()["transaction_id"] == "tx1"


@pytest.mark.parametrize("size", [100, 30_000])
def test_no_more_is_decompressed_than_a_body_may_hold(ask, size):
    small = Settings(max_body_bytes=50_000)
    bomb = gzip.compress(random.Random(1).randbytes(size) + bytes(50_000_000))
    found = problem(ask("POST", "/predict", content=bomb[:49_000], headers=GZIP, settings=small), 413)
    assert found["code"] == "too_large"


def test_a_body_that_is_no_whole_gzip_stream_is_400(ask, payment):
    whole = gzip.compress(payment(1))
    for body in (b"x", whole[:-4], whole + b"more"):
        assert "gzip" in problem(ask("POST", "/predict", content=body, headers=GZIP), 400)["detail"]


def test_a_body_compressed_otherwise_is_415_and_says_what_is_read(ask):
    response = ask("POST", "/predict", content=b"x", headers={"content-encoding": "br"})
    assert problem(response, 415)["code"] == "unsupported_media_type"
    assert response.headers["accept-encoding"] == "gzip"


def test_long_answers_to_get_are_compressed_where_that_is_accepted_and_decisions_never_are(ask, payment):
    accepting = {"accept-encoding": "gzip"}
    packed, plain = (ask("GET", "/openapi.json", headers=with_) for with_ in (accepting, {"accept-encoding": "identity"}))
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 5
    assert "content-encoding" not in ask("GET", "/health", headers=accepting).headers
    batch = b"[" + b",".join(map(payment, range(1, 30))) + b"]"
    decided = ask("POST", "/predict", content=batch, headers=accepting)
    assert len(decided.content) > 2_000
    assert "content-encoding" not in decided.headers


def test_problems_have_a_stable_code_and_the_same_as_a_uri(ask, engine, payment):
    answers = {
        "invalid_event": ask("POST", "/predict", content=b'{"amount": 1}'),
        "invalid_json": ask("POST", "/predict", content=b"{nonsense"),
        "not_found": ask("GET", "/nowhere"),
        "method_not_allowed": ask("GET", "/predict"),
    }
    engine.raises = LedgerFull("no room is left")
    answers["ledger_unavailable"] = ask("POST", "/predict", content=payment(1))
    found = {code: (answer.json()["code"], answer.json()["type"]) for code, answer in answers.items()}
    assert found == {code: (code, f"urn:penstock:problem:{code}") for code in answers}


@pytest.mark.parametrize("path", ["/predict", "/health", "/nowhere"])
def test_a_request_id_comes_back_and_one_that_cannot_be_repeated_is_replaced(ask, payment, path):
    method = "POST" if path == "/predict" else "GET"
    given = ask(method, path, content=payment(1), headers={"x-request-id": "order-17"})
    assert given.headers["x-request-id"] == "order-17"
    made = {
        ask(method, path, content=payment(1), headers={"x-request-id": bad}).headers["x-request-id"]
        for bad in ("", "a b", "x" * 129)
    }
    assert len(made) == 3
    assert not made & {"", "a b", "x" * 129}


@pytest.mark.parametrize("path", ["/health", "/stats", "/detectors/fake/predict"])
def test_paths_below_v1_are_the_same_paths(ask, payment, path):
    method = "POST" if path.endswith("predict") else "GET"
    assert ask(method, "/v1" + path, content=payment(1)).status_code == 200
    problem(ask(method, "/v2" + path, content=payment(1)), 404)


def test_another_method_is_405_and_says_which_is_right(ask):
    response = ask("GET", "/predict")
    problem(response, 405)
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize("error", [LedgerFull("no room is left"), CapacityError("the memory budget is used up")])
def test_what_will_pass_is_503_with_retry_after(ask, engine, payment, error):
    engine.raises = error
    response = ask("POST", "/predict", content=payment(1))
    assert problem(response, 503)["detail"] == str(error)
    assert int(response.headers["retry-after"]) >= 1


def test_a_full_queue_is_503_with_retry_after(client_for, engine, payment, run):
    async def scene():
        async with client_for(engine, settings=Settings(queue_limit=1)) as client:
            engine.hold()
            asked = [asyncio.create_task(client.post("/predict", content=payment(n))) for n in range(6)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)  # nobody gets a decision before the release
            engine.release()
            return await asyncio.gather(*asked)

    statuses = sorted(response.status_code for response in run(scene()))
    assert statuses[-1] == 503
    assert statuses[0] == 200


def test_a_bug_is_500_with_an_id_that_stands_in_the_log(ask, engine, payment, caplog):
    engine.raises = ZeroDivisionError("a bug")
    found = problem(ask("POST", "/predict", content=payment(1)), 500)
    assert found["instance"].removeprefix("urn:penstock:error:") in caplog.text
    assert "a bug" not in found["detail"]


# ---------------------------------------------------------------- several detectors


@pytest.fixture
def two(make_engine):
    import msgspec

    class Purchase(msgspec.Struct):
        purchase_id: str
        device: str
        amount: float = 0

    return [
        make_engine(name="cards", informs=("Login", "Decline")),
        make_engine(name="shop", event_type=Purchase, informs=("Login",)),
    ]


def test_an_event_goes_to_the_one_detector_whose_required_fields_it_has(ask, two, payment):
    mixed = [json.loads(payment(1)), {"purchase_id": "p", "device": "d", "transaction_id": "p1"}, json.loads(payment(2))]
    answers = ask("POST", "/predict", engines=two, json=mixed).json()
    assert [answer["detector"] for answer in answers] == ["cards", "shop", "cards"]
    assert [engine.batches for engine in two] == [[(["tx1", "tx2"], False)], [(["p1"], False)]]


def test_an_event_that_fits_none_or_several_is_422_and_lists_them(ask, two, payment):
    none = problem(ask("POST", "/predict", engines=two, json={"amount": 1}), 422)
    assert "cards requires this field" in json.dumps(none)
    assert "shop requires this field" in json.dumps(none)
    both = json.loads(payment(1)) | {"purchase_id": "p", "device": "d"}
    assert "cards, shop" in problem(ask("POST", "/predict", engines=two, json=both), 422)["detail"]


def test_a_label_goes_to_the_detector_it_names_or_to_the_one_that_decided(ask, two):
    two[1].recorded["p1"] = b"{}"
    answers = ask(
        "POST",
        "/labels",
        engines=two,
        json=[
            {"transaction_id": "p1", "fraud": True},
            {"transaction_id": "x", "fraud": True, "detector": "cards"},
            {"transaction_id": "nobody", "fraud": True},
            {"transaction_id": "x", "fraud": True, "detector": "nope"},
        ],
    ).json()
    assert [answer.get("status", 200) for answer in answers] == [200, 200, 422, 422]
    assert [[label["transaction_id"] for label in engine.labels] for engine in two] == [["x"], ["p1"]]


def test_an_informing_event_reaches_every_detector_that_its_type_informs(ask, two):
    events = [{"type": "Login"}, {"type": "Decline"}, {"type": "Parade"}, {}]
    response = ask("POST", "/events", engines=two, json=events)
    assert response.status_code == 202
    assert response.json()["accepted"] == 2
    assert [refused["index"] for refused in response.json()["refused"]] == [2, 3]
    assert [len(engine.informed) for engine in two] == [2, 1]


def test_the_list_of_several_detectors_is_one_list_page_after_page(ask, two):
    for number in range(7):
        engine = two[number % 2]
        engine.recorded[f"t{number}"] = json.dumps(
            {"transaction_id": f"t{number}", "decided_at": f"2026-01-01T00:00:0{number}Z"}
        ).encode()
    seen, before = [], None
    for _ in range(5):
        found = ask("GET", "/transactions", engines=two, params={"limit": 3} | ({"before": before} if before else {})).json()
        seen += [decision["transaction_id"] for decision in found["transactions"]]
        before = found["next"]
        if before is None:
            break
    assert seen == [f"t{number}" for number in reversed(range(7))]


def test_statistics_of_several_detectors_are_summed_or_asked_one_by_one(ask, two):
    two[0].recorded, two[1].recorded = {"a": b"{}"}, {"b": b"{}", "c": b"{}"}
    assert ask("GET", "/stats", engines=two).json()["total"] == 3
    assert ask("GET", "/stats?detector=shop", engines=two).json()["total"] == 2
    problem(ask("GET", "/stats?detector=nope", engines=two), 404)


# ---------------------------------------------------------------- labels, events


def test_a_label_is_answered_when_durable(ask, engine):
    assert ask("POST", "/labels", json={"transaction_id": "tx1", "fraud": True}).json()["accepted"] is True
    assert problem(ask("POST", "/labels", json={"transaction_id": "tx1"}), 422)["errors"][0]["field"] == "fraud"
    assert len(ask("POST", "/labels", json=[{"transaction_id": "a", "fraud": True}] * 600).json()) == 600


def test_an_informing_event_is_202_or_refused(ask, engine):
    assert ask("POST", "/events", json={"type": "Login"}).json() == {"accepted": 1, "refused": []}
    problem(ask("POST", "/events", content=b"7"), 422)
    problem(ask("POST", "/events", content=b""), 400)
    problem(ask("POST", "/labels", content=b"[nonsense]"), 400)
    problem(ask("POST", "/labels", content=b"nonsense"), 400)


# ---------------------------------------------------------------- records


def test_a_recorded_decision_is_found_by_id_also_one_with_a_slash(ask, engine):
    engine.recorded["a/b c"] = b'{"transaction_id":"a/b c"}'
    assert ask("GET", "/transactions/a/b%20c").json() == {"transaction_id": "a/b c"}
    for unknown in ("nope", "%00", "%ff", "%ed%a0%80", "x" * 5000):
        problem(ask("GET", f"/transactions/{unknown}"), 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=x", "limit"),
        ("from=yesterday", "from"),
        ("to=1900-01-01", "to"),
        ("to=99999-01-01", "to"),
        ("from=%00", "from"),
        ("decision=MAYBE", "decision"),
        ("entity=customer", "key"),
        ("key=C1", "entity"),
        ("before=" + "x" * 3000, "before"),
        ("before=x", "before"),
        ("before=" + "9" * 19, "before"),
        ("before=%D9%A1", "before"),
    ],
)
def test_a_query_that_cannot_be_is_422_and_names_the_parameter(ask, query, field):
    assert problem(ask("GET", f"/transactions?{query}"), 422)["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "query", ["from=2026-01-01", "from=2026-01-01T00:00:00Z", "to=2026-01-01T00:00:00+01:00", "decision=block"]
)
def test_dates_are_read_as_people_write_them(ask, query):
    assert ask("GET", f"/transactions?{query}").json() == {"transactions": [], "next": None}


def test_the_features_of_a_key_are_shown(ask):
    assert ask("GET", "/entities/customer/C1").json()["features"] == {"count": 1}
    assert "'C2'" in problem(ask("GET", "/entities/customer/C2"), 404)["detail"]
    assert "no entity 'nope'" in problem(ask("GET", "/entities/nope/C1"), 404)["detail"]


# ---------------------------------------------------------------- the service itself


def test_health_names_versions_and_ready_says_why_not(ask, engine):
    assert ask("GET", "/health").json() == {
        "status": "ok",
        "version": "0.1.0",
        "access": "open",
        "sign_in": ["password"],
        "detectors": {"fake": {"model_version": "m1"}},
    }
    assert ask("GET", "/ready").status_code == 200
    engine.ready = "no model bundle is loaded"
    assert "no model bundle" in problem(ask("GET", "/ready"), 503)["detail"]
    assert ask("GET", "/health").json()["detectors"] == {"fake": {"model_version": None}}


def test_ready_is_503_with_the_reason_of_predict_and_recovers_without_traffic(ask, engine, payment):
    """A full disk, a store of record that is away: whatever keeps a decision from being durable."""
    engine.ledger.trouble = LedgerFull("no room for anything")
    detail = problem(ask("GET", "/ready"), 503)["detail"]
    assert detail == "fake: no room for anything"
    assert problem(ask("POST", "/predict", content=payment(1)), 503)["detail"] == "no room for anything"
    assert 'penstock_ready{detector="fake"} 0.0' in ask("GET", "/metrics").text
    assert ask("GET", "/health").status_code == 200
    assert ask("POST", "/predict?dry_run=true", content=payment(1)).status_code == 200
    engine.ledger.trouble = None
    assert ask("GET", "/ready").status_code == 200
    assert ask("POST", "/predict", content=payment(1)).status_code == 200


def test_where_new_keys_are_turned_away_ready_and_health_say_so_and_decisions_go_on(ask, engine, payment):
    assert "degraded" not in ask("GET", "/ready").json()
    engine.pipeline.state.full = "memory_limit_gb is used up"
    assert ask("GET", "/ready").json()["degraded"] == {"fake": "memory_limit_gb is used up"}
    assert ask("GET", "/health").json()["detectors"]["fake"]["degraded"] == "memory_limit_gb is used up"
    assert ask("POST", "/predict", content=payment(1)).status_code == 200


def test_while_an_engine_is_opened_everything_answers(run, make_engine, payment):
    import threading

    import httpx

    settings, gate = Settings(), threading.Event()

    def opener():
        gate.wait(60)
        return make_engine()

    async def scene():
        opened = asyncio.Event()
        app = create_app({"fake": MicroBatcher("fake", opener, settings)}, settings, on_ready=opened.set)
        async with (
            app.app.router.lifespan_context(app.app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://p") as client,
        ):
            for path in ("/health", "/metrics", "/openapi.json", "/docs", "/", "/live/setup"):
                assert (await client.get(path)).status_code == 200, path
            for path in ("/ready", "/stats", "/detectors", "/transactions", "/transactions/x", "/entities/customer/C1"):
                problem(await client.get(path), 503)
            problem(await client.post("/predict", content=payment(1)), 503)
            gate.set()
            await opened.wait()
            assert (await client.get("/ready")).status_code == 200

    run(scene())


def test_while_a_service_is_prepared_its_page_and_its_readiness_tell_the_progress(run, make_engine):
    import threading

    import httpx

    settings, gate, preparation = Settings(), threading.Event(), Preparation("Deciding a month of payments")
    preparation.advance(0.345)

    def opener():
        gate.wait(60)
        return make_engine()

    async def scene():
        opened = asyncio.Event()
        batcher = MicroBatcher("fake", opener, settings, preparation.__str__)
        app = create_app({"fake": batcher}, settings, ServiceParts(preparation=preparation), on_ready=opened.set)
        async with (
            app.app.router.lifespan_context(app.app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://p") as client,
        ):
            page = (await client.get("/")).text
            assert "Preparing, 34 %" in page
            assert "Deciding a month of payments" in page
            assert (await client.get("/health")).status_code == 200
            assert problem(await client.get("/ready"), 503)["detail"] == "fake: preparing, 34 %"
            gate.set()
            await opened.wait()
            preparation.done = True
            assert "Preparing" not in (await client.get("/")).text

    run(scene())


def test_prometheus_reads_what_was_counted(client_for, engine, payment, run):
    async def scene():
        async with client_for(engine) as client:
            await client.post("/predict", content=payment(1))
            await client.post("/predict", content=payment(2, amount=5000))
            await client.post("/predict", content=b"{}")
            return (await client.get("/metrics")).text

    text = run(scene())
    assert 'penstock_decisions_total{decision="approve",detector="fake"} 1.0' in text
    assert 'penstock_decisions_total{decision="block",detector="fake"} 1.0' in text
    assert 'penstock_requests_total{route="/predict",status="422"} 1.0' in text
    assert 'penstock_refused_total{detector="fake"} 1.0' in text
    assert 'penstock_stage_seconds_count{detector="fake",stage="total"} 3.0' in text
    assert 'penstock_duplicates_total{detector="fake"} 0.0' in text


def test_head_is_get_without_a_body_and_options_says_what_a_path_is_for(ask):
    assert ask("HEAD", "/health").status_code == 200
    assert ask("OPTIONS", "/predict").headers["allow"] == "OPTIONS, POST"
    assert ask("OPTIONS", "/stats").headers["allow"] == "GET, HEAD, OPTIONS"
    problem(ask("OPTIONS", "/nowhere"), 404)


def test_no_other_origin_is_let_in(ask):
    response = ask("GET", "/stats", headers={"origin": "https://elsewhere.example"})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_an_unknown_path_is_404_and_a_wrong_method_405(ask):
    problem(ask("GET", "/nowhere"), 404)
    response = ask("DELETE", "/stats")
    problem(response, 405)
    assert response.headers["allow"] == "GET"


def test_the_document_describes_every_route_and_resolves_within_itself(ask):
    document = ask("GET", "/openapi.json").json()
    assert set(document["paths"]) == {
        "/predict",
        "/detectors/{name}/drift",
        "/detectors/{name}/drift/{column}",
        "/detectors/fake/predict",
        "/detectors/fake/transactions",
        "/transaction/{transaction_id}/status",
        "/stream",
        "/get",
        "/results/recent",
        "/alerts",
        "/users/{key}/risk-profile",
        "/stats/overview",
        "/labels",
        "/events",
        "/transactions",
        "/transactions/{transaction_id}",
        "/entities/{entity}/{key}",
        "/stats",
        "/detectors",
        "/health",
        "/ready",
        "/metrics",
        "/session",
        "/session/password",
        "/detectors/{name}/backtest",
        "/detectors/{name}/erasures",
        "/labels/csv",
        "/context/{transaction_id}",
        "/detectors/{name}/definition",
        "/detectors/{name}/models/{version}/card",
        "/detectors/{name}/models/{version}/evaluation",
        "/insights/distributions",
        "/insights/impact",
        "/insights/rules",
        "/insights/series",
        "/insights/summary",
        "/entities/{entity}/{key}/ring",
        "/search",
        "/summaries",
        "/verify/{transaction_id}",
    }
    assert document["components"]["schemas"]["Payment"]["required"] == ["transaction_id", "timestamp", "customer_id", "amount"]
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference


def _references(node):
    if isinstance(node, dict):
        yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_the_documentation_fetches_nothing_from_outside(ask):
    page = ask("GET", "/docs")
    assert "http" not in page.text.replace("<!doctype html>", "")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js", "preparing.js"):
        assert ask("GET", f"/assets/{asset}").status_code == 200
    problem(ask("GET", "/assets/..%2fapp.py"), 404)
