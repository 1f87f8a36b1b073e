"""`replay()` from frame to frame, keys as texts and all, beside the plain Python deques on the same columns."""

from _report import Row, best_of, main
from _workload import columns, detector, stream, with_deques

from penstock import replay


def run(quick: bool) -> list[Row]:
    n = 100_000 if quick else 500_000
    frame = stream(n, days=30 * n // 500_000)
    declared = detector()
    replay(declared, frame.head(1000))
    deques = n / best_of(2, lambda: with_deques(*columns(frame)))
    ours = n / best_of(3, lambda: replay(declared, frame))
    return [Row.faster("replay, frame to frame", ours, "events/s", "python deques", deques, target=12)]


if __name__ == "__main__":
    main(run)
