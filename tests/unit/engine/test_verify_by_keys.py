"""A decision is computed again from the events of its own keys alone, with the bits that the whole log gives."""

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.waiting import wait_until

from penstock import Detector, Engine, Entity, Label, Rule, derive
from penstock.config import Settings
from penstock.engine import verify
from penstock.engine.keys.index import KeyIndex, fingerprint_of
from penstock.errors import MalformedEvent
from penstock.ledger import FileLedger
from penstock.wiring.engines import open_engine

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
START_US = int(START.timestamp() * 1e6)


class Payment(msgspec.Struct):
    id: str
    at: datetime
    sender: str | None
    receiver: str | None
    shop: int
    amount: float
    country: str | None = None
    fraud: bool | None = None


class Login(msgspec.Struct):
    id: str
    at: datetime
    sender: str
    country: str | None = None


account = Entity("account", roles={"sent": "sender", "received": "receiver"})
sender, shop = Entity("sender"), Entity("shop")
pair = Entity("sender", "shop")
BOUNDED = [
    sender.count("10m"),
    sender.sum("amount", "1h"),
    sender.std("amount", "1h"),
    sender.min("amount", "1h", current=False),
    sender.distinct("country", "1h"),
    sender.distinct("shop", "10m", delay="5m"),
    sender.count("1h", of=Login),
    sender.last("country", "1h").named("country_before"),
    sender.since_last("30m"),
    sender.count("1h", where="amount < 20").named("small"),
    shop.label_rate("1h", delay="10m"),
    shop.label_count("2h"),
    shop.max("amount", "30m"),
    sender.median("amount", "1h"),
    sender.mode("country", "1h").named("usual_country"),
    shop.entropy("sender", "2h", most=20),
    pair.mean("amount", "2h"),
    account.sum("amount", "1h", role="received").named("got"),
    account.count("1h", role="sent").named("gave"),
    account.distinct("shop", "1h").named("shops"),
]
OF_ALL_TIME = [
    sender.count("ever"),
    sender.distinct("country", "ever").named("countries"),
    sender.first("country").named("first_country"),
    sender.since_first(),
    shop.label_count("ever").named("frauds"),
    shop.max("amount", "ever").named("largest"),
    shop.sum("amount", "1h"),
    account.sum("amount", "ever", role="received").named("got"),
    pair.last("amount").named("last_amount"),
    sender.session_sum("amount", "10m"),
]
BY_TIME_KNOWN = [
    shop.label_count("1h", by="known").named("known_frauds"),
    shop.count("10m"),
    sender.sum("amount", "1h"),
    account.count("30m").named("both"),
]


place = Entity("country_of", "band")
OF_DERIVED_KEYS = [
    derive("country_of", "coalesce(country, 'none')"),
    derive("band", "floor(amount / 5)"),
    place.count("1h").named("in_band"),
    place.sum("amount", "2h", current=False).named("spent_in_band"),
    place.label_count("2h").named("frauds_in_band"),
    sender.count("10m", where="band < 2").named("small"),
]


def detector(features, lateness: str) -> Detector:
    """Payments between accounts at shops."""
    return Detector(
        "mine",
        event=Payment,
        informs=[Login],
        id="id",
        time="at",
        label=Label("fraud", delay="30m"),
        features=features,
        models=[],
        lateness=lateness,
        max_ahead="1h",
        rules=[Rule("large", "amount > 90", then="review")],
    )


class Clock:
    now_us = START_US

    def __call__(self) -> int:
        return self.now_us


