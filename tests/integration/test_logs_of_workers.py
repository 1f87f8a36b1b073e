"""What workers wrote to PostgreSQL is read by the commands that read what a service wrote."""

import json

import psycopg
import pytest

from penstock import Engine
from penstock.adapters.postgres import PostgresSink, create
from penstock.cli import run as run_cli
from penstock.testing import example_detector

DETECTOR = """
from penstock.testing import example_detector

detector = example_detector()
"""
READING = [
    ("query", "select count(*) as n from decisions"),
    ("report", "daily"),
    ("explain", "t3"),
    ("verify", "t3"),
]


@pytest.fixture
def url(postgres_url, monkeypatch):
    create(postgres_url)
    monkeypatch.setenv("PENSTOCK_LEDGER", postgres_url)
    return postgres_url


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """A command with --json in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(DETECTOR)

    def run_command(*words):
        named = ["--detector", "mine.py"] if words[0] in ("explain", "verify") else []
        capsys.readouterr()
        code = run_cli([*words, *named, "--json"])
        return code, *capsys.readouterr()

    return run_command


def work(url, log, first, count=4):
    """What a worker does: decide, and keep a copy in a log of the database."""
    with Engine(example_detector()) as engine:
        event = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}
        engine.decide_many([{**event, "transaction_id": f"t{k}"} for k in range(first, first + count)])
        sink = PostgresSink(url, log, engine.ledger)
        sink.begin(1)
        sink.write(list(engine.ledger.read()))
        sink.close()


def logs(url):
    with psycopg.connect(url) as db:
        return [name for (name,) in db.execute("SELECT name FROM penstock.logs ORDER BY name").fetchall()]


def test_commands_read_the_one_log_that_is_there_whatever_its_name(url, run):
    """`query`, `report daily`, `explain` and `verify`, with nothing but the database named; they leave no log behind."""
    work(url, "example", 0)
    exits = {}
    for words in READING:
        exits[words[0]] = run(*words)
    assert {name: code for name, (code, _, _) in exits.items()} == dict.fromkeys(exits, 0), exits
    assert json.loads(exits["query"][1]) == [{"n": 4}]
    assert json.loads(exits["report"][1])["reports"][0]["figures"]["decisions"]["day"] == 4
    assert json.loads(exits["explain"][1])["decision"] == "REVIEW"
    assert json.loads(exits["verify"][1])["identical"]
    assert logs(url) == ["example"]


def test_several_logs_are_named_and_one_can_be_chosen(url, run):
    """A command that cannot read all of them says which there are; a report of each and a look for an id need no choice."""
    work(url, "example", 0)
    work(url, "another", 10, count=2)
    code, _, error = run("query", "select count(*) as n from decisions")
    assert code == 2
    assert "--ledger-log another or --ledger-log example" in error
    for log, expected in (("example", 4), ("another", 2)):
        code, out, _ = run("query", "select count(*) as n from decisions", "--ledger-log", log)
        assert (code, json.loads(out)) == (0, [{"n": expected}])
    assert run("explain", "t11")[0] == 0
    code, _, error = run("report", "daily")
    assert code == 2
    assert "'example' decided is in several logs" in error
    code, out, _ = run("report", "daily", "--ledger-log", "another")
    assert json.loads(out)["reports"][0]["figures"]["decisions"]["day"] == 2
    code, _, error = run("query", "select 1", "--ledger-log", "exmaple")
    assert code == 2
    assert "no log 'exmaple', only another, example" in error
    assert logs(url) == ["another", "example"]


def test_a_database_that_nobody_has_written_to_says_so_and_stays_empty(url, run):
    """Not that the detector has decided nothing."""
    for words in READING:
        code, _, error = run(*words)
        assert code == 2
        assert "holds no decisions yet: no service and no worker has written to it" in error
    assert logs(url) == []


def test_an_empty_log_that_an_earlier_version_left_is_passed_over(url, run):
    """Version 0.1 made one named `engine` whenever it read."""
    work(url, "example", 0)
    with psycopg.connect(url) as db:
        db.execute("INSERT INTO penstock.logs (name) VALUES ('engine')")
    code, out, _ = run("query", "select count(*) as n from decisions")
    assert (code, json.loads(out)) == (0, [{"n": 4}])
