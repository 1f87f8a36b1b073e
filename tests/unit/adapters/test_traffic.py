"""Events on their way to a service: in order, grouped by route, and again when the service is busy."""

import json
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from penstock.adapters import traffic
from penstock.adapters.recorded import items
from penstock.adapters.traffic import Item, NotAccepted, send

START = datetime(2026, 1, 1, tzinfo=UTC)


def decide(_method, path, body):
    """What a service answers: one decision per line; an event called bad is refused."""
    if path != "/predict":
        return 202, b"[]"
    lines = [json.loads(line) for line in body.splitlines()]
    answers = [{"status": 422, "detail": "bad event"} if line.get("id") == "bad" else {"decision": "APPROVE"} for line in lines]
    return (422 if len(lines) == 1 and lines[0].get("id") == "bad" else 200), b"\n".join(
        json.dumps(answer).encode() for answer in answers
    )


def predicts(*ids):
    return [Item("/predict", json.dumps({"id": name}).encode()) for name in ids]


def test_neighbours_of_one_route_share_a_request_and_order_is_kept(service):
    service.answer = decide
    sent = send(
        service.address, [*predicts("a", "b"), Item("/labels", b'{"x":1}'), Item("/labels", b'{"x":2}'), *predicts("c")]
    )
    assert service.seen == [
        ("/predict", b'{"id": "a"}\n{"id": "b"}'),
        ("/labels", b'[{"x":1},{"x":2}]'),
        ("/predict", b'{"id": "c"}'),
    ]
    assert (sent.accepted, sent.labels, sent.refused, dict(sent.decisions)) == (3, 2, 0, {"APPROVE": 3})


@pytest.mark.parametrize("ids", [["bad"], ["a", "bad", "b"]])
def test_a_refused_event_is_counted_and_the_rest_goes_on(service, ids):
    service.answer = decide
    sent = send(service.address, predicts(*ids))
    assert (sent.accepted, sent.refused, sent.first_refusal) == (len(ids) - 1, 1, "bad event")


def test_a_busy_service_is_asked_again(service, monkeypatch):
    monkeypatch.setattr(traffic, "_BUSY_WAIT_S", 0.01)
    busy = iter([True, True])
    service.answer = lambda *request: (503, b'{"status":503,"detail":"full"}') if next(busy, False) else decide(*request)
    assert send(service.address, predicts("a")).accepted == 1
    assert len(service.seen) == 3


def test_a_request_that_is_refused_as_a_whole_is_an_error_with_the_reason(service):
    service.answer = lambda *_request: (413, b'{"status":413,"detail":"too large"}')
    with pytest.raises(NotAccepted, match="413 to 2 posted to /predict: too large"):
        send(service.address, predicts("a", "b"))


def test_a_pace_is_kept(service):
    service.answer = decide
    began = time.perf_counter()
    assert send(service.address, predicts(*map(str, range(400))), tps=2_000).accepted == 400
    assert 0.19 < time.perf_counter() - began < 10, "one each time that it looks would take twenty seconds"


def frame(*rows):
    return pl.DataFrame(rows, schema=["id", "at", "fraud", "label_known_at"], orient="row")


def test_a_label_is_sent_at_its_place_among_the_events():
    day = [START + timedelta(days=n) for n in range(10)]
    sent = list(
        items(
            [frame(("a", day[0], True, day[5]), ("b", day[1], False, day[2])), frame(("c", day[3], None, None))],
            id="id",
            time="at",
            label="fraud",
        )
    )
    assert [(item.path, json.loads(item.body).get("id") or json.loads(item.body)["transaction_id"]) for item in sent] == [
        ("/predict", "a"),
        ("/predict", "b"),
        ("/labels", "b"),
        ("/predict", "c"),
        ("/labels", "a"),
    ]


def test_an_event_holds_nothing_that_is_known_only_later():
    (event,) = items([frame(("a", START, True, None))], id="id", time="at", label="fraud")
    assert json.loads(event.body) == {"id": "a", "at": "2026-01-01T00:00:00Z"}


def test_informing_events_have_their_own_route():
    rows = pl.DataFrame({"id": ["l", "p"], "at": [START, START], "type": ["login", None]})
    assert [item.path for item in items([rows], id="id", time="at", label=None, informing=True)] == ["/events", "/predict"]
