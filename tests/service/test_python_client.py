"""The Python client against a real service: decisions, lost answers, refusals, labels; and the verification of webhooks."""

import asyncio

import httpx
import pytest

from penstock.adapters.webhook import signature
from penstock.webhooks import signing
from penstock_client import AsyncClient, Client, Conflict, InvalidSignature, Refused, Unavailable, verify_webhook

EVENT = {"transaction_id": "tx1", "timestamp": "2026-02-06T10:00:00Z", "customer_id": "C1", "amount": 20.0}


class LosingAnswers(httpx.HTTPTransport):
    """Passes requests on, and loses as many answers as asked."""

    def __init__(self, lost):
        super().__init__()
        self.lost, self.sent = lost, []

    def handle_request(self, request):
        self.sent.append(request)
        response = super().handle_request(request)
        if len(self.sent) > self.lost:
            return response
        response.read()
        raise httpx.ReadTimeout("the answer was lost")


def test_a_decision_whose_answer_is_lost_is_asked_for_again_and_counted_once(real):
    transport = LosingAnswers(lost=2)
    without_id = {name: value for name, value in EVENT.items() if name != "transaction_id"}
    with Client(real, timeout_s=60, transport=transport) as client:
        decision = client.decide(without_id)
    assert (decision.decision, decision.detector, decision.features["customer_count_1h"]) == ("APPROVE", "mine", 1)
    assert len({request.content for request in transport.sent}) == 1
    assert len({request.headers["X-Request-ID"] for request in transport.sent}) == 1
    assert len(transport.sent) == 3
    recorded = httpx.get(f"{real}/transactions").json()["transactions"]
    assert [each["transaction_id"] for each in recorded] == [decision.transaction_id]


def test_statuses_labels_conflicts_and_refusals_are_typed(real):
    with Client(real, timeout_s=60) as client:
        assert client.decide(EVENT, detector="mine").transaction_id == "tx1"
        found = client.status("tx1")
        assert (found.status, found.decision, found.review) == ("processed", "APPROVE", None)
        with pytest.raises(Refused) as unknown:
            client.status("not/sent?")
        assert (unknown.value.status, unknown.value.code) == (404, "unknown_transaction")
        assert client.label("tx1", fraud=True, kind="chargeback").fraud
        with pytest.raises(Conflict) as conflict:
            client.decide(EVENT | {"amount": 999.0})
        assert conflict.value.decision.transaction_id == "tx1"
        with pytest.raises(Refused) as refused:
            client.decide(EVENT | {"transaction_id": "tx2", "amount": "much"})
        assert (refused.value.status, refused.value.code, refused.value.errors[0].field) == (422, "invalid_event", "amount")
        assert refused.value.request_id


def test_the_asynchronous_client_answers_the_same(real):
    async def work():
        async with AsyncClient(real, timeout_s=60) as client:
            both = await asyncio.gather(client.decide(EVENT), client.decide(EVENT | {"transaction_id": "tx2"}))
            await client.label("tx2", fraud=False)
            with pytest.raises(Refused, match="customer_id"):
                await client.decide({"transaction_id": "tx3", "timestamp": EVENT["timestamp"], "amount": 1.0})
            return [each.transaction_id for each in both], await client.status("tx2", wait_s=1)

    ids, status = asyncio.run(work())
    assert (ids, status.transaction_id, status.status) == (["tx1", "tx2"], "tx2", "processed")


def test_a_service_that_is_busy_is_asked_again_until_the_time_is_over():
    asked = []

    def busy(request):
        asked.append(request)
        return httpx.Response(503, headers={"Retry-After": "0"}, json={"detail": "the queue is full", "code": "queue_full"})

    with (
        Client("http://service", timeout_s=0.2, transport=httpx.MockTransport(busy)) as client,
        pytest.raises(Unavailable, match=r"no answer within 0\.2 s and \d+ attempts: 503 the queue is full"),
    ):
        client.decide(EVENT)
    assert len(asked) > 1


@pytest.mark.parametrize(("pause", "timeout_s"), [("3600", 60), ("1", 0.9)])
def test_a_client_gives_up_at_once_and_says_so_where_the_service_wants_a_pause_beyond_its_time(pause, timeout_s):
    asked = []
    waits = httpx.MockTransport(lambda request: asked.append(request) or httpx.Response(503, headers={"Retry-After": pause}))
    with Client("http://service", timeout_s=timeout_s, transport=waits) as client, pytest.raises(Unavailable) as unavailable:
        client.status("tx1")
    assert len(asked) == 1
    told = f"given up after 1 attempt: the next is asked for in {pause} s, not within {timeout_s} s: 503"
    assert str(unavailable.value) == told


def test_a_decision_is_asked_for_without_its_explanation_and_strictly(real):
    with Client(real, timeout_s=60) as client:
        short = client.decide(EVENT | {"amout": 1.0}, explain=False)
        assert (short.decision, short.features, short.explanation.reasons) == ("APPROVE", {}, [])
        with pytest.raises(Refused) as refused:
            client.decide(EVENT | {"amout": 1.0}, strict=True)
        assert (refused.value.status, refused.value.errors[0].field) == (422, "amout")


def test_webhooks_are_verified_as_they_are_signed():
    body = b'{"key": "a"}'
    headers = {"Penstock-Timestamp": "1000", "PENSTOCK-SIGNATURE": signature("secret", "1000", body)}
    verify_webhook("secret", headers, body, now_s=1200)
    for secret, given, received, now_s in (
        ("other", headers, body, 1000),
        ("secret", headers, body + b" ", 1000),
        ("secret", headers, body, 1301),
        ("secret", headers, body, 699),
        ("secret", headers | {"Penstock-Timestamp": "1001"}, body, 1000),
        ("secret", {}, body, 1000),
        ("secret", {"Penstock-Timestamp": "\N{SUPERSCRIPT TWO}"}, body, 1000),
        ("secret", {"Penstock-Timestamp": "1000", "Penstock-Signature": "\N{SNOWMAN}"}, body, 1000),
    ):
        with pytest.raises(InvalidSignature):
            verify_webhook(secret, given, received, now_s=now_s)


def test_standard_webhooks_are_verified_also_while_the_secret_is_replaced():
    body, old, new = b'{"key": "a"}', signing.new_secret(), signing.new_secret()
    headers = signing.headers([new, old], "evt_1", 1000, body)
    for secret in (old, new, [old, new], ["other", new]):
        verify_webhook(secret, {name.upper(): value for name, value in headers.items()}, body, now_s=1200)
    verify_webhook("plain", signing.headers(["plain"], "evt_1", 1000, body), body, now_s=1000)
    for secret, given, received, now_s in (
        ("other", headers, body, 1000),
        ([], headers, body, 1000),
        (new, headers, body + b" ", 1000),
        (new, headers, body, 1301),
        (new, headers, body, 699),
        (new, headers | {"webhook-timestamp": "1001"}, body, 1000),
        (new, headers | {"webhook-id": "evt_2"}, body, 1000),
        (new, headers | {"webhook-signature": "v1, v2,abc ☃"}, body, 1000),
        (
            "old",
            {"Penstock-Timestamp": "1000", "Penstock-Signature": signature("old", "1000", body), "webhook-signature": ""},
            body,
            1000,
        ),
    ):
        with pytest.raises(InvalidSignature):
            verify_webhook(secret, given, received, now_s=now_s)
