"""One decision in process, without a data folder: `Engine.decide` with LR + XGBoost and 10 rules."""

import time

from _report import Row, main, percentile
from _workload import scoring_detector, stream, trained

from penstock import Engine


def run(quick: bool) -> list[Row]:
    n = 5_000 if quick else 50_000
    declared = scoring_detector()
    engine = Engine(declared, models=trained(declared, stream(40_000, seed=5)))
    events = stream(n + 1000).to_dicts()
    for event in events[:1000]:
        engine.decide(event)
    plain, explained = [], []
    for event in events[1000:]:
        start = time.perf_counter_ns()
        decision = engine.decide(event)
        took = (time.perf_counter_ns() - start) / 1000
        (plain if decision.decision == "APPROVE" else explained).append(took)
    return [
        Row.at_most("one decision, p50", percentile(plain, 50), "us", 60),
        Row.at_most("one decision, p99", percentile(plain, 99), "us", 200),
        Row.at_most("one explained decision, p50", percentile(explained, 50), "us", 600),
    ]


if __name__ == "__main__":
    main(run)
