"""Any number of signals at any distance ends `serve` and `worker`, and nothing that was acknowledged is lost."""

import ctypes
import http.client
import itertools
import json
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from deploy.infra.server import free_port
from penstock import Engine
from tests.integration import crash_worker
from tests.integration.behind import Behind, WorkerProcess, command_line
from tests.waiting import wait_until

ROUNDS = int(os.environ.get("PENSTOCK_SIGNAL_ROUNDS", "200"))
ENDS_WITHIN_S = 10.0
PATIENCE_S = 120.0
"""How long a process may take to stop where its exit code says that it did so by itself: a busy machine stops slowly."""
EARLY = 0.3
"""Share of the rounds whose signals come while the process starts."""
START_S = 4.0
_CLIENTS = 4
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class ServeProcess:
    """`penstock serve` as a process of its own, and clients that keep it busy. `acknowledged`: what it answered, by id."""

    def __init__(self, data: Path, bodies: "Bodies", stops_within_s: float | None = None) -> None:
        self._port, self._bodies = free_port(), bodies
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self._stop = threading.Event()
        command = [
            sys.executable,
            "-c",
            command_line(stops_within_s),
            "serve",
            crash_worker.__file__,
            "--port",
            str(self._port),
            "--data",
            str(data),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PENSTOCK_SNAPSHOT_EVERY_S": "0.2"}
        # two signals of one kind may become one, and a busy machine stops slowly
        environment["PENSTOCK_STOP_WITHIN_S"] = str(stops_within_s or 8)
        data.mkdir(parents=True, exist_ok=True)
        self._log = data.with_suffix(".log").open("ab")
        self.process = subprocess.Popen([*command, "--data", str(data)], stdout=self._log, stderr=self._log, env=environment)
        self._clients = [threading.Thread(target=self._send) for _ in range(_CLIENTS)]
        for client in self._clients:
            client.start()

    @property
    def busy(self) -> bool:
        """Whether decisions are being answered."""
        return len(self.acknowledged) > 10 * _CLIENTS

    def _send(self) -> None:
        while not self._stop.wait(0.02) and self.process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            with closing(connection), suppress(OSError, http.client.HTTPException):
                connection.connect()
                bodies = self._bodies.some()
                while not self._stop.wait(0.005):
                    if self._decided(connection, bodies):
                        bodies = self._bodies.some()

    def _decided(self, connection: http.client.HTTPConnection, bodies: list[bytes]) -> bool:
        """Ask once; whether these were decided, rather than the service not ready yet."""
        connection.request("POST", "/predict", b"[%s]" % b",".join(bodies))
        answer = connection.getresponse()
        told = json.load(answer)
        if answer.status == 200:
            self.acknowledged |= {each["transaction_id"]: each for each in told if "decision" in each}
        return answer.status == 200

    def close(self) -> None:
        """Stop the clients, and the process if it still runs."""
        self._stop.set()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for client in self._clients:
            client.join()
        self._log.close()


class Bodies:
    """Events without end, some at a time, for several threads; `of` gives the body of an id again."""

    def __init__(self) -> None:
        self.of: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._events = _endless()
        self._chance = random.Random(3)

    def some(self) -> list[bytes]:
        """The next one to seven."""
        with self._lock:
            events = [next(self._events) for _ in range(self._chance.randint(1, 7))]
            found = {event["transaction_id"]: json.dumps(event).encode() for event in events}
            self.of |= found
            return list(found.values())


def _endless() -> Iterator[dict[str, Any]]:
    """The events of the crash test again and again, under new ids and each time later than before; from ten years earlier on,
    so that many rounds do not come to events of the future, which an engine keeps out of state while they are.
    """
    events = crash_worker.events(20_000)
    lasts = datetime.fromisoformat(events[-1]["timestamp"]) - datetime.fromisoformat(events[0]["timestamp"])
    for number in itertools.count():
        for event in events:
            at = datetime.fromisoformat(event["timestamp"]) - timedelta(days=3_650) + number * lasts
            yield event | {"transaction_id": f"{number}-{event['transaction_id']}", "timestamp": at.isoformat()}


class Reference:
    """An engine that was never stopped: it decides the events of a ledger, in its order."""

    def __init__(self, bodies: Bodies) -> None:
        self._engine, self._bodies, self._read = Engine(crash_worker.detector), bodies, 0

    def holds(self, data: Path, acknowledged: dict[str, dict[str, Any]]) -> None:
        """Assert that the data folder holds every acknowledged decision as it was answered, and the state of its ledger.

        A copy of it is opened: what is asked here, a digest above all, changes what is kept.
        """
        with TemporaryDirectory() as folder, Engine(crash_worker.detector, data=copytree(data, Path(folder) / "copy")) as kept:
            for transaction_id, answer in acknowledged.items():
                found = kept.queries.transaction(transaction_id)
                assert found is not None, f"{transaction_id} was acknowledged and is lost"
                assert json.loads(found) == answer
            for position, record in kept.ledger.read(self._read, {"decisions"}):
                self._engine.decide_json([self._bodies.of[each] for each in record.ids])
                self._read = position + 1
            assert kept.stats()["total"] == self._engine.stats()["total"]
            assert kept.pipeline.state.digest() == self._engine.pipeline.state.digest()

    def close(self) -> None:
        self._engine.close()


@pytest.fixture(autouse=True, scope="module")
def hang_ups_end_a_process() -> Iterator[None]:
    """SIGHUP has its usual meaning for what these tests start, although `nohup` may have switched it off for the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


@pytest.fixture
def reference(bodies: Bodies) -> Iterator[Reference]:
    found = Reference(bodies)
    yield found
    found.close()


def signalled(
    process: "subprocess.Popen[bytes]",
    distances: list[float],
    numbers: list[signal.Signals],
    within_s: float = ENDS_WITHIN_S,
) -> int:
    """Send signals at these distances; the exit code of the process, which ends in time after the first."""
    first = time.monotonic()
    for number, distance in zip(numbers, distances, strict=True):
        process.send_signal(number)
        time.sleep(distance)
    try:
        return process.wait(max(0.1, first + within_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        pytest.fail(f"it still runs {within_s:g} s after {numbers} at {distances}")


def chosen(chance: random.Random) -> tuple[list[float], list[signal.Signals]]:
    """The distances of two to five signals, most of them short, and which signals these are."""
    number = chance.randint(2, 5)
    distances = [chance.choice((0.0, 0.0002, chance.uniform(0, 0.02), chance.uniform(0, 0.5))) for _ in range(number)]
    return distances, [chance.choice(_SIGNALS) for _ in range(number)]


def a_round(process: Any, is_busy: Callable[[], bool], chance: random.Random) -> bool:
    """Signals while a process starts, or under load; whether it stopped by itself, rather than at the end of its time."""
    distances, numbers = chosen(chance)
    if chance.random() < EARLY:
        time.sleep(chance.uniform(0, START_S))
        return signalled(process, distances, numbers) != 1
    wait_until(lambda: is_busy() or process.poll() is not None)
    time.sleep(chance.uniform(0, 0.3))
    code = signalled(process, distances, numbers)
    assert code in {0, 1}
    return code == 0


def test_a_second_signal_right_behind_the_first_ends_a_service_and_loses_nothing(tmp_path, bodies, reference):
    served = ServeProcess(tmp_path / "data", bodies, PATIENCE_S)
    try:
        wait_until(lambda: served.busy)
        assert signalled(served.process, [0.01, 0.0], [signal.SIGTERM, signal.SIGINT], PATIENCE_S) == 0
    finally:
        served.close()
    reference.holds(tmp_path / "data", served.acknowledged)


@contextmanager
def fed(behind: Behind, bodies: Bodies) -> Iterator[None]:
    """Put events before a worker meanwhile."""
    stop = threading.Event()

    def feed() -> None:
        while not stop.wait(0.005):
            behind.put("transactions", bodies.some())

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        yield
    finally:
        stop.set()
        feeding.join()


@pytest.fixture
def behind(redis_url: str) -> Iterator[Behind]:
    found = Behind(redis_url, "crash")
    yield found
    found.close()


def shown(behind: Behind, first: int) -> dict[str, dict[str, Any]]:
    """The decisions from the first-th on that the broker shows, by id."""
    return {each["transaction_id"]: each for each in map(json.loads, behind.bodies("decisions")[first:])}


def test_a_second_signal_right_behind_the_first_ends_a_worker_and_loses_nothing(tmp_path, behind, bodies, reference):
    with fed(behind, bodies):
        worker = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "data", stops_within_s=PATIENCE_S)
        try:
            wait_until(lambda: len(behind.bodies("decisions")) > 100)
            three = [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]
            assert signalled(worker.process, [0.0, 0.01, 0.0], three, PATIENCE_S) == 0
        finally:
            worker.end()
    reference.holds(tmp_path / "data", shown(behind, 0))


def received_by_another_thread(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal that a thread other than the main one receives, as may happen to any that comes right behind another."""
    call, tgkill = ctypes.CDLL(None).syscall, {"x86_64": 234, "aarch64": 131}[platform.machine()]
    tasks = {int(task.name): task for task in Path(f"/proc/{process.pid}/task").iterdir()}
    able = [thread for thread, task in sorted(tasks.items()) if thread != process.pid and _receives(task, number)]
    assert any(call(tgkill, process.pid, thread, int(number)) == 0 for thread in reversed(able)), "one that still runs"


def _receives(task: Path, number: signal.Signals) -> bool:
    """Whether a thread runs and does not block a signal, as some that libraries start do: nothing is delivered to those."""
    try:
        [blocked] = [line.split()[1] for line in (task / "status").read_text().splitlines() if line.startswith("SigBlk:")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not int(blocked, 16) >> (number - 1) & 1


@pytest.mark.skipif(sys.platform != "linux", reason="sends a signal to one thread, which takes Linux")
def test_a_signal_that_does_not_interrupt_the_main_thread_ends_a_worker(tmp_path, behind, bodies):
    with fed(behind, bodies):
        worker = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "data", stops_within_s=PATIENCE_S)
        try:
            wait_until(lambda: len(behind.bodies("decisions")) > 100)
            received_by_another_thread(worker.process, signal.SIGTERM)
            assert worker.process.wait(PATIENCE_S) == 0
        finally:
            worker.end()


@pytest.mark.skipif(sys.platform != "linux", reason="sends a signal to one thread, which takes Linux")
def test_a_signal_that_does_not_interrupt_the_main_thread_ends_a_service(tmp_path, bodies):
    served = ServeProcess(tmp_path / "data", bodies, PATIENCE_S)
    try:
        wait_until(lambda: served.busy)
        received_by_another_thread(served.process, signal.SIGTERM)
        assert served.process.wait(PATIENCE_S) == 0
    finally:
        served.close()


@pytest.mark.slow
def test_signals_at_random_distances_end_a_service_and_lose_nothing(tmp_path, bodies, reference):
    chance = random.Random(11)
    for _ in range(ROUNDS):
        served = ServeProcess(tmp_path / "data", bodies)
        try:
            a_round(served.process, lambda served=served: served.busy, chance)
        finally:
            served.close()
        reference.holds(tmp_path / "data", served.acknowledged)


@pytest.mark.slow
def test_signals_at_random_distances_end_a_worker_and_lose_nothing(tmp_path, behind, bodies, reference):
    chance = random.Random(12)
    checked = 0
    with fed(behind, bodies):
        for _ in range(ROUNDS):
            before = len(behind.bodies("decisions"))
            worker = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "data")
            try:
                stopped = a_round(worker.process, lambda before=before: len(behind.bodies("decisions")) > before + 100, chance)
            finally:
                worker.end()
            if stopped:  # else its folder may end before the broker does, and the next one reads on from there
                reference.holds(tmp_path / "data", shown(behind, checked))
                checked = before
    worker = WorkerProcess(crash_worker.__file__, behind.url, tmp_path / "data")
    wait_until(lambda: worker.owns)
    assert worker.stop() == 0
    worker.end()
    reference.holds(tmp_path / "data", shown(behind, 0))
