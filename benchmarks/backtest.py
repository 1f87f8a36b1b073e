"""A backtest replay of simulated events with features, models and rules: 10 million within a minute."""

import time

from _report import Row, main
from _workload import scoring_detector, stream, trained

from penstock.offline.datasets import read
from penstock.offline.replay import Replay

PART = 500_000


def run(quick: bool) -> list[Row]:
    n = 300_000 if quick else 10_000_000
    declared = scoring_detector()
    ensemble = trained(declared, stream(40_000, seed=5))
    replay = Replay(declared, ensemble)
    for _ in replay.chunks(read(stream(2000, seed=9), declared)):
        pass
    replay = Replay(declared, ensemble)
    seconds, decided = 0.0, 0
    days = 30
    for part in range(max(1, n // PART)):  # simulated in parts, so that memory holds; the state goes on
        frame = stream(min(PART, n), days=days, seed=part)
        frame = frame.with_columns(frame["transaction_id"] + f"-{part}", frame["timestamp"].dt.offset_by(f"{part * days}d"))
        start = time.perf_counter()
        for chunk in replay.chunks(read(frame, declared)):
            decided += len(chunk.batch)
        seconds += time.perf_counter() - start
    scaled = seconds * 10_000_000 / decided
    return [
        Row.at_most("backtest of 10 M events" + (" (scaled)" if quick else ""), scaled, "s", 60),
        Row.figure("events decided", decided / seconds, "events/s"),
    ]


if __name__ == "__main__":
    main(run)
