"""Decisions in one line each: what names the event, what was decided, the first reason; without features."""

import json
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.errors import DeclarationError
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.service.live.stream import Live


class Sale(msgspec.Struct):
    """A customer pays a shop."""

    id: str
    at: datetime
    customer: str
    shop: int
    amount: float
    money: str | None = None
    channel: str | None = None


NOW = datetime.now(UTC).isoformat()


def detector(**more):
    return Detector(
        name="sales",
        event=Sale,
        id="id",
        time="at",
        features=[Entity("customer").count("1h"), Entity("shop").count("1h"), Entity("customer", "shop").count("1d")],
        rules=[Rule("large", "amount > 100", then="review", reason="{amount:.0f} is much")],
        policy=Policy(on_failure="review"),
        **more,
    )


def sale(number, amount=12.5, **more):
    event = {"id": f"s{number}", "at": NOW, "customer": "C1", "shop": 7, "amount": amount, **more}
    return json.dumps(event).encode()


@pytest.fixture
def ask(run):
    """Decides sales of a detector, then asks its service; the answers."""

    def send(served, events, *paths):
        async def scene():
            with Engine(served) as engine:
                app = create_app({"sales": MicroBatcher.of(engine, Settings())}, Settings())
                transport = httpx.ASGITransport(app=app)
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                    for event in events:
                        assert (await client.post("/predict", content=event)).status_code == 200
                    return [(await client.get(path)).json() for path in paths]

        return run(scene())

    return send


def test_a_line_says_amount_currency_who_pays_whom_and_why(ask):
    served = detector(headline=("customer", "shop", "channel"), currency="EUR")
    [page] = ask(served, [sale(1), sale(2, 300.0, channel="web")], "/summaries")
    newest = page["transactions"][0]
    assert (newest["transaction_id"], newest["decision"], newest["reason"]) == ("s2", "REVIEW", "300 is much")
    assert (newest["amount"], newest["currency"]) == (300.0, "EUR")
    assert [(each["field"], each["value"], each["role"], each["entity"]) for each in newest["named"]] == [
        ("customer", "C1", "payer", "customer"),
        ("shop", "7", "payee", "shop"),
        ("channel", "web", "detail", None),
    ]
    assert [each["role"] for each in page["transactions"][1]["named"]] == ["payer", "payee"]  # without what it does not say
    assert "features" not in newest


def test_the_lines_are_filtered_and_paged_as_the_list_is(ask):
    events = [sale(number, 300.0 if number % 2 else 10.0) for number in range(6)]
    whole, lean, first = ask(
        detector(), events, "/transactions?decision=review", "/summaries?decision=review", "/summaries?limit=2"
    )
    ids = [[each["transaction_id"] for each in page["transactions"]] for page in (whole, lean)]
    assert ids[0] == ids[1] == ["s5", "s3", "s1"]
    assert len(first["transactions"]) == 2
    assert first["next"] is not None


def test_without_a_headline_the_first_two_keys_name_an_event(ask):
    [page] = ask(detector(), [sale(1)], "/summaries")
    assert [each["field"] for each in page["transactions"][0]["named"]] == ["customer", "shop"]
    assert page["transactions"][0]["currency"] is None


def test_a_currency_can_be_a_field_and_nobody_need_be_paid(ask):
    [page] = ask(detector(headline=("customer", None, "shop"), currency="money"), [sale(1, money="SEK")], "/summaries")
    line = page["transactions"][0]
    assert line["currency"] == "SEK"
    assert [each["role"] for each in line["named"]] == ["payer", "detail"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"headline": ("custmer",)}, "headline names 'custmer', which is not a field of Sale. Did you mean customer?"),
        ({"currency": "euro"}, "currency='euro' is neither a code of three capitals, such as 'EUR', nor a text field of Sale"),
    ],
)
def test_a_headline_or_currency_that_is_no_field_is_refused(more, said):
    with pytest.raises(DeclarationError) as refused:
        detector(**more)
    assert said in str(refused.value)


def test_the_live_stream_can_be_of_lines(run):
    async def scene():
        with Engine(detector()) as engine:
            batcher = MicroBatcher.of(engine, Settings())
            await batcher.decide([sale(1), sale(2, 300.0)])
            live = Live({"sales": batcher})
            whole = json.loads(await anext(live.messages()))
            lean = json.loads(await anext(live.messages(summary=True)))
            return whole["decisions"], lean["decisions"]

    whole, lean = run(scene())
    assert [each["transaction_id"] for each in lean] == [each["transaction_id"] for each in whole] == ["s1", "s2"]
    assert all("features" in each for each in whole)
    assert [each["named"][0]["value"] for each in lean] == ["C1", "C1"]
    assert not any("features" in each for each in lean)


def test_a_case_is_opened_by_hand_once_with_a_note(run):
    async def scene():
        cases = Cases(SqliteDatabase())
        with Engine(detector(headline=("customer", "shop"), currency="EUR")) as engine:
            app = create_app({"sales": MicroBatcher.of(engine, Settings())}, Settings(), ServiceParts(cases=cases))
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                await client.post("/predict", content=sale(1))
                opened = await client.post("/cases", json={"transaction_id": "s1", "note": "odd"})
                again = await client.post("/cases", json={"transaction_id": "s1", "note": "still odd"})
                unknown = await client.post("/cases", json={"transaction_id": "nope"})
                around = (await client.get("/context/s1")).json()
        return opened.json(), again.json(), unknown.status_code, around, cases

    opened, again, unknown, around, cases = run(scene())
    assert (opened["origin"], opened["queue"], opened["decision"], opened["currency"]) == ("manual", "review", "APPROVE", "EUR")
    assert opened["id"] == again["id"] == around["case"]["id"]
    assert [(each.action, each.details.get("text")) for each in cases.history(opened["id"])] == [
        ("open", None),
        ("note", "odd"),
        ("note", "still odd"),
    ]
    assert unknown == 404
    assert (around["amount"], around["currency"], [each["value"] for each in around["named"]]) == (12.5, "EUR", ["C1", "7"])
