"""Records are rendered without an engine to the same bytes."""

import msgspec
from tests.integration.crash_worker import detector, events

from penstock import Engine
from penstock.engine.record_reader import RecordReader


def test_decisions_read_without_an_engine_are_those_that_were_answered(tmp_path):
    with Engine(detector, data=tmp_path) as engine:
        bodies = [msgspec.json.encode(event) for event in events(300)]
        answered = [body for start in range(0, 300, 50) for body in engine.decide_json(bodies[start : start + 50])]
        engine.ledger.flush()
        reader = RecordReader("crash", engine.ledger, lambda: engine.queries.columns, lambda: detector.plan.features)
        decided = [record for _, record in engine.ledger.read(kinds=("decisions",))]
        assert [body for record in decided for body in reader.render(record, range(len(record)))] == answered
        assert any(b"customer_count_1h" in body and b"REVIEW" in body for body in answered)
        for record in decided:
            assert reader.names_in(record) == engine.queries.columns
            assert (reader.numbers(record, "amount") == engine.queries.numbers(record, "amount")).all()
            assert reader.numbers(record, "nothing") is None
