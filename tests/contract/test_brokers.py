"""What every broker owes (penstock/stream/port.py), asked of the real servers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.waiting import wait_until

from deploy.infra import Server
from penstock.adapters.kafka.candidate import SESSION_S
from penstock.adapters.redis_stream.candidate import LEASE_S
from penstock.errors import BrokerError, Fenced
from penstock.stream.port import Broker, Candidate, Derive, Inbox, Journal, Message, Outgoing, Unit, nothing
from penstock.wiring.streams import open_broker

DETECTOR = "banking"
slow_on_kafka = pytest.mark.parametrize("kind", [pytest.param("kafka", marks=pytest.mark.slow), "redis"])
slow_on_both = pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in ("kafka", "redis")])


@dataclass
class Bench:
    """A broker on a real server, and everything that was opened on it, closed in the end."""

    url: str
    server: Server
    broker: Broker
    opened: ExitStack = field(default_factory=ExitStack)

    def using(self, part: Any) -> Any:
        self.opened.callback(part.close)
        return part

    def put(self, *bodies: bytes, role: str = "transactions") -> None:
        outlet = self.broker.outlet()
        for body in bodies:
            outlet.put(role, "", body)
        assert outlet.flush(60) == 0
        outlet.close()

    def candidate(self, name: str = "a") -> Candidate:
        return self.using(self.broker.candidate(name))

    def own(self, candidate: Candidate, places: dict[str, str] | None = None, derive: Derive = nothing) -> Inbox:
        inbox = self.using(candidate.claim(0))
        inbox.begin(places or {}, derive)
        return inbox

    def entries(self, after: str | None = None, number: int = 0, last: bytes = b"") -> list[tuple[str, bytes]]:
        """The journal, to its end; readers may see a commit a moment after its owner, so it is said how much to wait for: so
        many entries, or one that holds `last`."""
        journal: Journal = self.broker.journal(0, after)
        found: list[tuple[str, bytes]] = []
        until = time.monotonic() + 60
        while not journal.end() or len(found) < number or (last and not (found and last in found[-1][1])):
            assert time.monotonic() < until, "the journal has no end"
            found += journal.poll(0.1)
        assert not journal.poll(0.05)
        journal.close()
        return found


def read(inbox: Inbox, number: int, seconds: float = 60) -> list[Message]:
    """So many messages."""
    found: list[Message] = []
    until = time.monotonic() + seconds
    while len(found) < number and time.monotonic() < until:
        found += inbox.poll(number - len(found), 0.2)
    return found


def bodies(messages: list[Message], role: str = "transactions") -> list[bytes]:
    return [message.body for message in messages if message.role == role]


@pytest.fixture(params=["kafka", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def bench(kind: str, request: pytest.FixtureRequest) -> Iterator[Bench]:
    server = request.getfixturevalue(kind)
    prefix = request.getfixturevalue("topic_prefix").rstrip(".") if kind == "kafka" else ""
    url = f"{server.url}/{prefix}" if kind == "kafka" else f"{request.getfixturevalue('redis_url')}?prefix=t."
    broker = open_broker(url, DETECTOR)
    assert broker.shards() == 0
    assert len(broker.create()) == {"kafka": 8, "redis": 7}[kind]  # Kafka's has one for how far is published
    made = Bench(url, server, broker)
    yield made
    server.start()  # whatever the test did to it
    made.opened.close()
    broker.close()


# ---------------------------------------------------------------- topics


def test_topics_are_created_once(bench):
    assert bench.broker.shards() == 1
    assert bench.broker.create() == []


def test_a_message_carries_the_trace_of_whoever_sent_it(bench):
    outlet = bench.broker.outlet()
    traces = [b"00-000102030405060708090a0b0c0d0e0f-0102030405060708-01", b"", b"00-%032x-%016x-00" % (7, 9)]
    for number, trace in enumerate(traces):
        outlet.put("transactions", "", b"%d" % number, trace=trace)
    assert outlet.flush(60) == 0
    outlet.close()
    found = read(bench.own(bench.candidate()), 3)
    assert [(message.body, message.trace) for message in found] == [(b"%d" % k, trace) for k, trace in enumerate(traces)]


def test_an_inbox_is_caught_up_once_it_has_given_out_every_transaction(bench):
    """Not where it has given out labels alone: topics are read side by side, and one may be far ahead of the other."""
    inbox = bench.own(bench.candidate())
    for turn in range(1, 4):
        bench.put(*(b"t" * 1_000 for _ in range(500)))
        bench.put(*(b"l" for _ in range(50)), role="labels")
        found = []
        while len(found) < 550:
            found += inbox.poll(20, 0.2)
            assert inbox.caught_up() == (len(bodies(found)) == 500), f"turn {turn}: {len(bodies(found))} of 500"
        assert inbox.caught_up()


def test_an_inbox_is_caught_up_behind_messages_of_a_senders_transaction(bench):
    """Kafka ends such a transaction with a mark of its own in the topic."""
    inbox = bench.own(bench.candidate())
    inbox.commit(Unit(b"entry", [Outgoing("transactions", "k", b"t1"), Outgoing("labels", "k", b"l1")]))
    assert sorted(message.body for message in read(inbox, 2)) == [b"l1", b"t1"]
    wait_until(lambda: not inbox.poll(10, 0.05) and inbox.caught_up())


def test_transactions_are_read_alone_on_request(bench):
    inbox = bench.own(bench.candidate())
    assert inbox.poll(10, 0.05, transactions_only=True) == []
    bench.put(b"l1", role="labels")
    bench.put(b"t1")
    found = []
    wait_until(lambda: found.extend(inbox.poll(10, 0.1, transactions_only=True)) or bool(found))
    bench.put(b"t2")
    wait_until(lambda: found.extend(inbox.poll(10, 0.1, transactions_only=True)) or len(found) == 2)
    assert bodies(found) == [b"t1", b"t2"]
    assert bodies(read(inbox, 1), "labels") == [b"l1"]


# ---------------------------------------------------------------- units


def test_a_unit_is_committed_as_a_whole(bench):
    bench.put(b"t1", b"t2", b"t3")
    candidate = bench.candidate()
    inbox = bench.own(candidate)
    messages = read(inbox, 3)
    assert bodies(messages) == [b"t1", b"t2", b"t3"]
    place = inbox.commit(Unit(b"entry", [Outgoing("labels", "k", b"out1"), Outgoing("labels", "k", b"out2")], messages))
    assert bench.entries(number=1) == [(place, b"entry")]
    assert bodies(read(inbox, 2), "labels") == [b"out1", b"out2"]
    inbox.close()
    assert bodies(read(bench.own(candidate), 3, 1)) == []


def test_messages_arrive_when_the_broker_took_them(bench):
    before_us = time.time_ns() // 1000
    bench.put(b"t1")
    (message,) = read(bench.own(bench.candidate()), 1)
    assert before_us - 2_000 <= message.arrived_us <= time.time_ns() // 1000
    assert (message.role, message.shard) == ("transactions", 0)


def test_a_unit_without_an_entry_has_no_place(bench):
    bench.put(b"t1")
    inbox = bench.own(bench.candidate())
    assert inbox.commit(Unit(b"", [], read(inbox, 1))) is None
    assert bench.entries() == []


def test_several_units_follow_one_another(bench):
    bench.put(*(b"t%d" % k for k in range(300)))
    inbox = bench.own(bench.candidate())
    seen, places = [], []
    while len(seen) < 300:
        messages = inbox.poll(37, 1.0)
        seen += bodies(messages)
        places.append(inbox.commit(Unit(b"entry %d" % len(seen), [], messages)))
    assert seen == [b"t%d" % k for k in range(300)]
    assert [place for place, _ in bench.entries(number=len(places))] == places


def test_a_large_message_travels_whole(bench):
    large = b"x" * 5_000_000
    bench.put(large, b"small")
    inbox = bench.own(bench.candidate())
    assert bodies(read(inbox, 2)) == [large, b"small"]


def test_the_lag_is_what_waits(bench):
    bench.put(*(b"t%d" % k for k in range(50)))
    inbox = bench.own(bench.candidate())
    messages = read(inbox, 50)
    inbox.commit(Unit(b"entry", [], messages[:20]))
    wait_until(lambda: inbox.poll(1, 0.1) == [] and inbox.lag() == 30)
    inbox.commit(Unit(b"entry", [], messages[20:]))
    wait_until(lambda: inbox.poll(1, 0.1) == [] and inbox.lag() == 0)
    assert inbox.trouble is None


# ---------------------------------------------------------------- owners


def test_what_a_fenced_owner_commits_counts_for_nothing(bench):
    bench.put(b"t1", b"t2")
    earlier = bench.own(bench.candidate("earlier"))
    messages = read(earlier, 2)
    later = bench.own(bench.candidate("later"))
    with pytest.raises(Fenced):
        earlier.commit(Unit(b"of the earlier", [Outgoing("labels", "k", b"out")], messages))
    assert bench.entries() == []
    again = read(later, 2)
    assert bodies(again) == [b"t1", b"t2"]
    place = later.commit(Unit(b"of the later", [], again))
    assert bench.entries(number=1) == [(place, b"of the later")]
    assert bodies(read(later, 1, 0.5), "labels") == []


def test_an_idle_owner_learns_that_it_is_fenced_by_a_unit_of_nothing(bench):
    earlier = bench.own(bench.candidate("earlier"))
    assert earlier.commit(Unit()) is None
    bench.own(bench.candidate("later"))
    with pytest.raises(Fenced):
        earlier.commit(Unit())


def test_a_fenced_owner_that_reads_on_takes_nothing_from_the_new_one(bench):
    earlier = bench.own(bench.candidate("earlier"))
    later = bench.own(bench.candidate("later"))
    bench.put(b"t1", b"t2", b"t3")
    with suppress(Fenced):
        read(earlier, 3, 5)
    assert bodies(read(later, 3)) == [b"t1", b"t2", b"t3"]


@pytest.mark.parametrize("known", ["to the broker", "from the journal"])
def test_a_new_owner_begins_exactly_behind_the_last_commit(bench, known):
    bench.put(*(b"t%d" % k for k in range(10)))
    bench.put(b"l0", b"l1", role="labels")
    candidate = bench.candidate()
    first = bench.own(candidate)
    messages = read(first, 12)
    transactions = [message for message in messages if message.role == "transactions"]
    labels = [message for message in messages if message.role == "labels"]
    assert len(transactions) == 10
    assert len(labels) == 2
    first.commit(Unit(b"entry", [], [*transactions[:4], labels[0]]))
    first.close()
    places = {"transactions": transactions[3].place, "labels": labels[0].place}
    second = bench.own(candidate, places if known == "from the journal" else {})
    rest = read(second, 7)
    assert bodies(rest) == [b"t%d" % k for k in range(4, 10)]
    assert bodies(rest, "labels") == [b"l1"]


def test_places_of_the_journal_count_where_the_broker_knows_less(bench):
    bench.put(b"t1", b"t2", b"t3")
    candidate = bench.candidate()
    first = bench.own(candidate)
    messages = read(first, 3)
    first.close()
    assert bodies(read(bench.own(candidate, {"transactions": messages[1].place}), 1)) == [b"t3"]


# ---------------------------------------------------------------- the journal


def test_the_journal_gives_entries_in_order_and_from_a_place_on(bench):
    inbox = bench.own(bench.candidate())
    assert bench.entries() == []
    places = [inbox.commit(Unit(b"entry %d" % k)) for k in range(100)]
    assert bench.entries(number=100) == [(place, b"entry %d" % k) for k, place in enumerate(places)]
    assert bench.entries(places[41]) == [(place, b"entry %d" % k) for k, place in enumerate(places) if k > 41]
    assert bench.entries(places[-1]) == []


def test_a_follower_sees_what_is_committed_while_it_waits(bench):
    inbox = bench.own(bench.candidate())
    journal = bench.using(bench.broker.journal(0, None))
    wait_until(lambda: not journal.poll(0.05) and journal.end())
    inbox.commit(Unit(b"entry"))
    found = []
    wait_until(lambda: found.extend(journal.poll(0.1)) or bool(found))
    assert [data for _, data in found] == [b"entry"]
    wait_until(lambda: not journal.poll(0.05) and journal.end())


def test_a_reader_reaches_what_was_committed_although_entries_keep_coming(bench):
    inbox, ended = bench.own(bench.candidate()), threading.Event()
    for k in range(20):
        inbox.commit(Unit(b"entry %d" % k))

    def go_on():
        while not ended.wait(0.01):
            inbox.commit(Unit(b"more"))

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        journal, found = bench.using(bench.broker.journal(0, None)), []
        mark = wait_until(journal.mark)
        wait_until(lambda: found.extend(journal.poll(0.05)) or journal.has_read(mark))
    finally:
        ended.set()
        writer.join()
    assert [data for _, data in found[:20]] == [b"entry %d" % k for k in range(20)]


@pytest.mark.parametrize("kind", ["kafka"])
def test_the_journal_ends_where_a_claim_cut_off_what_was_open(bench):
    from confluent_kafka import Producer

    inbox = bench.own(bench.candidate("first"))
    inbox.commit(Unit(b"entry"))
    inbox.close()
    topic = bench.broker.topics.journal
    open_ = Producer({"bootstrap.servers": bench.broker.address.servers, "transactional.id": f"{bench.broker.group}.0.0"})
    open_.init_transactions(60)
    open_.begin_transaction()
    open_.produce(topic, b"never committed", partition=0)
    assert open_.flush(60) == 0
    later = bench.own(bench.candidate("later"))
    assert [data for _, data in bench.entries(number=1)] == [b"entry"]
    place = later.commit(Unit(b"next"))
    assert bench.entries(number=2)[-1] == (place, b"next")


# ---------------------------------------------------------------- election


LONG_SILENCE_S = 120.0


@pytest.fixture
def long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence costs an owner its place only after so many seconds: who is elected sooner owes that to a farewell."""
    monkeypatch.setattr("penstock.adapters.redis_stream.candidate.LEASE_S", LONG_SILENCE_S)
    monkeypatch.setattr("penstock.adapters.kafka.candidate.SESSION_S", LONG_SILENCE_S)


