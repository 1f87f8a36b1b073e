"""docs/recipes/device-abuse.md: what is there after its last command."""

import json

import httpx
import pytest
from redis import Redis
from tests.pages import WITHIN_S
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(params=["simulated", pytest.param("recorded", marks=pytest.mark.data)])
def files(request):
    """The public file, where it is to be read; the page simulates one without it."""
    return [] if request.param == "simulated" else [request.getfixturevalue("recorded") / "Fraud_Data.csv"]


def test_purchases_are_decided_over_redis_streams(follow, files):
    page = follow("recipes/device-abuse", "redis", files=files)
    purchases = len((page.shell.folder / "Fraud_Data.csv").read_text().splitlines()) - 1
    replayed = len(json.loads(page.output_of(r"curl .*/stream"))["transaction_ids"])
    client = Redis.from_url(page.servers["redis"].url)
    wait_until(lambda: client.xlen("decisions") == purchases + replayed + 3, WITHIN_S)
    assert client.xrange("quarantine") == []
    assert client.hget("penstock:ecommerce:device:FARM", "device_users_24h") == b"3"
    [model] = json.loads(page.shell.run("penstock models list --json"))
    assert model["aliases"] == ["champion"]
    results = httpx.get(f"{page.url}/get", params={"k": 1000}, timeout=60).json()
    assert {result["predicted_class"] for result in results} == {0, 1}
    for port in ("8501", "3000"):
        assert httpx.get(f"http://localhost:{page.ports[port]}/", timeout=60).status_code == 200
