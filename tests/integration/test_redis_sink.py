"""The sink into a real Redis: exactly what the records say, once, by the owner in charge, and through an outage."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import redis as client_library

from penstock import Detector, Engine, Entity, Label, Policy, Rule, derive
from penstock.adapters.redis_sink import RedisSink, sink
from penstock.errors import ConfigurationError, Fenced, SinkUnavailable


class Payment(msgspec.Struct):
    """An event with everything that a profile can hold."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    terminal_id: str | None
    amount: float
    online: bool | None = None
    sender: str | None = None
    receiver: str | None = None
    place: float | None = None
    is_fraud: bool | None = None


customer, terminal, place = Entity("customer_id"), Entity("terminal_id"), Entity("place")
pair = Entity("customer_id", "terminal_id", name="pair")
spot = Entity("terminal_id", "place", name="spot")
account = Entity("account", roles={"sent": "sender", "received": "receiver"})
detector = Detector(
    "shop",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    label=Label("is_fraud", delay="1h"),
    features=[
        customer.count("1h"),
        customer.mean("amount", "7d", current=False).named("usual_amount"),
        customer.std("amount", "7d"),
        customer.last("terminal_id").named("previous_terminal"),
        customer.last("online", within="1h").named("was_online"),
        customer.last("place", within="30m").named("previous_place"),
        terminal.sum("amount", "24h"),
        pair.count("7d"),
        spot.max("amount", "1h"),
        place.count("1h"),
        account.sum("amount", "1h", role="received").named("sender_received"),
        account.count("1h", at="received").named("receiver_count"),
        derive("far_more", "amount_ratio > 3"),
        derive("amount_ratio", "amount / usual_amount"),
        derive("share", "terminal_sum_amount_24h / customer_count_1h"),
        derive("is_night", "hour(timestamp) < 6"),
    ],
    rules=[Rule("large", "amount > 90", then="block"), Rule("much", "customer_count_1h > 5", then="review")],
    policy=Policy(review_at=0.5, block_at=0.8),
    lateness="1h",
)
KEYS = {
    "customer": ["customer_id"],
    "terminal": ["terminal_id"],
    "pair": ["customer_id", "terminal_id"],
    "spot": ["terminal_id", "place"],
    "place": ["place"],
}
FEATURES = {
    "customer": ["customer_count_1h", "usual_amount", "customer_std_amount_7d", "previous_terminal", "was_online"],
    "terminal": ["terminal_sum_amount_24h"],
    "pair": ["pair_count_7d"],
    "spot": ["spot_max_amount_1h"],
    "place": ["place_count_1h"],
}
FEATURES["customer"] += ["previous_place", "far_more", "amount_ratio", "share"]
FEATURES["terminal"].append("share")
ROLES = [("sent", "sender", ["sender_received"]), ("received", "receiver", ["receiver_count"])]


def events(n: int, seed: int = 0) -> list[dict]:
    chance, start = random.Random(seed), datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    for i in range(n):
        late_s = chance.choice([0] * 9 + [900])
        found.append(
            {
                "transaction_id": f't,{i}"scores":é',
                "timestamp": (start + timedelta(seconds=30 * i - late_s, milliseconds=chance.choice([0, 0, 250]))).isoformat(),
                "customer_id": f"c{chance.randrange(12)}",
                "terminal_id": chance.choice([None, "käse|1", "x" * 40, "t1", "t2"]),
                "amount": round(chance.uniform(0, 100), 2),
                "online": chance.choice([None, True, False]),
                "sender": f"a{chance.randrange(5)}",
                "receiver": chance.choice([None, "a1", "a2"]),
                "place": chance.choice([None, 1.5, 2, -0.000125]),
            }
        )
    return found


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(detector) as opened:
        yield opened


@pytest.fixture
def store(redis_url: str) -> Iterator[client_library.Redis]:
    with client_library.Redis.from_url(redis_url, decode_responses=True) as opened:
        yield opened


def decide(engine: Engine, stream: list[dict], batch: int = 37) -> None:
    for start in range(0, len(stream), batch):
        engine.decide_json([json.dumps(event).encode() for event in stream[start : start + batch]])


