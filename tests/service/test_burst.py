"""Requests that race are decided one after the other: no burst slips through, whatever its stamps."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from penstock import Detector, Engine, Entity, Policy, Rule
from penstock.config import Settings
from penstock.service import MicroBatcher, create_app

ROUNDS = 50
AT_ONCE = 10


class Payment(msgspec.Struct):
    """A payment by a customer."""

    transaction_id: str
    timestamp: datetime
    customer_id: str


customer = Entity("customer_id")

fourth_in_an_hour = Detector(
    name="burst",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[customer.count("1h")],
    models=[],
    rules=[
        Rule("fourth_in_an_hour", "customer_count_1h >= 4", then="review", reason="{customer_count_1h} payments within an hour")
    ],
    policy=Policy(on_failure="review"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("burst")


@pytest.fixture
def url(folder, serve_in_thread):
    settings = Settings()
    with serve_in_thread(
        create_app({"burst": MicroBatcher.of(Engine(fourth_in_an_hour, data=folder), settings)}, settings)
    ) as address:
        yield address


def stamps(order):
    """The event times of one burst, within two seconds, in the order in which they are sent."""
    start = datetime(2026, 2, 6, 10, tzinfo=UTC)
    found = [start + timedelta(milliseconds=200 * k) for k in range(AT_ONCE)]
    if order == "reversed":
        found.reverse()
    if order == "shuffled":
        random.Random(7).shuffle(found)
    return [start] * AT_ONCE if order == "equal" else found


async def bursts(url, order):
    """How many of each round's ten simultaneous requests, all of a new customer, were sent to review."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    reviews = []
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        for number in range(ROUNDS):
            events = [
                {"transaction_id": f"{order}-{number}-{k}", "timestamp": at.isoformat(), "customer_id": f"{order}-{number}"}
                for k, at in enumerate(stamps(order))
            ]
            answers = await asyncio.gather(*(client.post("/predict", content=json.dumps(event)) for event in events))
            reviews.append(sum(answer.json()["decision"] == "REVIEW" for answer in answers))
    return reviews


@pytest.mark.parametrize(
    "order", ["ordered", "shuffled", *(pytest.param(order, marks=pytest.mark.slow) for order in ("equal", "reversed"))]
)
def test_of_ten_payments_at_once_exactly_the_first_three_pass(url, order, run):
    assert run(bursts(url, order), seconds=300) == [AT_ONCE - 3] * ROUNDS
