"""A changed rule decides within a second, all of it at once, and no request in between fails."""

import threading
import time

import httpx
import pytest

from penstock import Engine
from penstock.assemble.rulebooks import book_of, newer_rules
from penstock.config import Settings
from penstock.errors import DeclarationError
from penstock.office import open_office
from penstock.office.rule_versions import Body
from penstock.service import Desk, create_app


@pytest.fixture
def served(mine, tmp_path, serve_in_thread):
    """The address of a service, and the book of its rules."""
    settings = Settings(data=tmp_path)
    with open_office(tmp_path) as office:
        desk = Desk.of(Engine(mine, data=tmp_path), settings)
        app = create_app({"mine": desk}, settings, rules=newer_rules(office, [mine]))
        with serve_in_thread(app) as address:
            yield address, book_of(office, mine)


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
    url, book = served
    seen, ending = [], threading.Event()

    def load(first):
        with httpx.Client() as client:
            number = first
            while not ending.is_set():
                seen.append((time.monotonic(), asked(client, url, number)))
                number += 1

    threads = [threading.Thread(target=load, args=(first,)) for first in (0, 1_000_000)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    book.add("any", Body(when="amount > 1", then="block"), who="ann")
    book.promote("any", 1, who="ann")
    changed = time.monotonic()
    time.sleep(1.5)
    ending.set()
    for thread in threads:
        thread.join()
    first_block = min(at for at, decision in seen if decision["decision"] == "BLOCK")
    assert first_block - changed < 1.0
    assert len({(decision["versions"]["rules"], decision["decision"]) for _, decision in seen}) == 2
    assert all(decision["decision"] == "BLOCK" for at, decision in seen if at > first_block + 0.5)


def test_a_rule_that_watches_changes_no_decision_and_is_recorded(served, mine):
    url, book = served
    before = book.revision()
    with httpx.Client(timeout=60) as client:
        version = asked(client, url, 0)["versions"]["rules"]
        book.add("any", Body(when="amount > 1", then="block"), who="ann")
        book.shadow("any", 1, who="ann")
        assert book.revision() > before
        end = time.monotonic() + 60
        decision = asked(client, url, 1)
        while decision["versions"]["rules"] == version and time.monotonic() < end:
            decision = asked(client, url, 100 + int(1000 * time.monotonic()))
    assert decision["versions"]["rules"] != version
    assert decision["decision"] == "APPROVE"


def test_a_rule_that_cannot_work_is_refused_with_the_remedy(served):
    _, book = served
    with pytest.raises(DeclarationError, match="Did you mean amount"):
        book.add("large", Body(when="amuont > 1"), who="ann")
    assert all(version.name != "large" for version in book.versions())
