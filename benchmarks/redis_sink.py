"""What a worker publishes in Redis, beside a client that writes the same events one command at a time, in pipelines of 1,000.

Both write every decision's JSON with a time to live, the customer's profile as a hash, and a message to a channel; the sink
also the merchant's profile, how far it came, and nothing if its owner has been replaced. A real server, which appends every
change to its file; rates are of client and server together.
"""

import itertools
import json
import resource
import time
from collections.abc import Callable, Iterator

import redis as client_library
from _report import Row, main
from _servers import Redis

from penstock import Detector, Engine
from penstock.adapters.redis_sink import RedisSink
from penstock.detectors.banking import detector as banking
from penstock.features import Aggregate
from penstock.messages import Record
from penstock.stream.sinks import FIRST_ROWS
from penstock.wiring.traffic.events import simulation

PIPELINE = 1_000
Written = list[tuple[int, Record]]


detector = Detector(
    banking.name,
    event=banking.event,
    id=banking.id,
    time=banking.time,
    label=banking.label,
    features=banking.features,
    rules=banking.rules,
    naive_times="UTC",
)
"""Banking without models: what is published of a decision is the same."""


def recorded(events: int) -> tuple[Engine, Written]:
    """An engine that decided simulated payments, and its records."""
    engine = Engine(detector)
    traffic = simulation("banking", events=events, fraud_rate=0.01, attacks=(), seed=1, days=3.0, start=None, tps=None)
    bodies = [item.body for item in traffic.items() if item.path == "/predict"]
    for start in range(0, len(bodies), PIPELINE):
        engine.decide_json(bodies[start : start + PIPELINE])
    return engine, [(position, record) for position, record in engine.ledger.read(0) if record.kind == "decisions"]


def portions(records: Written) -> Iterator[Written]:
    """As the thread that feeds a sink cuts them when it is behind."""
    step = max(1, FIRST_ROWS // PIPELINE)
    for start in range(0, len(records), step):
        yield records[start : start + step]


def with_the_sink(engine: Engine, records: Written, server: Redis) -> None:
    sink = RedisSink.of(server.url, engine)
    sink.begin(1)
    for portion in portions(records):
        sink.write(portion)
    sink.close()


def one_by_one(engine: Engine, records: Written, server: Redis) -> None:
    shown = [f.name for f in detector.features if isinstance(f, Aggregate) and f.entity.name == "customer"]
    with client_library.Redis.from_url(server.url) as client:
        bodies = (body for _, record in records for body in engine.queries.render(record, range(len(record))))
        customers = (text for _, record in records for text in record.columns["text:customer_id"])
        rows = zip(bodies, customers, strict=True)
        while chunk := list(itertools.islice(rows, PIPELINE)):
            pipeline = client.pipeline(transaction=False)
            for body, customer in chunk:
                decision = json.loads(body)
                features = decision["features"]
                profile = {name: features[name] for name in shown if features[name] is not None}
                pipeline.set(f"penstock:banking:decision:{decision['transaction_id']}", body, ex=86_400)
                pipeline.hset(f"penstock:banking:customer:{customer}", mapping={"as_of": decision["event_time"], **profile})
                pipeline.publish("penstock:banking:decisions", body[:300])
            pipeline.execute()


def cost(write: Callable[[Engine, Written, Redis], None], engine: Engine, records: Written) -> tuple[float, float, float]:
    """Events/s, and processor microseconds an event of the client and of the server."""
    with Redis() as server, client_library.Redis.from_url(server.url) as asking:
        rows = sum(len(record) for _, record in records)
        before, began, spent = server_cpu_s(asking), time.perf_counter(), own_cpu_s()
        write(engine, records, server)
        took, own = time.perf_counter() - began, own_cpu_s() - spent
        return rows / took, own / rows * 1e6, (server_cpu_s(asking) - before) / rows * 1e6


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def server_cpu_s(asking: client_library.Redis) -> float:
    found = asking.info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


def run(quick: bool) -> list[Row]:
    engine, records = recorded(20_000 if quick else 60_000)
    with Redis() as server:
        with_the_sink(engine, records[:2], server)  # compiles
    runs = [(cost(with_the_sink, engine, records), cost(one_by_one, engine, records)) for _ in range(1 if quick else 3)]
    sink, plain = (max((run[which] for run in runs), key=lambda measured: measured[0]) for which in (0, 1))
    return [
        Row.faster("redis sink, banking", sink[0], "events/s", "pipelines of commands", plain[0]),
        Row.at_least("redis sink, banking", sink[0], "events/s", 25_000),
        Row.shorter("redis sink, client", sink[1], "us of processor an event", "pipelines of commands", plain[1]),
        Row.shorter("redis sink, server", sink[2], "us of processor an event", "pipelines of commands", plain[2]),
    ]


if __name__ == "__main__":
    main(run)
