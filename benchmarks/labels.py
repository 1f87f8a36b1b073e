"""Labels on a stream: decisions a second of a worker, with and without a label for every event.

The same worker in turns, on Redis Streams and on Kafka, with features over labels: events alone, then events and a label for
each. A label is sent when the broker has its event, as a label of an event that has happened is. The time runs until
everything that was sent is decided, labelled and committed; a label that is refused fails the run. A label costs about what an
event costs, so half the speed is what to expect at least.

    python benchmarks/labels.py [--quick] [--json]
"""

import contextlib
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from _report import Row, main
from _servers import Kafka, Redis
from stream import Process, worker_process

from penstock.errors import BrokerError
from penstock.wiring.streams import open_broker
from service import prepare

LABELLED = str(Path(__file__).parent / "_labelled.py")
AT_ONCE = 1_000
"""So many events are sent before their labels."""
LATER = timedelta(hours=1)
"""So long after its event a label becomes known."""


def run(quick: bool) -> list[Row]:
    """One broker after the other."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        folder = Path(name)
        bodies = [(body, _label(body)) for body in prepare(folder, events=50_000)]
        for kind in (Redis, Kafka):
            if kind.missing():
                rows.append(Row.absent(f"{kind.name}, a label for every event", "events/s", str(kind.missing())))
                continue
            with kind() as server, worker_process(folder, _url(server), LABELLED, f"worker-{kind.name}") as process:
                rows.append(_compare(kind.name, _url(server), process, bodies, quick=quick))
    return rows


def _url(server: Any) -> str:
    return f"{server.url}/labels" if isinstance(server, Kafka) else f"{server.url}?prefix=labels."


def _compare(name: str, url: str, process: Process, bodies: list[tuple[bytes, bytes]], *, quick: bool) -> Row:
    events, turns = (8_000, 2) if quick else (50_000, 5)
    batched = f"{url}?linger.ms=5" if url.startswith("kafka") else url
    with contextlib.closing(open_broker(batched, "benchmark").outlet()) as outlet:
        _rate(outlet, process, bodies, 0, 2_000, labelled=True)
        alone, labelled = [], []
        for turn in range(turns):
            first = 2_000 + 2 * turn * events
            alone.append(_rate(outlet, process, bodies, first, events, labelled=False))
            labelled.append(_rate(outlet, process, bodies, first + events, events, labelled=True))
    title = f"{name}, a label for every event ({min(labelled):,.0f} to {max(labelled):,.0f})"
    without = f"without labels ({min(alone):,.0f} to {max(alone):,.0f})"
    return Row.faster(title, median(labelled), "events/s", without, median(alone), target=0.5)


def _rate(outlet: Any, process: Process, bodies: list[tuple[bytes, bytes]], first: int, count: int, *, labelled: bool) -> float:
    """Events a second, from the first that is sent until everything sent has been taken in."""
    before, began = process.status()["events"], time.perf_counter()
    for start in range(first, first + count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, first + count))
        for number in numbers:
            _put(outlet, "transactions", b'{"transaction_id":"b%d",' % number + bodies[number % len(bodies)][0])
        if labelled:
            outlet.flush(60)
            for number in numbers:
                _put(outlet, "labels", b'{"transaction_id":"b%d",' % number + bodies[number % len(bodies)][1])
    outlet.flush(60)
    process.wait_until(lambda now: now["events"] - before >= count * (1 + labelled), 600, every_s=0.02)
    taken_s = time.perf_counter() - began
    if refused := process.metric("penstock_quarantined_total"):
        raise SystemExit(f"{refused:,.0f} messages were refused")
    return count / taken_s


def _label(event: bytes) -> bytes:
    """The label of an event, as JSON without its first brace and its id; one in nine is a fraud."""
    at = datetime.fromisoformat(msgspec.json.decode(b"{" + event)["timestamp"])
    return msgspec.json.encode({"fraud": at.second % 9 == 0, "known_at": at + LATER})[1:]


def _put(outlet: Any, role: str, body: bytes) -> None:
    while True:
        try:
            return outlet.put(role, "", body)
        except BrokerError:  # the client's queue is full
            time.sleep(0.005)


if __name__ == "__main__":
    main(run)