def records(engine: Engine, start: int = 0) -> list:
    return list(engine.ledger.read(start))


def decisions(engine: Engine) -> list[bytes]:
    return [body for _, record in records(engine) for body in engine.queries.render(record, range(len(record)))]


def as_text(token: bytes) -> str | None:
    """The value of a decision's JSON as a profile shows it."""
    value = json.loads(token)
    return value if isinstance(value, str | None) else token.decode()


def number(value: float | None) -> str | None:
    return None if value is None else str(int(value)) if float(value).is_integer() else repr(float(value))


def expected(engine: Engine, stream: list[dict]) -> dict[str, dict[str, str]]:
    """The naive answer: profiles from the decisions' JSON, event by event, the latest event of each key."""
    shown: dict[str, dict[str, str]] = {}
    for event, body in zip(stream, decisions(engine), strict=True):
        decided = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        at = json.loads(bytes(decided["event_time"]))
        features = msgspec.json.decode(decided["features"], type=dict[str, msgspec.Raw])
        values = {name: as_text(bytes(token)) for name, token in features.items()}
        profiles = [(name, "as_of", key_of(event, fields), FEATURES[name]) for name, fields in KEYS.items()]
        profiles += [("account", f"as_of_{role}", str(event[field]), names) for role, field, names in ROLES]
        for entity, as_of, key, names in profiles:
            if "None" in key.split("|"):
                continue
            profile = shown.setdefault(f"penstock:shop:{entity}:{key}", {})
            if as_of not in profile or datetime.fromisoformat(profile[as_of]) <= datetime.fromisoformat(at):
                profile.update({as_of: at} | {name: values[name] for name in names if values[name] is not None})
                for name in names:
                    if values[name] is None:
                        profile.pop(name, None)
    return shown


def key_of(event: dict, fields: list[str]) -> str:
    return "|".join(str(number(event[field]) if field == "place" else event[field]) for field in fields)


@contextmanager
def hearing_of(store: client_library.Redis, *channels: str) -> Iterator[Callable[[], list[dict]]]:
    """Subscribes; what is yielded gives all messages so far, of which the last is one of its own: they come in order."""
    with store.pubsub(ignore_subscribe_messages=True) as hearing:
        for channel in (*channels, "ends"):
            hearing.subscribe(channel)
            hearing.get_message(timeout=60)

        def heard() -> list[dict]:
            store.publish("ends", "")
            found = []
            while (message := hearing.get_message(timeout=60)) is not None and message["channel"] != "ends":
                found.append(message)
            assert message is not None, "the server tells nobody anything"
            return found

        yield heard


def shown(store: client_library.Redis) -> dict[str, dict[str, str]]:
    names = [name for entity in (*KEYS, "account") for name in store.scan_iter(f"penstock:shop:{entity}:*")]
    return {name: store.hgetall(name) for name in names}


@pytest.mark.parametrize("most_rows", [5, 512])
def test_profiles_and_decisions_are_exactly_what_the_records_say(engine, store, redis_url, monkeypatch, most_rows):
    monkeypatch.setattr(sink, "MOST_ROWS", most_rows)
    stream = events(400)
    decide(engine, stream)
    written = RedisSink.of(redis_url, engine, entities=[*KEYS, "account"])
    assert written.begin(1) == 0
    written.write(records(engine))
    written.close()
    assert shown(store) == expected(engine, stream)
    bodies = decisions(engine)
    for event, body in zip(stream, bodies, strict=True):
        assert store.get(f"penstock:shop:decision:{event['transaction_id']}").encode() == body
    assert 0 < store.ttl(f"penstock:shop:decision:{stream[0]['transaction_id']}") <= 86_400
    assert store.ttl("penstock:shop:customer:c1") > 86_400


def test_entities_with_keys_of_one_field_are_published_unless_others_are_named(engine, store, redis_url):
    decide(engine, events(50))
    for sink_of in (RedisSink.of(redis_url, engine), RedisSink.of(redis_url, engine, owner="1", entities=["pair"])):
        sink_of.begin(1)
        sink_of.write(records(engine))
        sink_of.close()
        found = {name.split(":")[2] for name in shown(store)}
        store.delete(*shown(store))
        assert found == ({"customer", "terminal", "place", "account"} if "customer" in found else {"pair"})


