"""A service whose disk is full: it says so, recovers by itself, and ends with a sentence."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.infra.server import free_port
from penstock import Engine
from tests.integration import crash_worker
from tests.waiting import wait_until


@pytest.fixture
def small_device(tmp_path):
    """A file system of 32 MiB, where one may be mounted."""
    where = tmp_path / "small"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(where)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", str(where)], check=True)


class Service:
    """`penstock serve` over a data folder; what it wrote is in `said`."""

    def __init__(self, data: Path, log: Path) -> None:
        self._port, self._log = free_port(), log
        command = [sys.executable, "-c", "from penstock.cli import main; main()", "serve", crash_worker.__file__]
        command += ["--port", str(self._port), "--data", str(data)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, dict]:
        """The status and the answer; 0 where nobody answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    @property
    def said(self) -> str:
        return self._log.read_text()


def fill(device: Path) -> Path:
    """Leave no room at all."""
    ballast = device / "ballast"
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))
    return ballast


EVENTS = crash_worker.events(100)
START_S = 300.0


def payments(first: int) -> bytes:
    """An array of events of which none came before."""
    return json.dumps([event | {"transaction_id": f"tx{first + k}"} for k, event in enumerate(EVENTS)]).encode()


def predict_until_refused(service: Service, first: int) -> tuple[list[str], int, dict]:
    """Ids that were acknowledged, and the status and the answer of the first request that was refused."""
    acknowledged: list[str] = []
    while True:
        status, answer = service.ask("/predict", payments(first + len(acknowledged)))
        if status != 200:
            return acknowledged, status, answer
        acknowledged += [each["transaction_id"] for each in answer]


@pytest.fixture
def service(small_device, tmp_path):
    found = Service(small_device / "data", tmp_path / "serve.log")
    wait_until(lambda: found.ask("/ready")[0] == 200, START_S)
    yield found
    if found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def test_ready_follows_predict_and_recovers_without_traffic_and_sigterm_ends_with_a_sentence(service, small_device):
    ballast = fill(small_device)
    acknowledged, status, answer = predict_until_refused(service, 0)
    assert (status, "no room" in answer["detail"]) == (503, True)
    status, ready = service.ask("/ready")
    assert (status, "no room" in ready["detail"]) == (503, True)
    ballast.unlink()
    wait_until(lambda: service.ask("/ready")[0] == 200, 60)
    assert service.ask("/predict", payments(10**6))[0] == 200
    fill(small_device)
    acknowledged += predict_until_refused(service, 2 * 10**6)[0]
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(60) == 1, service.said
    assert "Traceback" not in service.said
    assert "no room" in service.said.splitlines()[-1]
    ballast.unlink()
    with Engine(crash_worker.detector, data=small_device / "data") as engine:
        assert all(engine.queries.transaction(each) for each in acknowledged)
