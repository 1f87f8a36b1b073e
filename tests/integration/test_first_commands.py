"""What a newcomer types first: the commands of README, of the demo's greeting and of the guides' first sections, in order.

They run as they are printed, in an empty clone, in front of one demo. `NOT_RUN` says why some are not run; any other command
that fails, fails the test.
"""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.infra.server import free_port
from tests.pages import ROOT, WITHIN_S, Shell, empty_clone, split_commands, succeeded
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

GUIDES = sorted((ROOT / "docs" / "guide").glob("*.md"))
NOT_RUN = {
    r"git clone URL": "the fixture clones",
    r"make (run|infra)": "installs from a registry; `penstock demo` is what `make run` runs",
    r"pip install|createdb |export |docker |helm |kubectl ": "needs a registry, a database or a cloud",
    r".*(kafka|redis|postgresql|s3)://": "needs servers: tests/integration/test_pipeline.py, test_producers.py",
    r"penstock ledger create": "needs PostgreSQL: tests/integration/test_postgres.py",
    r"penstock demo ": "a second one; tests/unit/adapters/test_world.py begins every attack",
    r"penstock serve banking": "the demo serves it, and owns the data folder",
    r"penstock serve mine.py --data DIR|curl .*localhost:8000/cases": "tests/service/test_cases.py",
    r"penstock alerts test --alerts alerts.toml": "needs channels: tests/integration/test_alerts_of_a_service.py",
    r"penstock lab mine.py": "names a service elsewhere",
    r"penstock models (?!list$)|penstock rules rollout banking amount_spike": "needs a second version: test_registry.py",
    r"penstock train banking|penstock report train": "train for minutes: tests/integration/test_trainer.py",
    r"penstock report daily --date": "a day on which this clone decided nothing",
    r"penstock drift banking --(last|since)": "days on which this clone decided nothing",
    r"penstock init": "writes mine.py, which is here already, and trains: tests/integration/test_init.py",
    r"penstock loadtest": "measures: tests/unit/adapters/test_load.py",
}
"""Commands, as patterns of how they begin, and why they are not run here."""

STARTS = re.compile(r"penstock (serve|lab)\b")
"""Commands that go on until they are stopped."""


def commands(text: str) -> list[str]:
    """The shell commands of a page's blocks, in order, without their comments."""
    blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += ["\n".join(line[4:] for line in indented.splitlines() if line.startswith("    "))]
    known = ("penstock ", "curl ", "make ", "git ", "pip ", "docker ", "helm ", "kubectl ", "createdb ", "export ")
    return [each for each in split_commands("\n".join(blocks)) if each.startswith(known)]


def first_section(page: Path) -> str:
    return page.read_text("utf-8").split("\n## ")[0]


class Newcomer:
    """Somebody in an empty clone, with a demo that runs."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.shell = Shell(clone, {"PENSTOCK_LOG_LEVEL": "error"})

    def start(self) -> None:
        self._demo = self.shell.start(f"penstock demo --port {self.port}", "Ctrl-C stops")

    @property
    def greeting(self) -> str:
        """What the demo has printed."""
        return self._demo.output

    def types(self, command: str) -> None:
        """Run a command as printed, but for the demo's port and for endless traffic."""
        command = command.replace("http://127.0.0.1:8000", self.url)
        if re.match(r"penstock simulate .*--tps", command):
            command += " --events 200"
        if shutil.which("jq") is None:
            command = command.partition(" | jq ")[0]
        if STARTS.match(command):
            self.shell.start(f"{command} --port {free_port()} --data other", "Ctrl-C stops")
            self.shell.running.pop().stop()
            return
        done, until = self.shell.attempt(command), time.monotonic() + WITHIN_S
        while done.returncode and "is being filled" in done.stderr and time.monotonic() < until:
            time.sleep(1.0)  # it says itself: try again when it is active
            done = self.shell.attempt(command)
        succeeded(command, done)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    clone = empty_clone(tmp_path_factory.mktemp("first"))
    who = Newcomer(clone)
    [mine] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (clone / "mine.py").write_text(mine)
    (clone / "devices.csv").write_text("value\nD-1\n")
    who.types("penstock simulate banking --events 20000 --seed 7 --days 60 --fraud-rate 0.03 --out payments.parquet")
    who.types("penstock train banking --data payments.parquet --save --models penstock-data/models")
    try:
        who.start()
        yield who
        who.shell.stop()
    finally:
        who.shell.kill()