def test_both_roles_of_an_account_stand_in_its_profile(engine, store, redis_url):
    base = {"customer_id": "c", "terminal_id": None, "amount": 3.5}
    transfers = [("a", "b"), ("b", "a"), ("a", "c")]
    stream = [
        base | {"transaction_id": str(i), "timestamp": f"2026-01-01T00:00:0{i}Z", "sender": sender, "receiver": receiver}
        for i, (sender, receiver) in enumerate(transfers)
    ]
    decide(engine, stream)
    written = RedisSink.of(redis_url, engine, entities=["account"])
    written.begin(1)
    written.write(records(engine))
    written.close()
    assert shown(store) == {
        "penstock:shop:account:a": {
            "as_of_sent": "2026-01-01T00:00:02Z",
            "sender_received": "3.5",
            "as_of_received": "2026-01-01T00:00:01Z",
            "receiver_count": "2",
        },
        "penstock:shop:account:b": {
            "as_of_sent": "2026-01-01T00:00:01Z",
            "sender_received": "3.5",
            "as_of_received": "2026-01-01T00:00:00Z",
            "receiver_count": "1",
        },
        "penstock:shop:account:c": {"as_of_received": "2026-01-01T00:00:02Z", "receiver_count": "1"},
    }


def test_a_key_that_gets_a_value_back_to_null_loses_the_field(engine, store, redis_url):
    base = {"customer_id": "c", "terminal_id": "t", "amount": 3, "online": True}
    times = ["2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", "2026-01-01T05:00:00Z"]
    written = RedisSink.of(redis_url, engine)
    at = written.begin(1)
    seen = []
    for i, time in enumerate(times):
        decide(engine, [base | {"transaction_id": str(i), "timestamp": time}])
        fresh = records(engine, at)
        written.write(fresh)
        at = fresh[-1][0] + 1
        seen.append(store.hget("penstock:shop:customer:c", "was_online"))
    written.close()
    assert seen == [None, "true", None]


def test_subscribers_hear_of_every_decision_and_of_blocks_apart(engine, store, redis_url):
    stream = events(60)
    decide(engine, stream)
    with hearing_of(store, "penstock:shop:decisions", "penstock:shop:alerts") as hearing:
        written = RedisSink.of(redis_url, engine)
        written.begin(1)
        written.write(records(engine))
        written.close()
        heard: dict[str, list[dict]] = {"decisions": [], "alerts": []}
        for message in hearing():
            heard[message["channel"].rpartition(":")[2]].append(json.loads(message["data"]))
    full = [json.loads(body) for body in decisions(engine)]
    assert [one["transaction_id"] for one in heard["decisions"]] == [event["transaction_id"] for event in stream]
    assert heard["decisions"] == [{name: one[name] for name in heard["decisions"][0]} for one in full]
    assert {"event_time", "decision", "fraud_probability"} <= heard["decisions"][0].keys()
    assert heard["alerts"] == [one for one in heard["decisions"] if one["decision"] == "BLOCK"] != []


def test_an_older_owner_writes_nothing(engine, store, redis_url):
    decide(engine, events(20))
    old, new = RedisSink.of(redis_url, engine), RedisSink.of(redis_url, engine)
    old.begin(5)
    new.begin(9)
    before = sorted(store.scan_iter("*"))
    with pytest.raises(Fenced, match="number 9"):
        old.write(records(engine))
    with pytest.raises(Fenced, match="number 5"):
        old.begin(5)
    assert sorted(store.scan_iter("*")) == before == ["penstock:shop:fence"]
    new.write(records(engine))
    assert store.exists("penstock:shop:customer:c1")
    old.close()
    new.close()


