"""JSON bytes in, decision JSON bytes out: features, 200-tree XGBoost and LR, 10 rules, micro-batches of 256.

About one event in a hundred is not approved and explained. In memory on one thread, and durable in the ledger on disk,
where a second thread writes.
"""

import tempfile
import threading

import msgspec
from _report import Row, best_of, main
from _workload import scoring_detector, stream, trained

from penstock import Engine

BATCH = 256


def bodies_of(frame) -> list[bytes]:
    """Events as clients send them."""
    encode = msgspec.json.Encoder().encode
    return [encode(row) for row in frame.iter_rows(named=True)]


def _decide(engine, bodies) -> int:
    """Every batch; returns how many were not approved. Waits until all of it is durable."""
    stopped = 0
    done = threading.Semaphore(0)
    batches = 0
    for start in range(0, len(bodies), BATCH):
        answers = engine.decide_json(bodies[start : start + BATCH], on_durable=lambda _error: done.release())
        stopped += sum(b'"decision":"APPROVE"' not in answer for answer in answers)
        batches += 1
    for _ in range(batches):
        done.acquire()
    return stopped


def run(quick: bool) -> list[Row]:
    n = 50_000 if quick else 300_000
    declared = scoring_detector()
    frame = stream(n)
    ensemble = trained(declared, stream(40_000, seed=5))
    bodies = bodies_of(frame)
    with Engine(declared, models=ensemble) as engine:
        _decide(engine, bodies[:50_000])  # so that all compiled code is at hand, that of growing tables too
    shares, rates = [], []

    def in_memory() -> None:
        with Engine(declared, models=ensemble) as engine:
            seconds = best_of(1, lambda: shares.append(_decide(engine, bodies) / n))
            rates.append(n / seconds)

    def on_disk() -> float:
        with tempfile.TemporaryDirectory() as folder, Engine(declared, models=ensemble, data=folder) as engine:
            return n / best_of(1, lambda: _decide(engine, bodies))

    for _ in range(1 if quick else 3):
        in_memory()
    durable = max(on_disk() for _ in range(1 if quick else 3))
    return [
        Row.at_least("path, in memory", max(rates), "events/s", 150_000),
        Row.at_least("path, durable", durable, "events/s", 120_000),
        Row.figure("not approved and explained", 100 * shares[0], "%"),
    ]


if __name__ == "__main__":
    main(run)
