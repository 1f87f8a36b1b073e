"""docs/recipes/mobile-money.md: what is in each store after its last command."""

import json

import httpx
import psycopg
import pytest
from redis import Redis
from tests.pages import WITHIN_S
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

DECIDED = {"demo1": "...", "demo2": "BLOCK", "demo3": "APPROVE"}


def test_mobile_money_is_decided_over_kafka_and_kept_in_three_stores(follow):
    page = follow("recipes/mobile-money", "kafka", "redis", "postgres", "s3")

    statuses = {name: httpx.get(f"{page.url}/transaction/{name}/status", timeout=60).json() for name in DECIDED}
    decided = {name: status["decision"] for name, status in statuses.items()}
    assert (decided["demo2"], decided["demo3"]) == ("BLOCK", "APPROVE")
    score = statuses["demo1"]["fraud_probability"]
    assert decided["demo1"] == ("BLOCK" if score >= 0.8 else "REVIEW" if score >= 0.5 else "APPROVE")
    [refused] = httpx.get(f"{page.url}/quarantine", timeout=60).json()["events"]
    assert (refused["detector"], refused["state"]) == ("mobile_money", "waiting")
    assert refused["cause"]

    with psycopg.connect(page.servers["postgres"].url, autocommit=True) as connection:
        asked = "SELECT transaction_id, decision FROM penstock.decisions_mobile_money WHERE transaction_id LIKE 'demo_'"
        assert wait_until(lambda: dict(connection.execute(asked).fetchall()), WITHIN_S) == decided
    latest = Redis.from_url(page.servers["redis"].url)
    found = {name: json.loads(latest.get(f"penstock:mobile_money:decision:{name}")) for name in decided}
    assert {name: each["decision"] for name, each in found.items()} == decided
    objects = page.servers["s3"].folder / "data"
    for name, decision in decided.items():
        [path] = wait_until(lambda name=name: list(objects.rglob(f"detector=mobile_money/*/*/json/{name}.json")), WITHIN_S)
        assert json.loads(path.read_bytes())["decision"] == decision

    [report] = json.loads(page.output_of("penstock report daily"))["reports"]
    counts = {name: report["figures"][name]["day"] for name in ("decisions", "approve", "challenge", "review", "block")}
    assert counts.pop("decisions") == sum(counts.values()) > 500
    [model] = json.loads(page.shell.run("penstock models list --models penstock-data/models --json"))
    assert (model["detector"], model["aliases"]) == ("mobile_money", ["champion"])