def test_a_new_owner_goes_on_where_the_last_one_stopped_and_repeats_nothing(engine, store, redis_url, monkeypatch):
    monkeypatch.setattr(sink, "MOST_ROWS", 10)  # so that the stop falls into the middle of a record
    stream = events(100)
    stream[25]["customer_id"] = "odd"
    decide(engine, stream)
    store.set("penstock:shop:customer:odd", "of another type: the third of four scripts sent at once fails")
    first = RedisSink.of(redis_url, engine)
    first.begin(1)
    with pytest.raises(SinkUnavailable, match="refuses"):
        first.write(records(engine))
    first.close()
    store.delete("penstock:shop:customer:odd")
    stopped_at = store.hgetall("penstock:shop:cursor")
    assert int(stopped_at["row"]) == 20
    assert not store.exists(f"penstock:shop:decision:{stream[35]['transaction_id']}")
    with hearing_of(store, "penstock:shop:decisions") as hearing:
        second = RedisSink.of(redis_url, engine)
        position = second.begin(2)
        assert position == int(stopped_at["position"])
        second.write(records(engine, position))
        heard = len(hearing())
    second.close()
    done = sum(len(record) for at, record in records(engine) if at < position) + int(stopped_at["row"])
    assert heard == len(stream) - done
    assert shown(store).keys() >= {"penstock:shop:customer:c1"}


def test_the_same_records_again_change_nothing_and_are_not_told_again(engine, store, redis_url):
    decide(engine, events(50))
    written = RedisSink.of(redis_url, engine)
    written.begin(1)
    written.write(records(engine))
    written.reached = 0, 0  # as after a write whose answer was lost
    with hearing_of(store, "penstock:shop:decisions") as hearing:
        written.write(records(engine))
        assert hearing() == []
    written.close()


def test_records_of_other_kinds_only_move_the_cursor(engine, redis_url):
    decide(engine, events(5))
    engine.label('t,0"scores":é', fraud=True, at=datetime(2026, 1, 2, tzinfo=UTC))
    engine.ledger.flush()
    written = RedisSink.of(redis_url, engine)
    written.begin(1)
    written.write(records(engine))
    assert written.begin(1) == records(engine)[-1][0] + 1
    written.close()


def test_a_server_that_is_away_is_unavailable_and_then_written_to(engine, redis, redis_url, store):
    decide(engine, events(40))
    written = RedisSink.of(redis_url, engine)
    written.begin(1)
    redis.stop()
    with pytest.raises(SinkUnavailable, match="tried again"):
        written.write(records(engine))
    redis.start()
    written.write(records(engine))
    assert len(list(store.scan_iter("penstock:shop:decision:*"))) == 40
    written.close()


def test_a_key_of_another_type_is_trouble_that_is_told_to_nobody_else(engine, redis_url, store):
    decide(engine, events(10))
    store.set("penstock:shop:customer:c1", "not a hash")
    written = RedisSink.of(redis_url, engine)
    written.begin(1)
    with hearing_of(store, "penstock:shop:decisions") as hearing:
        with pytest.raises(SinkUnavailable, match="WRONGTYPE"):
            written.write(records(engine))
        assert hearing() == []
    assert not store.exists("penstock:shop:cursor")
    store.delete("penstock:shop:customer:c1")
    written.write(records(engine))
    assert store.type("penstock:shop:customer:c1") == "hash"
    written.close()


def test_a_server_that_lost_its_scripts_is_written_to_all_the_same(engine, redis, redis_url, store):
    decide(engine, events(10))
    written = RedisSink.of(redis_url, engine)
    written.begin(1)
    store.script_flush()
    written.write(records(engine))
    assert store.exists("penstock:shop:customer:c1")
    written.close()


def test_every_shard_has_a_fence_and_a_cursor_of_its_own(engine, redis_url, store):
    decide(engine, events(10))
    one, other = RedisSink.of(redis_url, engine), RedisSink.of(redis_url, engine, owner="1")
    one.begin(7)
    assert other.begin(3) == 0
    one.write(records(engine))
    assert other.begin(3) == 0
    assert store.get("penstock:shop:fence:1") == "3"
    one.close()
    other.close()


def test_what_cannot_be_used_is_refused_with_the_reason(engine):
    with pytest.raises(ConfigurationError, match="redis://HOST:PORT"):
        RedisSink.of("kafka://localhost", engine)
    with pytest.raises(ConfigurationError, match="no entity 'custmer'"):
        RedisSink.of("redis://localhost", engine, entities=["custmer"])
