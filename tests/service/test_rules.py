"""A changed rule decides within a second, all of it at once, and no request in between fails.

How soon is measured on a machine of its own by `benchmarks/change.py`; here others may be testing on the same cores.
"""

import threading
import time

import pytest
from tests.service import patient
from tests.waiting import wait_until

from penstock import Engine
from penstock.config import Settings
from penstock.database import open_office
from penstock.engine.following import RULES_EVERY_S
from penstock.errors import DeclarationError
from penstock.governance.administration import newer_rules
from penstock.governance.rules import RuleBody
from penstock.governance.stored_detector import rule_store
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts


@pytest.fixture
def served(mine, tmp_path, serve_in_thread):
    """The address of a service, and the book of its rules."""
    settings = Settings(data=tmp_path)
    with open_office(tmp_path) as office:
        batcher = MicroBatcher.of(Engine(mine, data=tmp_path), settings)
        newer, looks = newer_rules(office, [mine])["mine"], []

        def look(revision):
            began = time.monotonic()
            found = newer(revision)
            looks.append((began, found is not None))
            return found

        app = create_app({"mine": batcher}, settings, ServiceParts(rules={"mine": look}))
        with serve_in_thread(app) as address:
            yield address, rule_store(office, mine), looks  # when each began, and whether it found something


def asked(client, url, number, amount=50.0):
    payment = {
        "transaction_id": f"t{number}",
        "timestamp": "2026-01-05T10:00:00Z",
        "customer_id": f"c{number}",
        "amount": amount,
    }
    answer = client.post(f"{url}/predict", json=payment)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_change_is_in_force_within_a_second_under_load(served):
    url, book, looks = served
    seen, ending = [], threading.Event()  # when it was asked, when answered, the answer

    def load(first):
        with patient.Client() as client:
            number = first
            while not ending.is_set():
                began = time.monotonic()
                decision = asked(client, url, number)
                seen.append((began, time.monotonic(), decision))
                number += 1

    def blocks():
        return [(began, answered) for began, answered, decision in tuple(seen) if decision["decision"] == "BLOCK"]

    threads = [threading.Thread(target=load, args=(first,)) for first in (0, 1_000_000)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(seen) > 50)
        book.add("any", RuleBody(when="amount > 1", then="block"), who="ann")
        book.promote("any", 1, who="ann")
        changed = time.monotonic()
        wait_until(lambda: len(blocks()) > 50)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    in_force = min(answered for _, answered in blocks())
    assert in_force - changed < 20
    first_after = next((number for number, (at, _) in enumerate(looks) if at > changed), len(looks))
    assert not any(found for _, found in looks[first_after + 1 :]), "the first look after the change finds it"
    assert RULES_EVERY_S < 0.5, "and there are more than two looks a second"
    assert len({(decision["versions"]["rules"], decision["decision"]) for *_, decision in seen}) == 2
    assert all(decision["decision"] == "BLOCK" for began, _, decision in seen if began > in_force)


def test_a_rule_that_watches_changes_no_decision_and_is_recorded(served, mine):
    url, book, _ = served
    before = book.revision()
    with patient.Client() as client:
        version = asked(client, url, 0)["versions"]["rules"]
        book.add("any", RuleBody(when="amount > 1", then="block"), who="ann")
        book.shadow("any", 1, who="ann")
        assert book.revision() > before
        end = time.monotonic() + 60
        decision = asked(client, url, 1)
        while decision["versions"]["rules"] == version and time.monotonic() < end:
            decision = asked(client, url, 100 + int(1000 * time.monotonic()))
    assert decision["versions"]["rules"] != version
    assert decision["decision"] == "APPROVE"


def test_a_rule_that_cannot_work_is_refused_with_the_remedy(served):
    _, book, _ = served
    with pytest.raises(DeclarationError, match="Did you mean amount"):
        book.add("large", RuleBody(when="amuont > 1"), who="ann")
    assert all(version.name != "large" for version in book.versions())