def told(newcomer: Newcomer, found: list[str]) -> None:
    for command in found:
        if not any(re.match(pattern, command) for pattern in NOT_RUN):
            newcomer.types(with_id(newcomer, command))


def with_id(newcomer: Newcomer, command: str) -> str:
    """The id of a decision in the place of ID."""
    if not re.search(r"\bID\b", command):
        return command
    [decision] = httpx.get(f"{newcomer.url}/transactions", params={"limit": 1}).json()["transactions"]
    return re.sub(r"\bID\b", decision["transaction_id"], command)


def preview(newcomer: Newcomer) -> int:
    asked = {"when": "amount > 20", "then": "review"}
    answer = httpx.post(f"{newcomer.url}/detectors/banking/backtest", json=asked, timeout=120)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["read"])


def test_the_commands_of_the_readme_and_of_the_greeting_work_and_leave_the_demo_whole(newcomer: Newcomer) -> None:
    found = commands((ROOT / "README.md").read_text("utf-8"))
    assert len(found) > 15
    told(newcomer, found)
    greeted = [line.strip() for line in newcomer.greeting.splitlines() if line.startswith("  ")]
    greeted = [re.sub(r"\s{3,}\w.*$", "", line) for line in greeted if line.startswith(("curl", "penstock"))]
    assert len(greeted) == 5
    told(newcomer, greeted)
    whole(newcomer)


@pytest.mark.parametrize("page", GUIDES, ids=[page.stem for page in GUIDES])
def test_the_first_section_of_a_guide_works_as_printed(newcomer: Newcomer, page: Path) -> None:
    told(newcomer, commands(first_section(page)))


def test_the_demo_is_whole_after_all_of_it(newcomer: Newcomer) -> None:
    whole(newcomer)


def whole(newcomer: Newcomer) -> None:
    """Features of keys that pay now are not empty, and a preview reads thousands of events."""
    until = time.monotonic() + WITHIN_S
    while (read := preview(newcomer)) < 2000:
        assert time.monotonic() < until, f"a preview reads {read} events"
        time.sleep(2.0)
    recent: list[Any] = []

    def most_are_known() -> bool:
        """Most of the newest payments are of keys with a past: of the demo's own traffic, not of what a command sent."""
        recent[:] = httpx.get(f"{newcomer.url}/transactions", params={"limit": 100}, timeout=60).json()["transactions"]
        seen = [each["features"] for each in recent]
        known = [seen_of(seen, name) for name in ("payments_before_60d", "merchant_payments_before_60d", "avg_amount_60d")]
        return min(known) > 50

    wait_until(most_are_known, within_s=WITHIN_S)
    [paid] = [each for each in recent if each["features"]["payments_before_60d"] > 0][:1]
    key = httpx.get(f"{newcomer.url}/context/{paid['transaction_id']}", timeout=60).json()["entities"][0]
    assert key["features"], json.dumps(key)[:500]
    assert any(key["features"].values())


def seen_of(seen: list[Any], name: str) -> int:
    return sum(bool(each[name]) for each in seen)


def test_every_reason_for_not_running_is_about_a_command_that_is_printed() -> None:
    printed = [each for page in GUIDES for each in commands(first_section(page))]
    printed += commands((ROOT / "README.md").read_text("utf-8"))
    printed += ["penstock demo --attack card_testing", "penstock loadtest --base-url URL"]
    assert [pattern for pattern in NOT_RUN if not any(re.match(pattern, each) for each in printed)] == []
