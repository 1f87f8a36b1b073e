"""A copy of feature state, taken while the state goes on: it holds the moment at which it was begun, and nothing later."""

import shutil
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
KEYS = 5_000
account = Entity("account", roles={"sent": "payer", "received": "payee"})
card, shop = Entity("card"), Entity("shop")


class Payment(msgspec.Struct):
    id: str
    at: datetime
    card: str
    shop: str
    payer: str
    payee: str
    city: str | None
    amount: float
    fraud: bool | None = None


def detector() -> Detector:
    """Everything that a copy has to bring along: rings of all sizes, values of all time, labels, texts, roles."""
    features = [
        card.sum("amount", "1h"),
        card.max("amount", "1d"),
        card.last("city"),
        card.distinct("city", "ever"),
        shop.distinct("card", "1d"),
        shop.std("amount", "7d"),
        shop.label_count("1d"),
        card.label_count("ever"),
        account.count("1d", role="sent", at="received"),
        account.distinct("city", "ever", role="received"),
    ]
    return Detector("copied", event=Payment, id="id", time="at", label=Label("fraud", delay="1m"), features=features, models=[])


def payments(rng: np.random.Generator, first: int, count: int, keys: int, day: float = 0.0) -> list[Payment]:
    """Payments of many cards in few shops, some late, some much too late."""
    found = []
    for n in range(first, first + count):
        late = rng.choice([0, 0, 0, 0, 600, 30 * 3600])
        who = rng.integers(0, keys, 3)
        found.append(
            Payment(
                id=f"{n}",
                at=START + timedelta(days=day, seconds=float(n) - float(late)),
                card=f"c{who[0]}",
                shop=f"s{rng.integers(0, 40)}",
                payer=f"a{who[1]}",
                payee=f"a{who[2]}",
                city=None if rng.random() < 0.2 else f"city {rng.integers(0, 60 + first)}",
                amount=float(np.round(rng.lognormal(3, 1), 2)),
            )
        )
    return found


def goes_on(engine: Engine, rng: np.random.Generator, first: int, keys: int, day: float = 0.0) -> None:
    """Some traffic: decisions one by one and many at once, dry runs, labels of old and of new events."""
    engine.decide_many(payments(rng, first, 150, keys, day))
    for one in payments(rng, first + 150, 3, keys, day):
        engine.decide(one)
    engine.decide(payments(rng, first + 153, 1, keys, day)[0], dry_run=True)
    known = START + timedelta(days=day, seconds=float(first) + 160)
    for at in (first + 2, first % (2 * KEYS)):
        engine.label(f"{at}", fraud=True, at=known)


@pytest.mark.parametrize("days_later", [0.0, 9.0], ids=["at once", "when keys have become idle"])
def test_a_copy_holds_the_moment_at_which_it_was_begun_whatever_happens_meanwhile(days_later: float) -> None:
    rng = np.random.default_rng(5)
    live, restored = Engine(detector()), Engine(detector())
    live.decide_many(payments(rng, 0, 2 * KEYS, KEYS))
    for at in range(0, KEYS, 50):
        live.label(f"{at}", fraud=True, at=START + timedelta(seconds=2 * KEYS))
    live.decide_many(payments(rng, 2 * KEYS, 10, KEYS))
    state = live.pipeline.state
    moment, clocks = state.digest(), (state.clock_us, state.pace_us)
    copy, arrays = state.copy(), {}
    for turn, (name, array) in enumerate(copy):
        arrays[name] = array.copy()
        if turn < 20:
            goes_on(live, rng, 3 * KEYS + 200 * turn, 2 * KEYS, days_later)
    assert len(arrays) > 20
    restored.pipeline.state.load(arrays, {}, *clocks)
    assert restored.pipeline.state.digest() == moment
    after = state.digest()
    assert after != moment
    again, known = Engine(detector()), state.copy()
    again.pipeline.state.load(dict(known), {}, state.clock_us, state.pace_us)
    assert again.pipeline.state.digest() == after


@pytest.mark.parametrize("cards", [1_500, 2_559, 2_560, 9_000])
def test_a_key_with_more_distinct_values_than_a_block_holds_may_come_first(cards: int) -> None:
    """First of all that a snapshot brings, and first of all when a table is moved together."""
    features = [shop.distinct("card", "1d"), shop.distinct("payer", "1d")]
    hub = Detector("hub", event=Payment, id="id", time="at", label=Label("fraud", delay="1m"), features=features, models=[])

    def paid(n: int, shop: str, day: int) -> Payment:
        return Payment(f"{day} {n}", START + timedelta(days=day, seconds=n), f"c{n}", shop, f"a{n}", "", None, 1.0)

    live, restored = Engine(hub), Engine(hub)
    live.decide_many([paid(n, f"small {n}", 0) for n in range(4 * cards)])
    live.decide_many([paid(n, "the one", 9) for n in range(cards)])
    [table] = live.pipeline.state.tables
    state, clock = live.pipeline.state, live.pipeline.state.pace_us
    moment = state.digest()
    restored.pipeline.state.load(dict(state.copy()), {}, state.clock_us, clock)
    assert restored.pipeline.state.digest() == moment
    used = table.used_bytes
    table.reclaim(clock)
    assert table.used_bytes < used
    assert state.digest() == moment


def test_a_copy_that_is_given_up_leaves_the_state_as_it_would_have_been() -> None:
    rng = np.random.default_rng(6)
    events = payments(rng, 0, 4_000, KEYS)
    left, whole = Engine(detector()), Engine(detector())
    for engine in (left, whole):
        engine.decide_many(events[:3_000])
        copy = engine.pipeline.state.copy()
        if engine is left:
            next(iter(copy))
            copy.give_up()
        else:
            assert dict(copy)
        engine.decide_many(events[3_000:])
    assert left.pipeline.state.digest() == whole.pipeline.state.digest()


def test_a_snapshot_that_another_thread_writes_while_events_come_is_the_state_at_its_position(tmp_path) -> None:
    """The log after it brings the state to its end."""
    rng = np.random.default_rng(7)
    with Engine(detector(), data=tmp_path, snapshot_every_s=1e9) as engine:
        engine.decide_many(payments(rng, 0, 2 * KEYS, KEYS))
        engine.recovery.snapshot()
        turn = 0
        while not engine.recovery.writing.done() or turn < 3:
            goes_on(engine, rng, 3 * KEYS + 200 * turn, 2 * KEYS)
            turn += 1
        engine.recovery.writing.result()
        shutil.copytree(tmp_path, tmp_path.with_name("copied"))  # without the snapshot that closing writes
        end = engine.pipeline.state.digest()
    with Engine(detector(), data=tmp_path.with_name("copied")) as again:
        assert again.recovery.saved().seq < again.ledger.next_seq
        assert again.pipeline.state.digest() == end