def played(engine: Engine, clock: Clock, rng: random.Random, count: int) -> list[str]:
    """Payments and logins, single and in batches, in and out of order, some far ahead, with labels and pauses between them."""
    at, ids = 0.0, []
    while len(ids) < count:
        at += rng.choice([1, 1, 20, 60, 600] if rng.random() < 0.97 else [4 * 3600, 30 * 3600, 80 * 3600])
        clock.now_us = START_US + int(at * 1e6)
        some = []
        for _ in range(rng.choice([1, 1, 2, 7])):
            late_s = rng.choice([0] * 12 + [3, 300, 2400, 9000, 90_000, -2, -1800, -9000])
            when = START + timedelta(seconds=int(at) - late_s)
            keys = [rng.choice(["a", "b", "c", None]) for _ in range(2)]
            country, fraud = rng.choice(["x", "y", None]), rng.choice([None] * 9 + [True])
            some.append(Payment(f"t{len(ids)}", when, *keys, rng.randrange(3), rng.randrange(100) / 7, country, fraud))
            ids.append(some[-1].id)
        engine.decide_many(some)
        if rng.random() < 0.2:
            engine.inform(Login(f"l{len(ids)}", clock_time(at, rng), rng.choice("abc"), "z"))
        if rng.random() < 0.4:
            known = clock_time(at, rng, 7200)
            with suppress(MalformedEvent):  # known before it happened
                engine.label(rng.choice(ids[-40:]), fraud=rng.random() < 0.7, at=known)
    return ids


def clock_time(at: float, rng: random.Random, jitter: int = 600) -> datetime:
    return START + timedelta(seconds=int(at) + rng.randrange(-jitter, jitter))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("lateness", ["1h", "1d"])
@pytest.mark.parametrize(
    "features",
    [BOUNDED, OF_ALL_TIME, BY_TIME_KNOWN, OF_DERIVED_KEYS],
    ids=["bounded", "of all time", "by time known", "derived"],
)
def test_every_decision_comes_out_the_same_from_the_events_of_its_keys(tmp_path, features, lateness, seed) -> None:
    clock, declared = Clock(), detector(features, lateness)
    with Engine(declared, data=tmp_path, clock=clock) as engine:
        ids = played(engine, clock, random.Random(seed), 150)
    with FileLedger(tmp_path / "ledger") as ledger:
        index = KeyIndex(ledger, declared, seal_rows=100)
        found = [verify(ledger, declared, each, None, index=index) for each in ids[::3]]
    assert [each.transaction_id for each in found if not each.identical] == []
    assert [(each.transaction_id, each.whole_log) for each in found if each.way != "keys"] == []


def test_an_index_is_read_where_it_was_written_and_made_again_where_it_is_missing(tmp_path) -> None:
    declared, clock = detector(BOUNDED, "1h"), Clock()
    with Engine(declared, data=tmp_path, clock=clock) as engine:
        ids = played(engine, clock, random.Random(5), 240)
    with FileLedger(tmp_path / "ledger") as ledger:
        KeyIndex(ledger, declared, seal_rows=20).index()  # so few that runs are merged
        written = list((tmp_path / "ledger" / "keys").rglob("*.ids"))
        assert written
        index = KeyIndex(ledger, declared, read_only=True)
        assert index.rows_behind(ledger.next_seq) < 60, "most of it was read"
        assert verify(ledger, declared, ids[-1], None, index=index).way == "keys"
        next((tmp_path / "ledger" / "keys").rglob("clocks")).unlink()
        again = KeyIndex(ledger, declared)
        assert again.rows_behind(ledger.next_seq) == ledger.next_seq + 1
        assert verify(ledger, declared, ids[-1], None, index=again).way == "keys"


def test_an_index_of_keys_that_are_no_longer_asked_for_is_deleted(tmp_path) -> None:
    with Engine(detector(BOUNDED, "1h"), data=tmp_path) as engine:
        first = KeyIndex(engine.ledger, engine.detector)
        second = KeyIndex(engine.ledger, detector([shop.count("1h")], "1h"))
        kept = [path.name for path in (tmp_path / "ledger" / "keys" / "mine").iterdir()]
    assert kept == [second.fingerprint] != [first.fingerprint]


