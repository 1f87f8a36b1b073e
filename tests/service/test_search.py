"""One search over transactions, keys, cases, rules, lists and features."""

import json
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.cases.case import NewCase, case_id
from penstock.cases.store import Cases
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.messages import NamedField
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts


class Sale(msgspec.Struct):
    """A customer pays a shop with a card."""

    id: str
    at: datetime
    customer: str
    shop: str
    amount: float
    card: str | None = None


detector = Detector(
    name="sales",
    event=Sale,
    id="id",
    time="at",
    features=[Entity("customer").count("1h"), Entity("card").count("1h"), Entity("customer", "shop").count("1d")],
    rules=[Rule("large_amount", "amount > 100", then="review", reason="{amount:.0f} is much")],
    policy=Policy(on_failure="review"),
    headline=("customer", "shop"),
    currency="EUR",
    personal=["card"],
    words={"customer_count_1h": "{count} payment(s) by the customer within an hour"},
)
NOW = datetime.now(UTC).isoformat()
EVENTS = [
    {"id": f"s{n}", "at": NOW, "customer": f"C{n}", "shop": ("Cinema", "Bakery North")[n % 2], "amount": 10.5 * n}
    for n in range(12)
]


@pytest.fixture(scope="module")
def cases():
    cases = Cases(SqliteDatabase())
    named = (NamedField("customer", "C11", "payer", "customer"), NamedField("shop", "Bakery North", "payee", None))
    about = {"origin": "review", "propensity": 1.0, "decision": "REVIEW", "score": None, "amount": 115.5, "currency": "EUR"}
    new = NewCase(
        detector="sales", transaction_id="s11", expected_loss=1.0, reason="116 is much", event_us=0, named=named, **about
    )
    cases.follow("log", 1, [new])
    return cases


@pytest.fixture
def find(run, cases):
    """The hits of each search, as (kind, id)."""

    def search(*texts):
        async def scene():
            with Engine(detector) as engine:
                app = create_app({"sales": MicroBatcher.of(engine, Settings())}, Settings(), ServiceParts(cases=cases))
                transport = httpx.ASGITransport(app=app)
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                    for event in EVENTS:
                        assert (await client.post("/predict", content=json.dumps(event))).status_code == 200
                    answers = [(await client.get("/search", params={"q": text})).json() for text in texts]
                    return [[(hit["kind"], hit["id"]) for hit in answer["hits"]] for answer in answers]

        return run(scene())

    return search


def test_an_id_finds_its_transaction_first_and_its_case(find):
    [hits] = find("s11")
    assert hits == [("transaction", "s11"), ("case", case_id("sales", "s11"))]


def test_a_key_finds_its_page_and_a_part_of_one_the_newest_transactions(find):
    exact, part = find("C3", "bakery")
    assert exact[0] == ("entity", "C3")
    assert ("transaction", "s3") in exact
    assert [hit for hit in part if hit[0] == "transaction"] == [("transaction", f"s{n}") for n in (11, 9, 7, 5, 3, 1)]


def test_an_amount_finds_what_is_worth_it_however_it_is_written(find):
    plain, euros = find("31.5", "€31.50")
    assert plain == euros == [("transaction", "s3")]


def test_words_find_features_and_reasons_find_cases(find):
    words, reason = find("payments by the customer", "is much")
    assert words == [("feature", "customer_count_1h")]
    assert ("case", case_id("sales", "s11")) in reason


def test_what_nothing_contains_finds_nothing_and_signs_of_sql_are_text(find):
    assert find("nobody-has-this", "%", "' OR 1=1", "   ") == [[], [], [], []]
