"""The history of a process is bounded, and each step tells the worst that was seen in it."""

import pytest

import penstock
from penstock.clock import SECOND_US
from penstock.service.operations import process
from penstock.service.operations.process import STEP_US, STEPS, ProcessHistory

BEGAN_US = 1_000 * STEP_US


@pytest.fixture
def history(tmp_path, monkeypatch):
    """A history of a process whose memory is what `memory` says."""
    monkeypatch.setattr(process, "memory_bytes", lambda: 100)
    return ProcessHistory(tmp_path / "not" / "there yet", BEGAN_US)


def test_the_process_tells_its_version_and_what_it_has(history):
    found = history.measured(BEGAN_US, "ok", 0.0)
    assert (found.version, found.memory_bytes) == (penstock.__version__, 100)
    assert 0 < found.disk_free_bytes <= found.disk_bytes
    assert found.memory_limit_bytes > 2**20


def test_a_step_keeps_the_worst(history, monkeypatch):
    history.measured(BEGAN_US, "degraded", 7.0)
    monkeypatch.setattr(process, "memory_bytes", lambda: 250)
    history.measured(BEGAN_US + 5 * SECOND_US, "failed", 1.0)
    monkeypatch.setattr(process, "memory_bytes", lambda: 50)
    history.measured(BEGAN_US + 10 * SECOND_US, "ok", 2.0)
    [step] = history.measured(BEGAN_US + 15 * SECOND_US, "ok", 2.0).history
    assert (step.status, step.memory_bytes, step.lag_s) == ("failed", 250, 7.0)


def test_a_start_is_no_failure_unless_it_takes_longer_than_a_step(history):
    assert history.measured(BEGAN_US + STEP_US - 1, "failed", 0.0, starting=True).history == []
    [step] = history.measured(BEGAN_US + STEP_US, "failed", 0.0, starting=True).history
    assert step.status == "failed"


def test_a_day_is_kept_and_no_more(history):
    for at in range(STEPS + 50):
        found = history.measured(BEGAN_US + at * STEP_US, "ok", float(at))
    assert len(found.history) == STEPS
    assert [step.lag_s for step in found.history] == [float(at) for at in range(50, STEPS + 50)]


def test_memory_is_measured_where_the_system_tells_it():
    found = process.memory_bytes()
    assert found is None or 10 * 2**20 < found < process.memory_limit()


def test_memory_that_the_system_does_not_tell_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_STATM", tmp_path / "missing")
    monkeypatch.setattr(process, "_CGROUP", tmp_path / "missing")
    assert process.memory_bytes() is None
    assert process.memory_limit() > 2**20


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text("1048576\n")
    monkeypatch.setattr(process, "_CGROUP", tmp_path / "memory.max")
    assert process.memory_limit() == 1_048_576
    (tmp_path / "memory.max").write_text("max\n")
    assert process.memory_limit() > 1_048_576
