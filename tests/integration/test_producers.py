"""`penstock simulate` and `penstock send` into real brokers."""

import json
import re
from collections import Counter

import pytest

from penstock.cli import run
from penstock.wiring.streams import open_broker
from tests.contract.test_brokers import bodies, read


@pytest.fixture(params=["kafka", "redis"])
def url(request):
    """A broker for producers: nothing behind the slash yet."""
    if request.param == "kafka":
        request.getfixturevalue("topic_prefix")
        return request.getfixturevalue("kafka").url
    return request.getfixturevalue("redis_url")


@pytest.fixture
def topic(request, url):
    return request.getfixturevalue("topic_prefix") + "transactions" if url.startswith("kafka") else "banking.transactions"


@pytest.fixture
def broker(url, topic):
    """The worker's side of it, its topics created."""
    prefix = topic.removesuffix("transactions")
    made = open_broker(f"{url}/{prefix[:-1]}" if url.startswith("kafka") else f"{url}?prefix={prefix}", "banking")
    made.create()
    yield made
    made.close()


@pytest.fixture
def inbox(broker):
    candidate = broker.candidate("reader")
    inbox = candidate.claim(0)
    inbox.begin({})
    yield inbox
    inbox.close()
    candidate.close()


@pytest.fixture
def penstock(capfd):
    """Runs the command line; its exit code and everything it said."""

    def run_it(*words):
        code = run(list(map(str, words)))
        said = capfd.readouterr()
        return code, said.out + said.err

    return run_it


def test_simulated_events_and_their_labels_reach_the_topics(penstock, url, topic, inbox):
    code, said = penstock("simulate", "banking", "--events", 400, "--fraud-rate", 0.1, "--to", f"{url}/{topic}")
    assert code == 0, said
    taken, of_labels = map(int, re.search(r"(\d+) events and (\d+) labels accepted", said).groups())
    accepted = taken + of_labels
    messages = [*read(inbox, accepted, 60), *read(inbox, 1, 1)]  # all, and no more
    events = [json.loads(body) for body in bodies(messages)]
    labels = [json.loads(body) for body in bodies(messages, "labels")]
    assert len(events) == 400
    assert labels
    assert {label["transaction_id"] for label in labels} <= {event["transaction_id"] for event in events}
    assert Counter(label["fraud"] for label in labels)[True] > 0
    assert (taken, of_labels) == (400, len(labels))


def test_a_recorded_file_is_sent_in_its_order(penstock, url, topic, inbox, tmp_path):
    file = tmp_path / "events.parquet"
    assert penstock("simulate", "banking", "--events", 300, "--out", file)[0] == 0
    code, said = penstock("send", "banking", file, "--no-labels", "--tps", 1_000, "--to", f"{url}/{topic}")
    assert code == 0, said
    times = [json.loads(body)["timestamp"] for body in bodies(read(inbox, 300, 60))]
    assert len(times) == 300
    assert times == sorted(times)


@pytest.mark.parametrize("url", ["redis"], indirect=True)
def test_topics_that_are_not_there_are_an_error_that_says_what_to_do(penstock, url):
    code, said = penstock("simulate", "banking", "--events", 5, "--to", f"{url}/nothing.transactions")
    assert code != 0
    assert "there is no topic 'nothing.transactions'" in said
    assert "penstock topics create banking" in said


@pytest.mark.parametrize("address", ["redis://127.0.0.1:1", pytest.param("kafka://127.0.0.1:1", marks=pytest.mark.slow)])
def test_a_broker_that_is_not_there_is_an_error_that_names_it(penstock, address):
    code, said = penstock("simulate", "banking", "--events", 5, "--to", f"{address}/transactions")
    assert code != 0
    assert "127.0.0.1:1 does not answer" in said
