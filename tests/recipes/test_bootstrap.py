"""`make bootstrap`: one command starts servers, worker, service and traffic; Ctrl-C ends all of it; again it goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.servers import require
from tests.pages import WITHIN_S, Shell, empty_clone, equip
from tests.recipes.conftest import QUICK_ENVIRONMENT
from tests.waiting import wait_until

from deploy.infra import Kafka, Postgres, Redis
from deploy.infra.__main__ import main as infra
from deploy.infra.server import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty clone; the servers that a failed test leaves behind end, too."""
    clone = empty_clone(tmp_path)
    equip(clone)
    folder = clone / ".infra"
    database = Postgres(folder / "postgres", guarded=False).folder  # elsewhere, where its user may not enter the clone
    shell = Shell(clone, {**QUICK_ENVIRONMENT, "PORT": str(free_port())})
    try:
        yield shell
    finally:
        shell.kill()
        infra(["stop", "--folder", str(folder)])
        shutil.rmtree(database, ignore_errors=True)


def promote_a_rule(url: str) -> None:
    """Makes a rule over HTTP, as the console does, and waits until the worker decides by it."""
    rules = f"{url}/detectors/card/rules"
    with httpx.Client(timeout=60) as client:
        client.post(rules, json={"name": "any", "when": "amount > 0", "then": "review"}).raise_for_status()
        client.post(f"{rules}/any/promote", json={"version": 1}).raise_for_status()
        wait_until(lambda: client.get(f"{url}/transactions", params={"rule": "any"}).json()["transactions"], WITHIN_S)


def decided(url: str, more_than: int) -> int:
    """Waits until the service has more decisions than that; how many."""

    def total() -> int:
        return int(httpx.get(f"{url}/stats", timeout=60).json()["total"])

    wait_until(lambda: total() > more_than, WITHIN_S)
    return total()


def test_one_command_starts_a_system_that_decides_and_ctrl_c_ends_all_of_it(shell: Shell) -> None:
    require(Kafka, Redis, Postgres)
    url, before = f"http://127.0.0.1:{shell.environment['PORT']}", 0
    for first in (True, False):
        system = shell.start("make bootstrap DETECTOR=card", "Everything runs(.|\\n)*Ctrl-C stops")
        for place in (url, f"{url}/docs", "kafka://127", "redis://127", "postgresql://"):
            assert place in system.output
        assert httpx.get(url, headers={"accept": "text/html"}, timeout=60).status_code == 200
        before = decided(url, before + 20)
        if first:
            promote_a_rule(url)
        shell.stop()
        assert not (shell.folder / ".infra" / "servers.env").exists()
