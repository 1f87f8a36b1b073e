"""What is particular to Redis as a broker: what it forgets, how long streams grow, what it holds when it is full."""

import time
from collections.abc import Iterator

import msgspec
import pytest
from redis import Redis

from penstock.adapters.redis_stream import RedisBroker
from penstock.adapters.redis_stream.address import RedisAddress
from penstock.errors import BrokerError, BrokerUnavailable, ConfigurationError, Fenced
from penstock.stream.port import Outgoing, Unit
from tests.contract.test_brokers import bodies, read
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess
from tests.waiting import wait_until


@pytest.fixture
def client(redis_url) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def opened():
    """Closes what it is given, the last one first."""
    parts = []
    yield lambda part: parts.append(part) or part
    for part in reversed(parts):
        part.close()


@pytest.fixture
def broker(redis_url, client, opened):
    """Makes brokers, their streams created: broker(keep=0)."""

    def make(**limits):
        query = "".join(f"&{name}={value}" for name, value in limits.items())
        made = opened(RedisBroker(f"{redis_url}?prefix=t.{query}", "banking"))
        made.create()
        return made

    return make


@pytest.fixture
def own(opened):
    def owned(broker, places=None):
        inbox = opened(opened(broker.candidate("a")).claim(0))
        inbox.begin(places or {})
        return inbox

    return owned


def put(client, *events):
    for event in events:
        client.xadd("t.transactions", {"event": event})


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", "names no Redis"),
        ("redis://h/transactions", r"'transactions' is not one.*redis://h\?prefix=transactions\."),
        ("redis://:secret@h/x", r"redis://h\?prefix=x\."),
        ("redis://h?decision=x", "'decision' is not known; there are prefix, keep"),
        ("redis://h?keep=many", "keep='many'"),
    ],
)
def test_an_address_that_says_something_else_is_refused(url, said):
    with pytest.raises(ConfigurationError, match=said):
        RedisAddress.of(url)


def test_valkey_is_spoken_to_as_redis_is():
    assert RedisAddress.of("valkeys://a/1?ssl_ca_certs=/ca.pem").url == "rediss://a/1?ssl_ca_certs=%2Fca.pem"


def test_a_stream_has_one_shard(broker):
    with pytest.raises(ConfigurationError, match="one shard, not 2; a detector that needs several owners needs Kafka"):
        broker().create(2)


def test_a_server_that_throws_keys_away_is_refused(broker, client):
    client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(BrokerError, match="set maxmemory-policy noeviction"):
        broker()


def test_a_key_of_another_kind_is_named(broker, client):
    client.set("t.labels", "x")
    with pytest.raises(BrokerError, match=r"stream 't\.labels' cannot be created: .*WRONGTYPE"):
        broker()


# ---------------------------------------------------------------- messages of others


def test_a_message_is_the_field_event_or_the_only_field(broker, client, own):
    inbox = own(broker())
    client.xadd("t.transactions", {"event": "a", "key": "k"})
    client.xadd("t.transactions", {"payload": "b"})
    client.xadd("t.transactions", {"amount": "1", "user": "u"})
    assert bodies(read(inbox, 3)) == [b"a", b"b", b"amount 1 user u"]


def test_large_messages_are_not_all_read_at_once(broker, client, own):
    inbox = own(broker())
    for k in range(24):
        client.xadd("t.transactions", {"event": bytes([k]) * 1_000_000})
    first = inbox.poll(1_000, 1)
    assert sum(len(message.body) for message in first) <= 8 << 20
    assert [body[0] for body in bodies(first + read(inbox, 24 - len(first)))] == list(range(24))
    for k in range(24):
        client.xadd("t.transactions", {"event": bytes([k]) * 1_000_000})
    inbox.poll(1_000, 1)
    assert len(inbox.waiting) < 12


# ---------------------------------------------------------------- commits


def test_a_commit_whose_answer_was_lost_is_not_written_twice(broker, client, own):
    put(client, "t1")
    made = broker()
    inbox = own(made)
    run, lost = inbox.committing.run, iter([True, True])

    def runs(*words):
        answer = run(*words)
        if next(lost, False):
            raise BrokerUnavailable("nobody heard it")
        return answer

    inbox.committing.run = runs
    place = inbox.commit(Unit(b"entry", [Outgoing("decisions", "k", b"d")], read(inbox, 1)))
    assert inbox.commit(Unit(b"next", [Outgoing("decisions", "k", b"e")])) != place
    assert [fields[b"event"] for _, fields in client.xrange("t.decisions")] == [b"d", b"e"]
    assert [fields[b"entry"] for _, fields in client.xrange("t.journal")] == [b"entry", b"next"]


def test_a_batch_of_a_producer_whose_answer_was_lost_is_not_written_twice(broker, client, opened):
    outlet = opened(broker().outlet())
    run, lost = outlet.line.run, iter([True])

    def runs(*words):
        answer = run(*words)
        if next(lost, False):
            raise BrokerUnavailable("nobody heard it")
        return answer

    outlet.line.run = runs
    told = []
    outlet.put("transactions", "", b"t1", told.append)
    outlet.put("labels", "", b"l1", told.append)
    assert outlet.flush(60) == 0
    assert told == [None, None]
    assert (client.xlen("t.transactions"), client.xlen("t.labels")) == (1, 1)


def test_a_unit_that_cannot_be_written_as_a_whole_is_not_written_at_all(broker, client, own):
    put(client, "t1")
    inbox = own(broker())
    messages = read(inbox, 1)
    client.delete("t.alerts")
    client.set("t.alerts", "x")
    with pytest.raises(BrokerError, match=r"t\.alerts is a string"):
        inbox.commit(Unit(b"entry", [Outgoing("decisions", "k", b"d"), Outgoing("alerts", "k", b"a")], messages))
    assert (client.xlen("t.journal"), client.xlen("t.decisions")) == (0, 0)
    client.delete("t.alerts")
    inbox.commit(Unit(b"entry", [Outgoing("decisions", "k", b"d")], messages))
    assert (client.xlen("t.journal"), client.xlen("t.decisions")) == (1, 1)


