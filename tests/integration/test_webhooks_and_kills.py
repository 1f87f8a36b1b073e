"""No event is lost by a kill at any moment, whatever the receiver answers: each is delivered at least once, in order."""

import os
import random
import subprocess
import sys
import time
from collections import defaultdict

import pytest

from tests.integration import webhook_worker
from tests.receiver import receiving

ROUNDS = int(os.environ.get("PENSTOCK_CRASH_ROUNDS", "10"))
EVENTS = 600


def run(folder, url, kill_after=None, pause_s=0.0):
    """Run the worker, kill it so many lines and seconds on (never, where None); the number of events that it acknowledged."""
    command = [sys.executable, webhook_worker.__file__, str(folder), url, str(EVENTS)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as worker:
        lines = []
        for line in worker.stdout:
            lines.append(line.split())
            if kill_after is not None and len(lines) > kill_after:
                break
        if kill_after is not None:
            time.sleep(pause_s)
            worker.kill()
            lines += [line.split() for line in worker.stdout.readlines() if line.endswith("\n")]
    assert kill_after is not None or lines[-1] == ["end"]
    return max((int(line[1]) for line in lines if line[0] == "done"), default=0)


@pytest.mark.slow
def test_every_event_is_delivered_at_least_once_in_order_whenever_the_process_is_killed(tmp_path):
    chance = random.Random(7)
    with receiving() as receiver:
        receiver.answer = lambda _number, _event: 500 if chance.random() < 0.1 else 200
        acknowledged = 0
        for _ in range(ROUNDS):
            acknowledged = max(
                acknowledged, run(tmp_path, receiver.url, chance.randrange(EVENTS // ROUNDS), chance.uniform(0, 0.7))
            )
        run(tmp_path, receiver.url)
    decided = [event for event in receiver.taken if event["type"] == "penstock.decision.made"]
    opened = [event for event in receiver.taken if event["type"] == "penstock.case.opened"]
    first = list(dict.fromkeys(event["subject"] for event in decided))
    assert acknowledged > 0
    assert first == [f"t{number}" for number in range(EVENTS)]  # each, and in order
    reviewed = {event["subject"] for event in decided if event["data"]["decision"] == "REVIEW"}
    assert {event["data"]["transaction_id"] for event in opened} >= reviewed > set()
    bodies = defaultdict(set)
    for event in receiver.taken:
        bodies[event["type"], event["subject"]].add(str(event))
    assert {len(each) for each in bodies.values()} == {1}  # what is repeated is the same, id and all
