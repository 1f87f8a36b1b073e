"""What alerts cost per decision: default rules and bursts by entity, over records of 256, beside a consumer of decision JSON.

The reference decodes every decision and evaluates four such rules in Python, one decision at a time, windows in deques.
"""

from collections import deque
from pathlib import Path

import msgspec
from _report import Row, best_of, main
from _workload import scoring_detector, stream, trained

from penstock import Engine
from penstock.alerts import DEFAULTS, Evaluator, read_alerts, rule_of
from penstock.ledger import MemoryLedger

BATCH = 256
BY_ENTITY = rule_of({"name": "pace", "kind": "burst", "per": "customer_id", "more_than": 5})


class Told(msgspec.Struct):
    """What the reference reads of a decision."""

    event_time: str
    decision: str
    fraud_probability: float | None
    features: dict


def one_at_a_time(bodies) -> int:
    """Four rules, one decision at a time."""
    decode, found = msgspec.json.Decoder(Told).decode, 0
    blocks, every, reviews = deque(), deque(), deque()
    for body in bodies:
        told = decode(body)
        at = told.event_time
        found += told.fraud_probability is not None and told.fraud_probability >= 0.99
        if told.decision == "BLOCK":
            blocks.append(at)
            found += len(blocks) > 30 and blocks[-31] > at[:14]
        every.append(at)
        if told.decision == "REVIEW":
            reviews.append(at)
        if len(every) > 100_000:
            every.popleft()
        found += len(reviews) > 30 and len(reviews) / len(every) > 0.5
    return found


def run(quick: bool) -> list[Row]:
    n = 20_000 if quick else 100_000
    declared, ledger = scoring_detector(), MemoryLedger()
    frame = stream(n, days=1)
    bodies = []
    with Engine(declared, models=trained(declared, stream(40_000, seed=5)), ledger=ledger) as engine:
        encode = msgspec.json.Encoder().encode
        events = [encode(row) for row in frame.iter_rows(named=True)]
        for start in range(0, n, BATCH):
            bodies += engine.decide_json(events[start : start + BATCH])
    records = [record for _, record in ledger.read()]
    rules = read_alerts(Path(DEFAULTS)).rules

    def cost_us(*further) -> float:
        def evaluate() -> None:
            evaluator = Evaluator(declared, [*rules, *further], ledger.layouts)
            for record in records:
                evaluator.evaluate(record)

        return 1e6 * best_of(5, evaluate) / n

    reference_us = 1e6 * best_of(3, lambda: one_at_a_time(bodies)) / n
    defaults_us = cost_us()
    return [
        Row.shorter("alerts, default rules", defaults_us, "us/event", "decision JSON, one at a time", reference_us, target=3),
        Row.at_most("alerts, default rules", defaults_us, "us/event", 2),
        Row.figure("alerts, and a burst by entity over every event", cost_us(BY_ENTITY), "us/event"),
    ]


if __name__ == "__main__":
    main(run)
