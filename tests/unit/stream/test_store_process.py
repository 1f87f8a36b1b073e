"""The owner's side of the process that feeds stores: it is started again, heard, waited for and ended."""

import logging
import textwrap

import numpy as np
import pytest
from tests.waiting import wait_until

from penstock.codes import text_codes
from penstock.errors import ConfigurationError, Fenced
from penstock.ledger import MemoryLedger
from penstock.messages import Record
from penstock.stream.store_process import StoreProcess


def append(ledger, count):
    for _ in range(count):
        ids, arrived = [f"t{ledger.next_seq}"], np.zeros(1, np.int64)
        ledger.append(Record("decisions", "d", ledger.next_seq, ids, text_codes(ids), arrived, arrived))


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Starts a process whose program is the given text; `plan` is the line that it got."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    running = []

    def start(program, ledger, on_end=pytest.fail, plan=b"{}"):
        lines = "import json, os, sys\nplan = json.loads(sys.stdin.readline())\n"
        lines += "def tell(line): print(line, flush=True)\n"
        lines += "def at(n, trouble='null'): tell('{\"sinks\":[[\"store\",%d,%s,true]]}' % (n, trouble))\n"
        (tmp_path / "program_of_stores.py").write_text(lines + textwrap.dedent(program))
        running.append(StoreProcess("program_of_stores", plan, ["store"], ledger, on_end))
        return running[-1]

    yield start
    for process in running:
        process.close()


def of(process):
    return process.status()["store"]


def test_it_says_how_far_the_store_is_and_what_troubles_it(started):
    ledger = MemoryLedger()
    append(ledger, 5)
    process = started("at(3); sys.stdin.readline(); at(4, '\"it is away\"'); sys.stdin.readline()", ledger)
    assert (of(process)["behind"], of(process)["trouble"]) == (5, None)
    wait_until(lambda: of(process)["behind"] == 2)
    assert of(process)["behind_s"] > 0
    assert process.lag_s() > 0


def test_one_that_ends_by_itself_is_started_again_with_the_same_plan(started, tmp_path):
    ledger = MemoryLedger()
    append(ledger, 2)
    program = f"""
        open({str(tmp_path / "starts")!r}, "a").write(plan["say"])
        if len(open({str(tmp_path / "starts")!r}).read()) < 3:
            os.kill(os.getpid(), 9)
        at(2)
        sys.stdin.readline()
    """
    process = started(program, ledger, plan=b'{"say":"x"}')
    wait_until(lambda: "ended with code -9" in str(of(process)["trouble"]))
    wait_until(lambda: of(process)["behind"] == 0)
    assert of(process)["trouble"] is None
    assert (tmp_path / "starts").read_text() == "xxx"


@pytest.mark.parametrize(("fenced", "kind"), [("true", Fenced), ("false", ConfigurationError)])
def test_the_owner_hears_once_why_its_ownership_ends(fenced, kind, started):
    told = []
    line = f'{{"end":["somebody else was here",{fenced}]}}'
    process = started(f"tell('{line}'); tell('{line}'); sys.stdin.readline()", MemoryLedger(), told.append)
    wait_until(lambda: told)
    process.close()
    [error] = told
    assert isinstance(error, kind)
    assert str(error) == "somebody else was here"


def test_what_it_logs_comes_into_the_log_of_its_owner(started, caplog):
    caplog.set_level(logging.INFO)
    line = '{"log":[["penstock.stores",30,"away for 3 s"]]}'
    started(f"tell('{line}'); tell('no JSON'); at(0); sys.stdin.readline()", MemoryLedger())
    wait_until(lambda: "no JSON" in caplog.text)
    assert ("penstock.stores", logging.WARNING, "away for 3 s") in caplog.record_tuples


def test_a_planned_end_waits_for_a_process_that_starts_and_for_what_it_lacks(started):
    ledger = MemoryLedger()
    append(ledger, 4)
    process = started("at(0); at(4); sys.stdin.readline()", ledger)
    process.finish(60)
    assert of(process)["behind"] == 0


def test_a_store_that_stays_away_does_not_hold_up_the_end(started):
    ledger = MemoryLedger()
    append(ledger, 4)
    process = started("at(0, '\"away\"'); sys.stdin.readline()", ledger)
    process.finish(0.1)
    process.close()
    assert of(process)["behind"] == 4
