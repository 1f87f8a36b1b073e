"""What holds on Kafka beyond what every broker owes: entries count by their claims, and decisions are published behind them."""

import time
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError
from tests.waiting import wait_until

from penstock.adapters.kafka.address import KafkaAddress
from penstock.adapters.kafka.health import Health
from penstock.adapters.kafka.journal import KafkaJournal
from penstock.adapters.kafka.journal_writer import JournalWriter
from penstock.adapters.kafka.publisher import POSITION, KafkaPublisher
from penstock.errors import BrokerError, Fenced
from penstock.stream.port import Outgoing, Unit
from penstock.wiring.streams import open_broker


@pytest.fixture
def broker(kafka, topic_prefix):
    found = open_broker(f"{kafka.url}/{topic_prefix.rstrip('.')}", "banking")
    found.create()
    yield found
    found.close()


def writer(broker):
    found = JournalWriter(broker.address, 0, Health(broker.address.servers), lambda: False)
    found.claim()
    return found


def entries(broker):
    journal, found = broker.journal(0, None), []
    wait_until(lambda: found.extend(journal.poll(0.05)) or journal.end())
    journal.close()
    return [data for _, data in found]


def messages(broker, topic, number):
    """So many committed messages of a topic, and none that come within another half second."""
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    from penstock.adapters.kafka.journal import reader

    consumer, found = reader(broker.address, Health(""), auto_offset_reset="earliest"), []
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    until = time.monotonic() + 60
    while len(found) < number and time.monotonic() < until:
        found += [each for each in consumer.consume(100, 0.2) if each.error() is None]
    found += [each for each in consumer.consume(100, 0.5) if each.error() is None]
    consumer.close()
    return found


def derive(entry):
    return [Outgoing("decisions", "k", b"of " + entry)]


def test_an_entry_behind_another_claim_counts_for_nobody(broker):
    earlier = writer(broker)
    earlier.append(b"one")
    later = writer(broker)
    later.append(b"two")
    with pytest.raises(Fenced, match="shard 0 has another owner now"):
        earlier.append(b"void")
    later.append(b"three")
    assert entries(broker) == [b"one", b"two", b"three"]


def test_an_owner_goes_on_over_what_does_not_count(broker):
    earlier = writer(broker)
    later = writer(broker)
    with pytest.raises(Fenced):
        earlier.append(b"void")
    assert later.append(b"one") == f"{later.claimed + 2}@{later.claimed}"
    later.append(b"two")
    assert entries(broker) == [b"one", b"two"]


def test_a_reader_that_goes_on_behind_an_entry_knows_its_claim(broker):
    earlier = writer(broker)
    place = earlier.append(b"one")
    earlier.append(b"two")
    writer(broker)
    with pytest.raises(Fenced):
        earlier.append(b"void")
    journal, found = broker.journal(0, place), []
    wait_until(lambda: found.extend(journal.poll(0.05)) or journal.end())
    journal.close()
    assert [data for _, data in found] == [b"two"]


def test_what_an_owner_did_not_publish_its_successor_does_and_nothing_twice(broker):
    candidate = broker.candidate("a")
    first = candidate.claim(0)
    first.begin({}, derive)
    first.commit(Unit(b"one", derive(b"one")))
    first.close()
    killed = writer(broker)
    places = [killed.append(b"two"), killed.append(b"three")]
    second = candidate.claim(0)
    second.begin({}, derive)
    places.append(second.commit(Unit(b"four", derive(b"four"))))
    found = messages(broker, broker.topics.decisions, 4)
    assert [each.value() for each in found] == [b"of one", b"of two", b"of three", b"of four"]
    offsets = [place.partition("@")[0].encode() for place in places]
    assert [dict(each.headers())[POSITION] for each in found][1:] == offsets
    second.close()
    candidate.close()


def test_a_journal_of_version_0_1_is_read_on_until_its_first_claim(broker):
    from confluent_kafka import Producer

    old = Producer({"bootstrap.servers": broker.address.servers, "transactional.id": f"{broker.group}.0.0"})
    old.init_transactions(60)
    for number, topic in ((1, broker.topics.journal), (1, broker.topics.decisions)):
        old.begin_transaction()
        old.produce(topic, b"old %d" % number, partition=0)
        old.commit_transaction(60)
    candidate = broker.candidate("a")
    inbox = candidate.claim(0)
    inbox.begin({}, derive)
    inbox.commit(Unit(b"new", derive(b"new")))
    old.begin_transaction()
    old.produce(broker.topics.journal, b"void", partition=0)
    with pytest.raises(Exception, match=r"fenced|epoch"):
        old.commit_transaction(60)
    assert entries(broker) == [b"old 1", b"new"]
    assert [each.value() for each in messages(broker, broker.topics.decisions, 2)] == [b"old 1", b"of new"]
    inbox.close()
    candidate.close()


