"""One memory budget over all entities: known keys go on, new ones wait until there is room, and a rebuilt state is the same."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, Policy, derive
from penstock.engine.keys.index import KeyIndex
from penstock.engine.verification import verify
from penstock.ledger import FileLedger

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
customer, device = Entity("customer_id"), Entity("device_id")


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    device_id: str
    amount: float
    is_fraud: bool | None = None


class Login(msgspec.Struct, tag=True):
    event_id: str
    timestamp: datetime
    customer_id: str


FEATURES = [
    customer.count("1h"),
    customer.sum("amount", "1h"),
    customer.max("amount", "1h"),
    customer.label_count("1h", by="known"),
    customer.label_count("1h").named("frauds_of_1h"),
    device.count("1h"),
    device.distinct("customer_id", "1h"),
    derive("double", "2 * customer_count_1h"),
]


def declared(features=FEATURES, **options) -> Detector:
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        label=Label("is_fraud", delay="1m"),
        features=list(features),
        models=[],
        lateness="10m",
        policy=Policy(on_failure="review"),
        **options,
    )


def payment(k: int, *, minutes: float = 0, who: str = "c", device_id: str = "d", amount: float = 10.0) -> bytes:
    return msgspec.json.encode(Payment(f"t{k}", START + timedelta(minutes=minutes), who, device_id, amount))


class Clock:
    """Arrival is the newest event time."""

    now_us = int(START.timestamp() * 1e6)

    def __call__(self) -> int:
        return self.now_us


def decide(engine: Engine, *bodies: bytes) -> list[dict]:
    times = [datetime.fromisoformat(json.loads(body)["timestamp"]) for body in bodies]
    engine.clock.now_us = max(engine.clock.now_us, *(int(time.timestamp() * 1e6) for time in times))
    return [msgspec.json.decode(answer) for answer in engine.decide_json(list(bodies))]


LIMIT = 2 / 1024


def fill(engine: Engine, *, first: int = 1000, minutes: float = 0) -> int:
    """Send events of new keys, many at once and then one by one, until one alone is turned away; the number of the next one."""
    k = first
    for size in (64, 1):
        found = []
        while not found or found[-1]["degraded"] is None:
            many = range(k, k + size)
            found = decide(engine, *(payment(i, minutes=minutes, who=f"c{i}", device_id=f"d{i}") for i in many))
            k += size
    return k


def test_new_keys_are_decided_by_the_policy_and_known_keys_are_decided_and_counted():
    """In one batch, too; the budget is one for both entities."""
    with Engine(declared(), memory_limit_gb=LIMIT, clock=Clock()) as engine:
        decide(engine, payment(1))
        k = fill(engine)
        assert 0.5 * LIMIT * 2**30 < engine.pipeline.state.used_bytes <= LIMIT * 2**30
        known, new, half, again = decide(
            engine,
            payment(k),
            payment(k + 1, who="n", device_id="n"),
            payment(k + 2, device_id="other"),
            payment(k + 3),
        )
        assert (known["degraded"], again["degraded"]) == (None, None)
        for answer in (new, half):
            assert answer["decision"] == "REVIEW"
            assert answer["degraded"]["part"] == "state"
            assert answer["degraded"]["cause"].startswith("memory_limit")
        counts = [answer["features"]["customer_count_1h"] for answer in (known, half, again)]
        assert counts == [2, 3, 4]  # the known customer of a new device goes on being counted
        assert new["features"]["customer_count_1h"] == 1
        [later] = decide(engine, payment(k + 4, who="n", device_id="n"))
        assert (later["features"]["customer_count_1h"], later["degraded"] is None) == (1, False)
        assert engine.metrics["memory_refused"] >= 5
        assert engine.metrics["degraded"] >= 3
        assert "memory_limit_gb" in engine.pipeline.state.full


def test_an_event_that_is_turned_away_changes_no_key():
    with Engine(declared(), memory_limit_gb=LIMIT, clock=Clock()) as engine:
        k = fill(engine)
        before = engine.pipeline.state.digest()
        for i in range(50):
            [answer] = decide(engine, payment(k + i, who=f"n{i}", device_id=f"n{i}"))
            assert answer["degraded"]
        assert engine.pipeline.state.digest() == before


def test_when_windows_have_passed_new_keys_are_let_in_again_without_a_restart():
    """Also where every event since is of a new key; and more than once."""
    with Engine(declared(), memory_limit_gb=LIMIT, clock=Clock()) as engine:
        for spell in range(3):
            k = fill(engine, first=10_000 * (spell + 1), minutes=180 * spell + (1 if spell else 0))
            minutes = 180 * (spell + 1)
            found = decide(engine, *(payment(k + i, minutes=minutes, who=f"n{k + i}", device_id=f"n{k + i}") for i in range(5)))
            assert [answer["degraded"] for answer in found] == [None] * 5
            assert engine.pipeline.state.full is None
            assert engine.pipeline.state.used_bytes < 0.5 * LIMIT * 2**30


def test_where_known_keys_fill_the_whole_budget_nothing_enters_until_windows_pass():
    """The reserve is gone: every event is decided by the policy and none is counted; no request fails."""
    with Engine(declared(), memory_limit_gb=LIMIT, clock=Clock()) as engine:
        fill(engine)
        k = 100_000
        found = []
        while not found or found[-1]["degraded"] is None:
            found = decide(engine, *(payment(k + i, who="c1000", device_id="d1000") for i in range(256)))
            k += 256
        digest = engine.pipeline.state.digest()
        [answer] = decide(engine, payment(k, who="c1000", device_id="d1000"))
        assert (answer["decision"], answer["degraded"]["part"]) == ("REVIEW", "state")
        assert engine.pipeline.state.digest() == digest
        assert engine.pipeline.state.used_bytes < 1.5 * LIMIT * 2**30
        [answer] = decide(engine, payment(k + 1, minutes=180, who="c1000", device_id="d1000"))
        assert (answer["degraded"], answer["features"]["customer_count_1h"]) == (None, 1)


def _traffic(engine: Engine, *, seed: int = 3, batches: int = 160) -> list[dict]:
    """Batches of known and new keys with labels between, over hours in which the budget is used up and freed."""
    rng, found, k = np.random.default_rng(seed), [], 0
    for batch in range(batches):
        minutes = batch * 2.0
        bodies = []
        for _ in range(int(rng.choice([1, 3, 64, 200]))):
            known = rng.random() < 0.3
            who, on = (f"k{rng.integers(20)}", f"k{rng.integers(20)}") if known else (f"c{k}", f"d{k}")
            if rng.random() < 0.2:
                on = f"k{rng.integers(20)}"
            bodies.append(
                payment(k, minutes=minutes + rng.random() * 5, who=who, device_id=on, amount=float(rng.integers(100)))
            )
            k += 1
        found += decide(engine, *bodies)
        for at in rng.integers(0, k, 3):
            at_time = START + timedelta(minutes=minutes + 5 + float(rng.integers(0, 5)))
            engine.label(f"t{at}", fraud=True, at=at_time)
    return found


@pytest.fixture(scope="module", params=[True, False], ids=["snapshot", "log"])
def killed(request, tmp_path_factory):
    """A data folder as a crash leaves it, after traffic beyond the budget; its digest and clocks."""
    folder = tmp_path_factory.mktemp("limited")
    engine = Engine(declared(), data=folder / "first", memory_limit_gb=1 / 1024, clock=Clock())
    found = _traffic(engine, batches=80)
    assert {answer["degraded"] is None for answer in found} == {True, False}
    if request.param:
        engine.recovery.snapshot()
        engine.recovery.writing.result()
        found += [decide(engine, payment(10**6 + i, minutes=170, who=f"z{i}", device_id=f"z{i}"))[0] for i in range(2000)]
        assert {answer["degraded"] is None for answer in found[-2000:]} == {True, False}
    engine.ledger.flush()
    state = engine.pipeline.state
    left = shutil.copytree(folder / "first", folder / "killed")  # before a snapshot is written at the end
    expected = state.digest(), state.clock_us, state.pace_us
    engine.close()
    return left, expected


@pytest.mark.parametrize("limit", [None, 1 / 1024, LIMIT, 64 / 1024])
def test_a_restart_comes_to_the_same_state_whatever_the_limit_is_then(tmp_path, killed, limit):
    """What stayed out is recorded: a log is read again as it was written, from its beginning or from a snapshot in between."""
    folder, expected = killed
    with Engine(declared(), data=shutil.copytree(folder, tmp_path / "again"), memory_limit_gb=limit, clock=Clock()) as again:
        state = again.pipeline.state
        assert (state.digest(), state.clock_us, state.pace_us) == expected


def test_decisions_from_before_during_and_after_are_verified(tmp_path):
    with Engine(declared(), data=tmp_path, memory_limit_gb=1 / 1024, clock=Clock()) as engine:
        found = _traffic(engine, batches=100)
    degraded = [answer["transaction_id"] for answer in found if answer["degraded"]]
    others = [answer["transaction_id"] for answer in found if not answer["degraded"]]
    ledger = FileLedger(tmp_path / "ledger", read_only=True)
    index = KeyIndex(ledger, declared(), read_only=True)
    for each in [*degraded[:: len(degraded) // 8], *others[:: len(others) // 8]]:
        assert verify(ledger, declared(), each, None).identical, each
    for each in [degraded[0], others[-1]]:
        found = verify(ledger, declared(), each, None, index=index)
        assert (found.identical, found.way, "memory" in (found.whole_log or "")) == (True, "log", True)
    ledger.close()


def test_known_keys_have_the_numbers_of_a_naive_count_over_what_was_let_in():
    """The oracle: a list of events per key; a key exists since its first event that was not turned away."""
    with Engine(
        declared([customer.count("1h"), customer.sum("amount", "1h")]), memory_limit_gb=0.4 / 1024, clock=Clock()
    ) as engine:
        rng, kept, k, turned = np.random.default_rng(5), {}, 0, 0
        for batch in range(220):
            bodies, meant = [], []
            for _ in range(int(rng.choice([1, 2, 50, 150]))):
                who = f"k{rng.integers(30)}" if rng.random() < 0.4 else f"c{k}"
                meant.append((who, batch * 120.0, float(rng.integers(100))))
                bodies.append(payment(k, minutes=batch * 2.0, who=who, amount=meant[-1][2]))
                k += 1
            for (who, at, amount), answer in zip(meant, decide(engine, *bodies), strict=True):
                window = [a for t, a in kept.get(who, []) if t > at - 3600] + [amount]
                assert answer["features"] == {"customer_count_1h": len(window), "customer_sum_amount_1h": sum(window)}
                if answer["degraded"]:
                    turned += 1
                    assert not [t for t, _ in kept.get(who, []) if t > at - 3600], "a known key was turned away"
                else:
                    kept.setdefault(who, []).append((at, amount))
        assert turned > 100


def test_a_table_that_is_moved_together_goes_on_as_if_it_had_not_been():
    """Rings of all sizes, block summaries, distinct values: equal digests, and equal features of all that follows."""

    def states():
        return [Engine(declared(), clock=Clock()) for _ in range(2)]

    one, other = states()
    rng = np.random.default_rng(9)
    for batch in range(60):
        bodies = []
        for i in range(200):
            who = f"k{int(rng.integers(5))}" if rng.random() < 0.5 else f"c{batch}-{i}"
            bodies.append(
                payment(
                    batch * 200 + i,
                    minutes=batch * 5.0,
                    who=who,
                    device_id=f"d{int(rng.zipf(1.5)) % 400}",
                    amount=float(rng.integers(1000)),
                )
            )
        left, right = decide(one, *bodies), decide(other, *bodies)
        assert [a["features"] for a in left] == [a["features"] for a in right]
        if batch % 7 == 6:
            state = other.pipeline.state
            used = state.used_bytes
            for table in state.tables:
                table.reclaim(state.pace_us)
            assert state.used_bytes <= used
            assert state.digest() == one.pipeline.state.digest()
    assert other.pipeline.state.used_bytes < one.pipeline.state.used_bytes
