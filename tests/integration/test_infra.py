"""The servers that tests and `make infra` run: they start, answer, survive what outage tests do to them, and end."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from deploy.infra import S3, SERVERS, Kafka, Postgres, Redis, ServerFailed, processes
from deploy.infra.__main__ import main
from deploy.infra.server import free_port, is_free
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(redis):
    """A Redis of the test's own, to be mistreated."""
    with Redis() as server:
        yield server


def test_a_killed_server_comes_back_on_its_port_with_its_data(own):
    own.ask("SET a 1")
    own.kill()
    assert is_free(own.port)
    assert own.start().ask("GET a") == b"$1"


def test_starting_twice_changes_nothing(own):
    first = own.pid
    assert own.start().pid == first
    assert Redis(own.folder).start().pid == first


def test_a_frozen_server_is_silent_and_answers_when_it_goes_on(own):
    own.pause()
    with pytest.raises(TimeoutError), socket.create_connection(("127.0.0.1", own.port), timeout=0.2) as connection:
        connection.sendall(b"PING\r\n")
        connection.recv(1)
    own.resume()
    assert own.answers()


def test_stopping_ends_a_frozen_server_too(own):
    own.pause()
    own.stop()
    assert own.pid is None


def test_postgres_survives_kill_with_its_rows_and_takes_no_harm_from_stale_files(postgres):
    import psycopg

    url = postgres.start().create("killed")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table t as select 1 as a")
    postgres.kill()
    assert (postgres.folder / "data" / "postmaster.pid").exists()
    with psycopg.connect(postgres.start().url_of("killed")) as connection:
        assert connection.execute("select a from t").fetchall() == [(1,)]
    postgres.drop("killed")


@pytest.mark.slow
def test_kafka_keeps_its_messages_over_a_kill(kafka, topic_prefix):
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = topic_prefix + "kept"
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(60)
    producer = Producer({"bootstrap.servers": kafka.address, "acks": "all"})
    producer.produce(topic, b"hello")
    assert producer.flush(60) == 0
    kafka.kill()
    kafka.start()
    consumer = Consumer({"bootstrap.servers": kafka.address, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found = []

    def heard():
        message = consumer.poll(0.5)
        found.extend([message.value()] if message is not None and message.error() is None else [])
        return found

    wait_until(heard)
    consumer.close()
    assert found == [b"hello"]


def test_s3_takes_signed_requests_alone(s3, bucket_url):
    from http.client import HTTPConnection

    import obstore
    from obstore.store import S3Store

    bucket = bucket_url.removeprefix("s3://").partition("?")[0]
    keys = {"access_key_id": s3.access_key, "secret_access_key": s3.secret_key}
    store = S3Store(bucket, endpoint=s3.endpoint, region="us-east-1", client_options={"allow_http": True}, **keys)
    obstore.put(store, "a/b.txt", b"hello")
    assert bytes(obstore.get(store, "a/b.txt").bytes()) == b"hello"
    connection = HTTPConnection("127.0.0.1", s3.port, timeout=60)
    connection.request("GET", f"/{bucket}/a/b.txt")
    assert connection.getresponse().status == 403
    connection.close()


def test_a_server_dies_with_the_program_that_started_it(redis):
    program = "from deploy.infra import Redis; import sys; print(Redis().start().pid, flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes) as starter:
        server = int(starter.stdout.readline())
        assert processes.began(server) is not None
        os.kill(starter.pid, signal.SIGKILL)
    assert wait_until(lambda: processes.began(server) is None)


def test_a_server_that_cannot_start_says_what_its_log_says(redis):
    with pytest.raises(ServerFailed, match="no-such-setting"):
        Redis(settings={"no-such-setting": "1"}).start()


def test_one_command_starts_them_another_stops_them_and_both_may_be_repeated(redis, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Redis, "usual_port", free_port())
    for _ in range(2):
        assert main(["start", "redis", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count(f"redis://127.0.0.1:{Redis.usual_port}") == 2
    assert said.count("ran already") == 1
    assert (tmp_path / "servers.env").read_text() == f"export REDIS_URL=redis://127.0.0.1:{Redis.usual_port}\n"
    for _ in range(2):
        assert main(["stop", "redis", "--folder", str(tmp_path)]) == 0
    assert not (tmp_path / "servers.env").exists()
    assert is_free(Redis.usual_port)


def test_a_taken_port_is_left_to_who_has_it(redis, tmp_path, monkeypatch):
    monkeypatch.setattr(Redis, "usual_port", redis.port)
    assert main(["start", "redis", "--folder", str(tmp_path)]) == 0
    try:
        assert Redis(tmp_path / "redis").port != redis.port
    finally:
        main(["stop", "--folder", str(tmp_path)])


@pytest.mark.parametrize("kind", SERVERS)
def test_what_is_missing_is_said_with_its_remedy(kind, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("deploy.infra.postgres.programs", lambda: None)
    assert main(["start", kind.name, "--folder", str(tmp_path)]) == 1
    assert "apt-get install" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [Kafka, Redis, Postgres, S3])
def test_two_servers_of_a_kind_share_neither_folder_nor_port(kind):
    one, other = kind(), kind()
    assert one.folder != other.folder
    assert not set(one.ports) & set(other.ports)
    one.close()
    other.close()


def test_an_unknown_server_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["start", uuid.uuid4().hex])
    assert "known: kafka, redis, postgres, s3" in capsys.readouterr().err
