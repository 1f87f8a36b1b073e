"""A process killed at random moments loses nothing that it acknowledged, and comes back to the same state."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock import Engine
from tests.integration import crash_worker

ROUNDS = int(os.environ.get("PENSTOCK_CRASH_ROUNDS", "50"))
EVENTS = 40_000


def _run(folder: Path, kill_after: int | None, pause_s: float = 0.0) -> list[list[str]]:
    """Run the worker, kill it so many lines and seconds on (never, where None), and return the lines it printed."""
    command = [sys.executable, crash_worker.__file__, str(folder), str(EVENTS)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as worker:
        assert worker.stdout is not None
        lines = []
        for line in worker.stdout:
            lines.append(line)
            if kill_after is not None and len(lines) > kill_after:
                break
        if kill_after is not None:
            time.sleep(pause_s)
            worker.kill()
            lines += worker.stdout.readlines()
        return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_no_acknowledged_decision_is_lost_and_the_state_is_the_same(tmp_path: Path) -> None:
    """After every kill at least what was acknowledged is there; the end is bit-identical to an uninterrupted run."""
    chance = random.Random(5)
    acknowledged = 0
    for _ in range(ROUNDS):
        lines = _run(tmp_path, chance.randrange(60), chance.uniform(0.0, 0.02))
        assert int(lines[0][1]) >= acknowledged
        acknowledged = max([acknowledged, *(int(line[1]) for line in lines if line[0] == "done")])
    final = _run(tmp_path, None)
    assert int(final[0][1]) >= acknowledged > 0
    assert final[-1][0] == "end"

    stream = crash_worker.events(EVENTS)
    with Engine(crash_worker.detector) as uninterrupted:
        crash_worker.feed(uninterrupted, stream, 0)
        crash_worker.label(uninterrupted, stream)
        assert uninterrupted.pipeline.state.digest() == final[-1][1]
    with Engine(crash_worker.detector, data=tmp_path) as recovered:
        assert recovered.pipeline.state.digest() == final[-1][1]
        assert recovered.stats()["total"] == EVENTS
