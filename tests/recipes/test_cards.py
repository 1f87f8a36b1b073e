"""docs/recipes/cards.md: what is there after its last command."""

import json

import httpx
import psycopg
import pytest
from tests.pages import WITHIN_S
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.repeats]  # of what two other recipes show of the commands


def test_card_payments_are_decided_over_kafka_and_kept_in_postgres(follow):
    page = follow("recipes/cards", "kafka", "redis", "postgres")
    url = page.servers["postgres"].url
    fraud = httpx.get(f"{page.url}/transactions/night-1", timeout=60).json()
    assert (fraud["prediction"], fraud["degraded"]) == ("FRAUD", None)
    assert fraud["explanation"]["reasons"]
    with psycopg.connect(url, autocommit=True) as connection:
        asked = "SELECT transaction_id, decision FROM penstock.decisions_card WHERE transaction_id LIKE 'n%-1'"
        assert wait_until(lambda: dict(connection.execute(asked)) == {"night-1": "BLOCK", "noon-1": "APPROVE"}, WITHIN_S)
        assert wait_until(lambda: connection.execute("SELECT count(*) FROM penstock.decisions").fetchone()[0] > 100, WITHIN_S)
    counted = "penstock query --json 'SELECT count(versions_challenger) AS scored_by_both FROM card'"

    def scored_by_both() -> int:
        """0 also before the first, when the ledger has no such column."""
        answer = page.shell.attempt(counted)
        return 0 if answer.returncode else int(json.loads(answer.stdout)[0]["scored_by_both"])

    assert wait_until(scored_by_both, WITHIN_S)
    versions = json.loads(page.shell.run("penstock models list --json"))
    assert sorted(len(version["aliases"]) for version in versions) == [1, 1]
    for port in ("5000", "8501"):
        assert httpx.get(f"http://127.0.0.1:{page.ports[port]}/", timeout=60).status_code == 200
