"""A scripted engine, and clients for the service around it."""

import asyncio
import contextlib
import json
import queue
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import msgspec
import pytest
from tests.service.serving import serving

from penstock.config import Settings
from penstock.errors import DeclarationError
from penstock.ledger import Quarantined
from penstock.ledger.sqlite import SqliteTables
from penstock.messages import Refusal
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float


PERIOD = {"at": "2026-01-01T00:00:00Z", "approve": 1, "block": 0, "amount": 0.1, "amount_blocked": 0.0}


@dataclass
class FakeEngine:
    """Says what a test tells it to, and records what it was asked. Durability is reported from a thread, in order."""

    name: str = "fake"
    event_type: type = Payment
    ready: str | None = None
    informs: tuple = ()
    raises: Exception | None = None  # what decide_json raises
    durable_error: Exception | None = None
    batches: list = field(default_factory=list)  # (ids, dry_run)
    labels: list = field(default_factory=list)
    informed: list = field(default_factory=list)
    recorded: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)  # what callers were told in place of decisions
    explanation: dict = field(default_factory=dict)
    closed: bool = False

    model_version = "m1"

    def __post_init__(self):
        self.detector = SimpleNamespace(
            name=self.name, id="transaction_id", time="timestamp", folder=None, event=self.event_type, version="d1"
        )
        self.personal = SimpleNamespace(fields=[])
        self.metrics = {"duplicates": 0}
        self.ledger = SimpleNamespace(tables=SqliteTables(), trouble=None)
        self.pipeline = SimpleNamespace(entities=["customer", "user"], state=SimpleNamespace(full=None))
        self.queries = SimpleNamespace(transaction=self.recorded.get)
        self.totals = SimpleNamespace(series=lambda: {"minutes": [PERIOD], "hours": [PERIOD], "since": PERIOD["at"]})
        self.history = SimpleNamespace(
            transactions=self.transactions, outcome=self.outcome, answered=self.told.get, of_key=self.decided_about
        )
        self.writable = threading.Event()
        self.writable.set()
        self.jobs = queue.Queue()
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self):
        while (job := self.jobs.get()) is not None:
            self.writable.wait(120)
            job(self.durable_error)

    def hold(self):
        """From here on nothing becomes durable, until `release`."""
        self.writable.clear()

    def release(self):
        self.writable.set()

    def decide_json(self, bodies, *, dry_run=False, on_durable=None):
        if self.raises is not None:
            raise self.raises
        answers = [self._decide(body) for body in bodies]
        self.batches.append(([self._id(body) for body in bodies], dry_run))
        if not dry_run:
            self.recorded |= {json.loads(a)["transaction_id"]: a for a in answers if isinstance(a, bytes)}
            self.jobs.put(on_durable)
        return answers

    @staticmethod
    def _id(body):
        with contextlib.suppress(Exception):
            return json.loads(body).get("transaction_id")

    def _decide(self, body):
        try:
            event = json.loads(body)
        except (ValueError, RecursionError) as error:
            return Refusal(400, f"not JSON: {error}")
        if not isinstance(event, dict) or not isinstance(event.get("transaction_id"), str):
            return Refusal(422, "transaction_id is required", (("transaction_id", "is required"),))
        said = "BLOCK" if event.get("amount") in (5000, 5000.0) else "APPROVE"
        fields = {
            "transaction_id": event["transaction_id"],
            "detector": self.name,
            "decided_at": f"2026-01-01T00:00:{len(self.recorded) % 60:02}Z",
            "decision": said,
        }
        if self.explanation:
            fields |= {
                "fraud_probability": 0.97 if said == "BLOCK" else 0.01,
                "explanation": self.explanation if said == "BLOCK" else {},
            }
        return json.dumps(fields, separators=(",", ":")).encode()

    def label_json(self, body, *, on_durable=None):
        found = json.loads(body)
        self.labels += found
        self.jobs.put(on_durable)
        return [
            {"transaction_id": x["transaction_id"], "accepted": True}
            if "fraud" in x
            else Refusal(422, "fraud is required", (("fraud", "is required"),))
            for x in found
        ]

    def inform_json(self, bodies, *, on_durable=None):
        self.informed += bodies
        self.jobs.put(on_durable)
        return [None if b.startswith(b"{") else Refusal(422, "an event is a JSON object") for b in bodies]

    def check_json(self, body):
        answer = self._decide(body)
        return answer if isinstance(answer, Refusal) else None

    def quarantine_refused(self, body, refusal, *, unrouted=False):
        name = "" if unrouted else self.name
        self.ledger.tables.quarantine([Quarantined(name, time.time_ns() // 1000, refusal.detail, None, body)])

    def outcome(self, transaction_id):
        body = self.recorded.get(transaction_id)
        if body is None:
            return None
        said = json.loads(body)["decision"]
        return {"transaction_id": transaction_id, "detector": self.name, "decision": said, "processed_at": "now"}

    def decided_about(self, entity, key):
        return {"decisions": {"total": 0}, "labels": {}, "recent": [], "counted": {"decisions": len(self.recorded)}}

    def transactions(self, *, limit, before, decision, entity, key, rule, from_us, to_us, summary=False):
        newest = list(self.recorded.values())[::-1]
        start = int(before or 0)
        following = start + limit
        return newest[start:following], str(following) if following < len(newest) else None

    def entity(self, entity, key):
        if entity != "customer":
            raise DeclarationError(f"there is no entity {entity!r}")
        return {"entity": entity, "key": key, "features": {"count": 1}} if key == "C1" else None

    def stats(self):
        n = len(self.recorded)
        return {
            "total": n,
            "approve": n,
            "review": 0,
            "block": 0,
            "fraud_rate": 0.0,
            "amount": 1.0,
            "amount_blocked": 0.0,
            "per_second": 0.0,
            "latency_ms": {"p50": None, "p95": None, "p99": None},
            "since": "2026-01-01T00:00:00Z",
        }

    def describe(self):
        return {"name": self.name}

    def close(self):
        self.closed = True


def event(number, **more):
    """A payment as JSON."""
    fields = {"transaction_id": f"tx{number}", "timestamp": "2026-02-06T10:00:00Z", "customer_id": "C1", "amount": 25.0}
    return json.dumps(fields | more).encode()


@pytest.fixture
def payment():
    """Makes a payment's JSON: payment(1, amount=5)."""
    return event


@pytest.fixture
def make_engine():
    """Makes scripted engines and lets go of them afterwards."""
    made = []

    def make(**options):
        made.append(FakeEngine(**options))
        return made[-1]

    yield make
    for engine in made:
        engine.release()
        engine.jobs.put(None)


@pytest.fixture
def engine(make_engine):
    return make_engine()


@pytest.fixture
def run():
    """Runs a coroutine to its end, with a bound on time so that a hang is a failure."""
    return lambda work, seconds=120: asyncio.run(asyncio.wait_for(work, seconds))


@pytest.fixture
def client_for():
    """An httpx client of the application itself, without sockets: `async with client_for(engine) as client`."""

    @contextlib.asynccontextmanager
    async def open_client(*engines, settings=None, **options):
        settings = settings or Settings()
        app = create_app({e.detector.name: MicroBatcher.of(e, settings) for e in engines}, settings, ServiceParts(**options))
        async with app.app.router.lifespan_context(app.app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                client.app = app
                yield client

    return open_client


@pytest.fixture
def serve_in_thread():
    """The service on a free port, in a thread: `with serve_in_thread(app) as url`; settings: of its connections."""
    return serving


@pytest.fixture(scope="session")
def mine():
    """The detector of mine.py, loaded as `penstock serve mine.py` does."""
    from penstock.wiring.detectors import load_detector

    return load_detector(str(Path(__file__).with_name("mine.py")))


@pytest.fixture
def real(mine, tmp_path, serve_in_thread):
    """The address of a service with a real engine and a data folder of its own."""
    from penstock import Engine

    settings = Settings(max_body_bytes=200_000)
    with serve_in_thread(create_app({"mine": MicroBatcher.of(Engine(mine, data=tmp_path), settings)}, settings)) as url:
        yield url