def test_another_definition_of_a_derived_key_has_another_index() -> None:
    other = [derive("band", "floor(amount / 10)") if each.name == "band" else each for each in OF_DERIVED_KEYS]
    assert fingerprint_of(detector(OF_DERIVED_KEYS, "1h")) == fingerprint_of(detector(OF_DERIVED_KEYS, "1d"))
    assert fingerprint_of(detector(OF_DERIVED_KEYS, "1h")) != fingerprint_of(detector(other, "1h"))


def test_a_decision_that_was_changed_in_the_log_is_found(tmp_path, monkeypatch) -> None:
    declared, clock = detector(BOUNDED, "1h"), Clock()
    with Engine(declared, data=tmp_path, clock=clock) as engine:
        ids = played(engine, clock, random.Random(6), 40)
        found, place = engine.ledger.find, declared.plan.layout["sender_sum_amount_1h"].index

        def changed(detector: str, transaction_id: str):
            record, row = found(detector, transaction_id)
            record.columns["x"][row, place] += 1e-6
            return record, row

        monkeypatch.setattr(engine.ledger, "find", changed)
        sent = next(each for each in reversed(ids) if found("mine", each)[0].columns["text:sender"][found("mine", each)[1]])
        same = verify(engine.ledger, declared, sent, None, index=KeyIndex(engine.ledger, declared))
    assert [name for name, _, _ in same.differences] == ["sender_sum_amount_1h"]
    assert same.way == "log", "the whole log has the last word"
    assert "sender_sum_amount_1h differs" in same.whole_log


def test_a_log_that_an_index_does_not_belong_to_is_replayed_as_a_whole(tmp_path) -> None:
    declared, clock = detector([sender.count("ever"), shop.count("1h")], "1h"), Clock()
    for name in ("one", "other"):
        with Engine(declared, data=tmp_path / name, clock=clock) as engine:
            ids = played(engine, clock, random.Random(name), 40)
    with FileLedger(tmp_path / "one" / "ledger") as one, FileLedger(tmp_path / "other" / "ledger") as other:
        strange = KeyIndex(one, declared)
        strange.index()
        found = [verify(other, declared, each, None, index=strange) for each in ids]
    assert all(each.identical for each in found)
    assert {each.way for each in found} >= {"log"}


def test_an_event_that_finds_its_key_forgotten_is_not_too_late_for_it(tmp_path) -> None:
    declared = detector([sender.count("10m")], "1h")
    with Engine(declared, data=tmp_path, clock=Clock()) as engine:
        for number, (who, hours) in enumerate([("a", 0), ("b", 3), ("a", -2), ("a", -1.99)]):
            engine.decide(Payment(f"t{number}", START + timedelta(hours=hours - 24), who, None, 1, 1.0))
        assert engine.ledger.find("mine", "t3")[0].columns["x"][0, declared.plan.layout["sender_count_10m"].index] == 2
        found = verify(engine.ledger, declared, "t3", None, index=KeyIndex(engine.ledger, declared))
    assert (found.identical, found.way, found.events_replayed) == (True, "keys", 2)


def test_an_engine_indexes_beside_its_decisions_until_it_is_closed(tmp_path) -> None:
    declared, clock = detector(BOUNDED, "1h"), Clock()
    with Engine(declared, data=tmp_path, clock=clock) as engine:
        engine.index_keys()
        ids = played(engine, clock, random.Random(7), 30)
        engine.ledger.flush()
        wait_until(lambda: engine.key_index.behind == 0)
        found = [verify(engine.ledger, declared, each, None, index=engine.key_index) for each in ids]
        assert all(each.identical and each.way == "keys" for each in found)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_service_keeps_the_index_unless_it_is_told_not_to(tmp_path, wanted: bool) -> None:
    settings = Settings(data=tmp_path, models=tmp_path / "models", index_keys=wanted)
    with open_engine(detector(BOUNDED, "1h"), settings) as engine:
        assert (engine.key_index is not None) == wanted
    assert (tmp_path / "ledger" / "keys").exists() == wanted