def test_scripts_that_the_server_has_forgotten_are_sent_again(broker, client, own):
    inbox = own(broker())
    client.script_flush()
    assert inbox.commit(Unit(b"entry")) is not None


def test_the_group_shows_how_far_the_inbox_is_read(broker, client, own):
    put(client, *"abcd")
    made = broker()
    inbox = own(made)
    messages = read(inbox, 4)
    assert client.xinfo_groups("t.transactions")[0]["lag"] == 4
    inbox.commit(Unit(b"entry", [], messages[:3]))
    (group,) = client.xinfo_groups("t.transactions")
    assert (group["lag"], group["pending"], group["last-delivered-id"].decode()) == (1, 0, messages[2].place)


# ---------------------------------------------------------------- how long streams grow


def test_what_is_taken_in_is_trimmed_and_what_is_not_stays(broker, client, own):
    inbox = own(broker(keep=200, keep_out=100))
    for _ in range(20):
        put(client, *["x" * 900] * 100)
        messages = read(inbox, 100)
        inbox.commit(Unit(b"entry", [Outgoing("decisions", "k", b"y" * 900) for _ in messages], messages))
    put(client, *["x" * 900] * 1_000)
    inbox.commit(Unit(b"entry", [], read(inbox, 10)))
    assert 1_190 <= client.xlen("t.transactions") <= 1_310
    assert 100 <= client.xlen("t.decisions") <= 210
    assert client.xlen("t.journal") == 21
    assert len(read(inbox, 990)) == 990


def test_a_follower_that_is_behind_a_journal_cut_short_is_told_what_to_do(broker, client, own, opened):
    made = broker(keep_journal=10)
    inbox = own(made)
    first = inbox.commit(Unit(b"x" * 5_000))
    behind, fresh = opened(made.journal(0, first)), opened(made.journal(0, None))
    places = [inbox.commit(Unit(b"x" * 5_000)) for _ in range(50)]
    for journal in (behind, fresh):
        with pytest.raises(BrokerError, match=r"no longer holds what follows .*copy the data folder"):
            journal.poll(1)
    near, found = opened(made.journal(0, places[-2])), []
    wait_until(lambda: found.extend(near.poll(1)) or found, 60)
    assert [place for place, _ in found] == places[-1:]


# ---------------------------------------------------------------- what Redis forgets


def test_an_owner_whose_server_has_forgotten_everything_says_so(broker, client, own, opened):
    made = broker()
    inbox = own(made)
    place = inbox.commit(Unit(b"entry"))
    journal = opened(made.journal(0, place))
    client.flushall()
    with pytest.raises(BrokerError, match="Redis has forgotten what it had confirmed"):
        inbox.commit(Unit(b"next"))
    with pytest.raises(BrokerError, match="forgotten"):
        inbox.commit(Unit())
    with pytest.raises(BrokerError, match="remove ledger/ and state/ from the data folder"):
        journal.end()


def test_an_owner_whose_server_has_forgotten_the_last_units_says_so(broker, client, own):
    inbox = own(broker())
    for _ in range(3):
        inbox.commit(Unit(b"entry"))
    client.hset("t.journal.owner", "unit", 1)  # as after a loss of power, with appendfsync everysec
    with pytest.raises(BrokerError, match="unit 1 where it was 3"):
        inbox.commit(Unit(b"next"))
    assert client.xlen("t.journal") == 3


# ---------------------------------------------------------------- when memory is full


def test_a_full_server_takes_no_more_in_while_the_owner_works_off_what_waits(broker, client, own, opened):
    made = broker(keep=0)
    outlet, inbox = opened(made.outlet()), own(made)
    put(client, *["x" * 900] * 500)
    messages = read(inbox, 500)
    client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
    told = []
    outlet.put("transactions", "", b"t", told.append)
    wait_until(lambda: outlet.trouble is not None)
    assert "can take nothing for now" in outlet.trouble
    inbox.commit(Unit(b"entry", [Outgoing("decisions", "k", b"d")], messages))
    assert client.xlen("t.transactions") < 100
    client.config_set("maxmemory", 0)
    wait_until(lambda: told == [None])


# ---------------------------------------------------------------- election


def test_an_owner_whose_lease_was_taken_reads_no_more(broker, own):
    made = broker()
    earlier = own(made)
    own(made)
    until = time.monotonic() + 60
    with pytest.raises(Fenced, match="goes to another worker"):
        while time.monotonic() < until:
            earlier.poll(1, 0.05)


# ---------------------------------------------------------------- labels


@pytest.mark.slow
def test_a_label_of_the_same_millisecond_waits_for_its_transaction(redis_url, client, tmp_path):
    """A producer's batch arrives in one millisecond, and may be longer than what is read at once."""
    behind = Behind(redis_url, "crash")
    events = crash_worker.events(1_500)
    for number, event in enumerate(events, start=1):
        client.xadd("transactions", {"event": msgspec.json.encode(event)}, id=f"1700000000000-{number}")
    client.xadd("labels", {"event": b'{"transaction_id": "tx1499", "fraud": true}'}, id="1700000000000-1")
    process = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "w")
    try:
        wait_until(lambda: client.xinfo_groups("labels")[0]["lag"] == 0 and len(behind.bodies("decisions")) == 1_500)
        assert behind.bodies("quarantine") == []
    finally:
        process.end()
        behind.close()
