"""The quarantine of an engine: bounded, beside the path, and complete as long as it is not flooded."""

import time

from tests.waiting import wait_until

from penstock import Engine
from penstock.engine import quarantine
from penstock.ledger.memory import MemoryLedger
from penstock.messages import Refusal
from penstock.testing import example_detector


def payment(number, **more):
    fields = {"transaction_id": f"t{number}", "timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0} | more
    return str(fields).replace("'", '"').encode()


def test_a_single_refused_event_is_kept_at_once(monkeypatch):
    monkeypatch.setattr(quarantine, "PAUSE_S", 600.0)  # longer than is waited for
    ledger = MemoryLedger()
    with Engine(example_detector(), ledger=ledger) as engine:
        engine.decide_json([payment(1, amount="x")])
        wait_until(lambda: ledger.tables.quarantine_count() == 1)


def test_a_flood_costs_memory_for_so_many_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(quarantine, "PAUSE_S", 600.0)  # it is a flood also where the machine is slow
    ledger = MemoryLedger()
    with Engine(example_detector(), ledger=ledger) as engine:
        large = b'{"x": "' + b"y" * 100_000 + b'"}'
        for _ in range(200):
            engine.decide_json([large] * 10)
            assert engine.quarantine.waiting_bytes <= quarantine.MOST_WAITING_BYTES + quarantine.LONGEST
            assert len(engine.quarantine.waiting) <= quarantine.MOST_WAITING
        totals = engine.totals
    assert totals.quarantined == 2000
    assert totals.quarantine_lost > 0
    assert ledger.tables.quarantine_count() == 2000 - totals.quarantine_lost
    assert all(len(event.body) <= 4096 for event in ledger.tables.quarantined(limit=5))


def test_of_each_detector_the_newest_stay_also_those_of_an_earlier_start():
    ledger = MemoryLedger()
    for start in (0, 40, 80):
        with Engine(example_detector(), ledger=ledger, quarantine_kept=50) as engine:
            for number in range(start, start + 40):
                engine.quarantine.put([(payment(number), Refusal(422, "it is refused"))])
    for _ in range(3):
        ledger.tables.trim_quarantine("another", 1)
    kept = ledger.tables.quarantined(limit=1000)
    assert len(kept) <= 55
    assert kept[0].body == payment(119)


def test_what_would_be_refused_is_told_without_a_trace():
    ledger = MemoryLedger()
    with Engine(example_detector(), ledger=ledger) as engine:
        assert engine.check_json(payment(1)) is None
        assert engine.check_json(payment(1, amount="x")).errors[0][0] == "amount"
        assert engine.check_json(b"{").status == 400
        assert engine.totals.quarantined == 0
    assert (ledger.tables.quarantine_count(), ledger.position) == (0, 0)


def test_bad_events_in_a_flood_take_no_time_from_the_one_who_sends_good_ones():
    """Keeping 500 refused events costs the caller less than a tenth of what refusing them does; of its own time on a core,
    for others may be testing on it.
    """
    with Engine(example_detector(), ledger=MemoryLedger()) as engine:
        bodies = [payment(number, amount="x") for number in range(500)]
        read = engine.reader.read(bodies, engine.clock())
        reading = keeping = float("inf")
        for _ in range(5):
            began = time.thread_time()
            engine.reader.read(bodies, engine.clock())
            reading = min(reading, time.thread_time() - began)
            began = time.thread_time()
            engine.quarantine.keep(bodies, read)
            keeping = min(keeping, time.thread_time() - began)
        assert keeping < reading / 10
