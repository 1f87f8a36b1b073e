"""What is tried reaches a worker, and what breaches a guard is rolled back there, with the decisions of a single process."""

import time

import pytest

from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.governance.rules import RuleBody
from penstock.wiring.governance import open_rule_administration
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def behind(redis_url):
    found = Behind(redis_url, "crash")
    yield found
    found.close()


def test_a_rule_that_blocks_everything_is_rolled_back_by_the_worker(behind, tmp_path):
    process = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w")
    events = crash_worker.events(80_000)
    try:
        wait_until(lambda: process.owns)
        with open_rule_administration(crash_worker.detector, Settings(data=tmp_path / "w")) as office:
            office.rules.add("everything", RuleBody(when="amount > 0", then="block"), who="ann")
            office.rules.rollout("everything", 1, percent=10, share_of="customer_id", who="ann")
        sent = 0
        with open_office(tmp_path / "w") as office:
            log = AuditLog(office)
            while not [entry for entry in log.entries() if entry.who == "guard"]:
                assert sent < 60_000, "nothing was rolled back"
                behind.put("transactions", events[sent : sent + 100])
                sent += 100
                time.sleep(0.1)
            [entry] = [entry for entry in log.entries() if entry.who == "guard"]
            assert entry.action == "rule.rollback"
        wait_until(lambda: len(behind.bodies("decisions")) == sent)
        tried = {decision["versions"]["rules"] for decision in behind.read("decisions") if decision["decision"] == "BLOCK"}
        assert len(tried) == 1
        ended = sent
        while behind.read("decisions")[sent - 1]["versions"]["rules"] in tried:  # until the worker goes by what its guard did
            assert sent < ended + 1_000, "what was rolled back decides on"
            behind.put("transactions", events[sent : sent + 1])
            sent += 1
            wait_until(lambda count=sent: len(behind.bodies("decisions")) == count)
            time.sleep(0.1)
        behind.put("transactions", events[sent : sent + 500])
        wait_until(lambda: len(behind.bodies("decisions")) == sent + 500)
        decisions = [decision["decision"] for decision in behind.read("decisions")]
        assert "BLOCK" not in decisions[sent:]
    finally:
        process.end()