def test_a_follower_hears_that_its_owner_has_let_go_or_is_silent(broker, monkeypatch):
    journal = broker.journal(0, None)
    wait_until(lambda: not journal.poll(0.05) and journal.end())
    assert not journal.abandoned, "there was no owner yet"
    owner = writer(broker)
    wait_until(lambda: journal.poll(0.05) == [] and journal.end())
    assert not journal.abandoned
    monkeypatch.setattr("penstock.adapters.kafka.journal.SILENCE_S", 0.0)
    assert not journal.abandoned, "it has claimed, and catches up"
    owner.append(b"")
    wait_until(lambda: journal.poll(0.05) == [] and journal.abandoned)  # it said nothing for longer than that
    monkeypatch.setattr("penstock.adapters.kafka.journal.SILENCE_S", 600.0)
    owner.release()
    wait_until(lambda: journal.poll(0.05) == [] and journal.abandoned)
    writer(broker)
    wait_until(lambda: journal.poll(0.05) == [] and not journal.abandoned)
    journal.close()


def test_who_was_fenced_does_not_claim_again_because_the_group_has_not_noticed(broker):
    candidate, other = broker.candidate("a"), broker.candidate("b")
    wait_until(lambda: candidate.elected(0) or other.elected(0))
    elected, standby = (candidate, other) if candidate.elected(0) else (other, candidate)
    frozen = elected.claim(0)
    frozen.begin({}, derive)
    owner = standby.claim(0)
    owner.begin({}, derive)
    assert elected.elected(0), "its group has not moved"
    with pytest.raises(Fenced):
        frozen.commit(Unit())
    frozen.close()
    assert not elected.elected(0)
    owner.close()
    standby.close()
    elected.close()


def test_who_meets_its_successor_before_the_claim_releases_nothing_and_is_not_elected_again(broker):
    """An owner fences the publisher of the one before it, and claims a moment later."""
    candidate = broker.candidate("a")
    wait_until(lambda: candidate.elected(0))
    owner = candidate.claim(0)
    owner.begin({}, derive)
    KafkaPublisher(broker.address, broker.group, 0, Health(broker.address.servers))
    with pytest.raises(Fenced):
        wait_until(lambda: owner.commit(Unit(b"", derive(b"one"))))
    owner.close()
    assert not candidate.elected(0)
    journal = broker.journal(0, None)
    wait_until(lambda: not journal.poll(0.05) and journal.end())
    assert not journal.abandoned
    journal.close()
    candidate.close()


class Scripted:
    """A consumer that gives out errors of Kafka, one after another."""

    def __init__(self, *codes):
        self._errors = [KafkaError(code) for code in codes]

    def assign(self, _partitions):
        pass

    def consume(self, _most, _timeout):
        error = self._errors.pop(0)
        return [SimpleNamespace(error=lambda: error, offset=lambda: 5, topic=lambda: "t")]


def test_only_a_topic_that_was_never_there_ends_a_follower(monkeypatch):
    """A broker that has just started may not know all topics yet."""
    unknown, end = KafkaError.UNKNOWN_TOPIC_OR_PART, -191  # the end of a partition
    address = KafkaAddress.of("kafka://nowhere:1/t")
    monkeypatch.setattr("penstock.adapters.kafka.journal.reader", lambda *_, **__: Scripted(unknown))
    with pytest.raises(BrokerError, match="penstock topics create"):
        KafkaJournal(address, 0, None).poll(0.0)
    monkeypatch.setattr("penstock.adapters.kafka.journal.reader", lambda *_, **__: Scripted(end, unknown, end))
    journal = KafkaJournal(address, 0, None)
    assert [journal.poll(0.0) for _ in range(3)] == [[], [], []]


def test_transactions_of_few_messages_each_are_paced(broker, monkeypatch):
    monkeypatch.setattr("penstock.adapters.kafka.publisher.PACE_S", 0.2)
    candidate = broker.candidate("a")
    inbox = candidate.claim(0)
    inbox.begin({}, derive)
    began = time.monotonic()
    for number in range(40):
        inbox.commit(Unit(b"%d" % number, derive(b"%d" % number)))
        time.sleep(0.01)
    assert len(messages(broker, broker.topics.decisions, 40)) == 40
    published = messages(broker, broker.address.published, 1)
    assert len(published) <= 3 + (time.monotonic() - began) / 0.2
    inbox.close()
    candidate.close()


def test_a_topic_of_positions_that_is_missing_is_named_with_the_remedy(broker):
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.address.servers})
    admin.delete_topics([broker.address.published])[broker.address.published].result(60)
    wait_until(lambda: broker.address.published not in admin.list_topics(timeout=10).topics)
    candidate = broker.candidate("a")
    inbox = candidate.claim(0)
    with pytest.raises(BrokerError, match=r"journal\.published.*penstock topics create"):
        inbox.begin({}, derive)
    inbox.close()
    candidate.close()
    assert broker.create() == [broker.address.published]


def test_topics_of_unequal_partitions_are_refused_by_name(kafka, topic_prefix):
    from confluent_kafka.admin import AdminClient, NewPartitions

    broker = open_broker(f"{kafka.url}/{topic_prefix.rstrip('.')}", "banking")
    broker.create(2)
    assert broker.shards() == 2
    admin = AdminClient({"bootstrap.servers": broker.address.servers})
    name = broker.address.published
    admin.create_partitions([NewPartitions(name, 3)])[name].result(60)
    with pytest.raises(BrokerError, match=r"has 2 partitions and '.*journal\.published' has 3"):
        wait_until(lambda: broker.shards() != 2)