@pytest.mark.usefixtures("long_silence")
def test_one_of_two_is_elected_and_closing_hands_over_at_once(bench):
    first = bench.broker.candidate("first")
    wait_until(lambda: first.elected(0))
    second = bench.candidate("second")
    time.sleep(1.5)
    assert (first.elected(0), second.elected(0)) == (True, False)
    inbox = first.claim(0)
    inbox.begin({})
    inbox.close()
    first.close()
    wait_until(lambda: second.elected(0), within_s=LONG_SILENCE_S / 2)


@pytest.mark.usefixtures("long_silence")
def test_an_owner_that_is_closed_twice_is_closed(bench):
    candidate = bench.broker.candidate("a")
    inbox = candidate.claim(0)
    for part in (inbox, inbox, candidate, candidate):
        part.close()
    following = bench.using(bench.broker.candidate("b"))
    wait_until(lambda: following.elected(0), within_s=LONG_SILENCE_S / 2)


FROZEN = """
import sys, time
from penstock.wiring.streams import open_broker
candidate = open_broker(sys.argv[1], sys.argv[2]).candidate("frozen")
while not candidate.elected(0):
    time.sleep(0.02)
print("elected", flush=True)
time.sleep(600)
"""


@slow_on_both
def test_a_candidate_that_is_frozen_loses_its_place_within_10_s(bench):
    assert max(LEASE_S, SESSION_S) < 7, "which leaves three seconds to notice"
    command = [sys.executable, "-c", FROZEN, bench.url, DETECTOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as frozen:
        try:
            assert frozen.stdout.readline() == b"elected\n"
            standby = bench.candidate("standby")
            os.kill(frozen.pid, signal.SIGSTOP)
            wait_until(lambda: standby.elected(0), within_s=10)
        finally:
            os.kill(frozen.pid, signal.SIGKILL)


# ---------------------------------------------------------------- ways in


def test_an_outlet_tells_what_was_delivered(bench):
    told: list[BaseException | None] = []
    outlet = bench.using(bench.broker.outlet())
    for k in range(1_000):
        outlet.put("transactions", "", b"t%d" % k, told.append)
    assert outlet.flush(60) == 0
    assert told == [None] * 1_000
    messages = read(bench.own(bench.candidate()), 1_000)
    assert bodies(messages) == [b"t%d" % k for k in range(1_000)]


@slow_on_kafka
def test_an_outlet_tells_what_was_not_delivered(bench, kind):
    outlet = bench.using(outlet_of(bench.broker, kind, patience_s=1.0))
    outlet.put("transactions", "", b"before")
    assert outlet.flush(60) == 0
    bench.server.stop()
    told: list[BaseException | None] = []
    outlet.put("transactions", "", b"t", told.append)
    wait_until(lambda: outlet.flush(0.1) == 0)
    assert isinstance(told[0], BrokerError)
    assert outlet.trouble is not None


def outlet_of(broker: Any, kind: str, *, patience_s: float) -> Any:
    """An outlet that gives up after so long."""
    if kind == "kafka":
        from penstock.adapters.kafka.outlet import KafkaOutlet

        return KafkaOutlet(broker.address, patience_s=patience_s)
    from penstock.adapters.redis_stream.outlet import RedisOutlet

    return RedisOutlet(broker.address, broker.line, patience_s=patience_s)


@slow_on_kafka
def test_what_is_put_while_the_server_is_away_is_delivered_once_when_it_is_back(bench, kind):
    outlet = bench.using(outlet_of(bench.broker, kind, patience_s=180.0))  # longer than a server takes to start
    for k in range(500):
        outlet.put("transactions", "", b"t%d" % k)
        if k == 250:
            bench.server.kill()
    wait_until(lambda: outlet.trouble is not None)
    bench.server.start()
    assert outlet.flush(180) == 0
    inbox = bench.own(bench.candidate())
    messages = read(inbox, 500)
    messages += read(inbox, 1, 3)  # what came twice
    assert sorted(bodies(messages)) == sorted(b"t%d" % k for k in range(500))


# ---------------------------------------------------------------- outages


@slow_on_kafka
def test_an_owner_says_that_its_broker_is_away_and_that_it_is_back(bench):
    candidate = bench.candidate()
    inbox = bench.own(candidate)
    bench.server.stop()
    wait_until(lambda: inbox.poll(1, 0.1) == [] and inbox.trouble is not None)
    wait_until(lambda: candidate.trouble is not None)
    bench.server.start()
    try:
        inbox.commit(Unit(b"entry"))
        wait_until(lambda: inbox.poll(1, 0.1) == [] and inbox.trouble is None)
    except Fenced:  # a broker may hold the election anew when it is back
        inbox = bench.own(candidate)
        inbox.commit(Unit(b"entry"))
        assert inbox.trouble is None


@slow_on_kafka
@pytest.mark.parametrize("outage", ["kill", pytest.param("pause", marks=pytest.mark.slow)])
def test_nothing_is_lost_or_doubled_when_the_server_goes_away_between_commits(bench, outage):
    wanted = [b"t%d" % k for k in range(2_000)]
    bench.put(*wanted)
    candidate = bench.candidate()
    reached: list[bytes] = [b""]
    worker = threading.Thread(target=copy_to_labels, args=(bench, candidate, wanted[-1], reached), daemon=True)
    worker.start()
    wait_until(lambda: reached[-1] > b"t1")
    getattr(bench.server, outage)()
    wait_until(lambda: candidate.trouble is not None)
    bench.server.start()
    worker.join(240)
    assert reached[-1] == wanted[-1]
    entries = [data.partition(b"@") for _, data in bench.entries(last=wanted[-1])]
    assert b" ".join(sent for sent, _, _ in entries).split() == wanted
    behind = {"transactions": entries[-1][2].decode()}
    assert bodies(read(bench.own(candidate, behind, copies), 2_000), "labels") == wanted


def copies(entry: bytes) -> list[Outgoing]:
    """The labels that follow from an entry of `copy_to_labels`."""
    return [Outgoing("labels", "k", body) for body in entry.partition(b"@")[0].split()]


def copy_to_labels(bench: Bench, candidate: Candidate, last: bytes, reached: list[bytes]) -> None:
    """An owner that passes transactions on as labels, twenty in a unit; where it is fenced meanwhile, it claims again, and
    goes on where the journal ends."""
    inbox: Inbox | None = None
    while reached[-1] != last:
        try:
            if inbox is None:
                inbox = bench.using(candidate.claim(0))  # what an earlier owner still sends counts no more
                place = [data.partition(b"@")[2].decode() for _, data in bench.entries()[-1:]]
                inbox.begin({"transactions": place[0]} if place else {}, copies)
            messages = [message for message in inbox.poll(20, 0.2) if message.role == "transactions"]
            out = [Outgoing("labels", "k", message.body) for message in messages]
            if out:
                inbox.commit(Unit(b" ".join(o.body for o in out) + b"@" + messages[-1].place.encode(), out, messages))
                reached.append(out[-1].body)
        except (Fenced, BrokerError):
            if inbox is not None:
                inbox.close()
            inbox = None


# ---------------------------------------------------------------- marks of the inbox


def test_an_inbox_is_covered_once_everything_before_its_mark_has_been_taken_in(bench):
    broker = bench.broker
    assert broker.covers(None, broker.inbox_mark()), "nothing waits"
    bench.put(b"1", b"2")
    mark = broker.inbox_mark()
    assert not broker.covers(None, mark)
    bench.put(b"3")
    first, second, third = read(bench.own(bench.candidate()), 3)
    assert [broker.covers(each.place, mark) for each in (first, second, third)] == [False, True, True]
    assert not broker.covers(second.place, broker.inbox_mark())
    assert broker.covers(third.place, broker.inbox_mark())
